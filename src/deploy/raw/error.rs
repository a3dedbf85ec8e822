//! What manifest files may get wrong: every problem at once, each underlined.

use miette::{Diagnostic, NamedSource, SourceSpan};

use crate::error::{Classified, Kind};
use crate::ui::sanitize;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error(transparent)]
    #[diagnostic(transparent)]
    One(Box<Problem>),
    #[error("{} problems in the manifests", problems.len())]
    #[diagnostic(code(coracle::manifests::invalid))]
    Many {
        #[related]
        problems: Vec<Problem>,
    },
}

impl Error {
    /// Returns an error unless there is no problem.
    pub(super) fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        match problems.len() {
            0 => Ok(()),
            1 => Err(Self::One(Box::new(problems.remove(0)))),
            _ => Err(Self::Many { problems }),
        }
    }
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// One thing that is wrong, and the line that says it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(coracle::manifests::invalid))]
pub(crate) struct Problem {
    message: String,
    #[source_code]
    source_code: Option<NamedSource<String>>,
    #[label]
    at: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

impl Problem {
    /// A problem with no line of its own.
    pub(super) fn plain(message: &str, help: &str) -> Self {
        Self { message: clean(message), source_code: None, at: None, help: Some(clean(help)) }
    }

    /// A problem with line `line` (from 1) of a file.
    pub(super) fn at(file: &str, text: &str, line: usize, message: &str, help: &str) -> Self {
        Self {
            message: clean(message),
            source_code: Some(NamedSource::new(clean(file), text.to_owned()).with_language("yaml")),
            at: Some(span(text, line)),
            help: (!help.is_empty()).then(|| clean(help)),
        }
    }
}

/// Returns the place of a line without its indentation.
fn span(text: &str, line: usize) -> SourceSpan {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let content = text[start..].lines().next().unwrap_or_default();
    let indent = content.len() - content.trim_start().len();
    (start + indent, content.trim().len()).into()
}

/// Names in manifests are not ours. What is plain needs no cleaning.
pub(super) fn clean(text: &str) -> String {
    let plain = text.chars().all(|c| c == ' ' || c == '…' || c.is_ascii_graphic() || c.is_alphanumeric());
    if plain { text.to_owned() } else { sanitize::line(text) }
}
