//! `coracle completions`: a shell's completion script.

use clap::CommandFactory;

use super::Answer;
use super::args::{self, Cli};

pub(crate) fn completions(flags: &args::Completions) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "coracle", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    let json = serde_json::json!({"script": text});
    Answer { text, json }
}
