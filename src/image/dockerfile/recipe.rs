//! What the steps of a Dockerfile do with files, as plain data: for who wants to know which
//! file of the context ends where in the image. Judges nothing.

use std::collections::BTreeMap;

use parse_dockerfile::{Command, Flag, Instruction, Source};

use super::scope::expand;
use super::source::locate;
use super::stage::{self, Stage, Step};
use super::{Dockerfile, instructions};

/// The stages of a Dockerfile, in order.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) stages: Vec<RecipeStage>,
    /// The one that is built.
    pub(crate) target: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct RecipeStage {
    pub(crate) name: Option<String>,
    /// The stage that it stands on.
    pub(crate) parent: Option<usize>,
    /// The image that it stands on, if that is none of the stages.
    pub(crate) base: Option<String>,
    pub(crate) steps: Vec<RecipeStep>,
    /// The variables at its end.
    pub(crate) env: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct RecipeStep {
    /// Counted from 1.
    pub(crate) line: usize,
    /// On one line, as written.
    pub(crate) text: String,
    pub(crate) deed: Deed,
}

/// What a step does. Variables are filled in.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Workdir(String),
    Copy(Copy),
    /// The text of a RUN with its here-documents, and its mounts.
    Run {
        text: String,
        mounts: Vec<String>,
    },
    /// A CMD or ENTRYPOINT: its words.
    Command {
        is_entrypoint: bool,
        words: Vec<String>,
    },
    Other,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Copy {
    pub(crate) is_add: bool,
    /// Without here-documents.
    pub(crate) sources: Vec<String>,
    pub(crate) to: String,
    /// Another stage or image.
    pub(crate) from: Option<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) chmod: Option<String>,
    /// `--parents`: the folders of the source are kept.
    pub(crate) keeps_parents: bool,
}

impl Dockerfile {
    /// Returns what the steps do; `None` if the text is for another front end or names no such
    /// target.
    pub(crate) fn recipe(&self, target: Option<&str>, args: &BTreeMap<String, String>) -> Option<Recipe> {
        let instructions = instructions(&self.text).ok()?;
        let stages = stage::resolve(&instructions, args);
        let target = stage::find_target(&stages, target)?;
        // By where the instruction lies in memory: both lists point into the same one.
        let places: Places = locate(&self.text, &instructions)
            .into_iter()
            .map(|it| (std::ptr::from_ref(it.instruction).cast(), (it.line, it.keyword, it.rest)))
            .collect();
        let stages = stages.iter().map(|stage| of_stage(stage, &places)).collect();
        Some(Recipe { stages, target })
    }
}

/// Line, keyword and the rest of each instruction.
type Places = BTreeMap<*const (), (usize, String, String)>;

fn of_stage(stage: &Stage<'_, '_>, places: &Places) -> RecipeStage {
    let steps = stage.steps.iter().map(|step| {
        let place = places.get(&std::ptr::from_ref(step.instruction).cast());
        let (line, keyword, rest) = place.cloned().unwrap_or_default();
        RecipeStep { line, deed: deed(step, &rest), text: format!("{keyword} {rest}") }
    });
    RecipeStage {
        name: stage.name.clone(),
        parent: stage.parent,
        base: stage.external_base(),
        steps: steps.collect(),
        env: stage.scope.clone(),
    }
}

fn deed(step: &Step<'_, '_>, rest: &str) -> Deed {
    let fill = |text: &str| expand(text, &step.scope);
    let command = |command: &Command<'_>, is_entrypoint| {
        let words = match command {
            Command::Exec(words) => words.value.iter().map(|word| word.value.to_string()).collect(),
            Command::Shell(text) => text.value.split_whitespace().map(fill).collect(),
            _ => Vec::new(),
        };
        Deed::Command { is_entrypoint, words }
    };
    match step.instruction {
        Instruction::Workdir(workdir) => Deed::Workdir(fill(&workdir.arguments.value)),
        Instruction::Copy(it) => Deed::Copy(copy(false, &it.options, &it.src, &it.dest.value, &fill)),
        Instruction::Add(it) => Deed::Copy(copy(true, &it.options, &it.src, &it.dest.value, &fill)),
        Instruction::Run(run) => {
            let mounts = values(&run.options, "mount", &fill);
            Deed::Run { text: rest.to_owned(), mounts }
        }
        Instruction::Cmd(it) => command(&it.arguments, false),
        Instruction::Entrypoint(it) => command(&it.arguments, true),
        _ => Deed::Other,
    }
}

fn copy(is_add: bool, flags: &[Flag<'_>], sources: &[Source<'_>], to: &str, fill: &dyn Fn(&str) -> String) -> Copy {
    let path = |source: &Source<'_>| match source {
        Source::Path(path) => Some(fill(&path.value)),
        _ => None,
    };
    Copy {
        is_add,
        sources: sources.iter().filter_map(path).collect(),
        to: fill(to),
        from: values(flags, "from", fill).pop(),
        exclude: values(flags, "exclude", fill),
        chmod: values(flags, "chmod", fill).pop(),
        keeps_parents: flags.iter().any(|flag| flag.name.value == "parents"),
    }
}

fn values(flags: &[Flag<'_>], name: &str, fill: &dyn Fn(&str) -> String) -> Vec<String> {
    let named = flags.iter().filter(|flag| flag.name.value == name);
    named.filter_map(|flag| flag.value.as_ref()).map(|value| fill(&value.value)).collect()
}
