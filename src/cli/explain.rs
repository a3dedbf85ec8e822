//! `coracle explain`: an error's long story, or the list of all.

use serde_json::json;

use super::Answer;
use super::args;
use crate::error::{Classified, Kind};
use crate::explain::{self, Entry};
use crate::ui;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("there is no error `{code}`")]
#[diagnostic(code(coracle::explain::unknown), help("{help}"))]
pub(crate) struct Unknown {
    code: String,
    help: String,
}

impl Classified for Unknown {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

pub(crate) fn explain(flags: &args::Explain) -> Result<Answer, Unknown> {
    let entries = explain::all();
    let Some(code) = &flags.code else {
        let rows: Vec<_> = entries.iter().map(|entry| vec![entry.code.to_owned(), entry.first().to_owned()]).collect();
        return Ok(Answer { text: ui::table::table(&["CODE", "MEANING"], &rows), json: json!({"errors": entries}) });
    };
    match explain::find(&entries, code) {
        Ok(entry) => Ok(Answer { text: page(&entry), json: json!(entry) }),
        Err(near) => {
            let help = near.map_or_else(
                || "`coracle explain` lists them all".to_owned(),
                |near| format!("did you mean `{near}`? `coracle explain` lists them all"),
            );
            Err(Unknown { code: ui::sanitize::line(code), help })
        }
    }
}

fn page(entry: &Entry) -> String {
    let width = ui::terminal::answer().map_or(80, |size| size.columns.min(100));
    let meaning = textwrap::fill(entry.meaning, width);
    let options = textwrap::Options::new(width).initial_indent("Mend: ").subsequent_indent("      ");
    format!("{}\n\n{meaning}\n\n{}\n", entry.code, textwrap::fill(entry.mend, options))
}
