//! What a profile may get wrong: every problem at once, each underlined.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceSpan};

use super::tree::Span;
use crate::error::{Classified, Kind};
use crate::ui::sanitize;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Problem {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(crate) fn new(span: Span, message: impl AsRef<str>) -> Self {
        Self { span, message: sanitize::line(message.as_ref()), help: None }
    }

    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(sanitize::line(help.as_ref()));
        self
    }

    /// Adds "did you mean", where a known word is near.
    pub(crate) fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(word, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = SourceSpan::new(self.span.start.into(), self.span.len());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("{} has {}", file.display(), count(problems.len()))]
    #[diagnostic(code(coracle::profile::invalid), help("`coracle schema --markdown` lists every key"))]
    Invalid {
        file: PathBuf,
        #[source_code]
        source_code: NamedSource<String>,
        #[related]
        problems: Vec<Problem>,
    },

    #[error("there is no profile and no Dockerfile in {}", folder.display())]
    #[diagnostic(code(coracle::profile::none), help("{}", sample(name)))]
    Nothing { folder: PathBuf, name: String },

    #[error("there is no profile at {}", path.display())]
    #[diagnostic(
        code(coracle::profile::absent),
        help("`-p` takes a file, or a folder with a coracle.yaml or a Dockerfile")
    )]
    Absent { path: PathBuf },

    #[error("{} could not be read", path.display())]
    #[diagnostic(code(coracle::profile::unreadable))]
    Unreadable { path: PathBuf, source: std::io::Error },

    #[error("{} is {size} bytes long; a profile has at most {limit}", path.display())]
    #[diagnostic(code(coracle::profile::too_large), help("is it really a profile? `-p` names another file"))]
    TooLarge { path: PathBuf, size: u64, limit: u64 },

    #[error("{} is not UTF-8 text: byte {at} (line {line}) begins no character", path.display())]
    #[diagnostic(code(coracle::profile::encoding), help("save it as UTF-8"))]
    Encoding { path: PathBuf, at: usize, line: usize },

    #[error("the folder's name `{name}` leaves nothing of which a name could be made")]
    #[diagnostic(code(coracle::profile::unnameable), help("{}", sample("my-app")))]
    Unnameable { name: String },
}

impl Error {
    pub(crate) fn invalid(file: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|left, right| {
            let key = |problem: &Problem| (problem.span.start, problem.span.end);
            key(left).cmp(&key(right)).then_with(|| left.message.cmp(&right.message))
        });
        problems.dedup();
        let source_code =
            NamedSource::new(sanitize::line(&file.display().to_string()), printable(text)).with_language("yaml");
        Self::Invalid { file: file.to_path_buf(), source_code, problems }
    }
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "a problem".into() } else { format!("{problems} problems") }
}

/// The shortest profile, for who has none.
fn sample(name: &str) -> String {
    let mut text = String::from(
        "looked for coracle.yaml here and in every folder above, and for a Dockerfile here. \
         A profile is a file coracle.yaml such as\n\n",
    );
    let _ = write!(text, "name: {name}\nservices:\n  web: {{build: ., ports: [\"80:5000\"]}}");
    text
}

/// Control characters would reach the terminal with the snippet. What replaces them has the
/// same length, so that places stay true.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if character.is_control() && !matches!(character, '\n' | '\t' | '\r') {
            out.extend(std::iter::repeat_n('?', character.len_utf8()));
        } else {
            out.push(character);
        }
        out
    })
}

/// Returns the known word that somebody who wrote `word` most likely meant.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    known
        .into_iter()
        .map(|candidate| {
            let other = fold(candidate);
            let near = strsim::jaro_winkler(&folded, &other);
            // Two letters exchanged in a short word are far apart for Jaro and Winkler.
            let slip = other.chars().count() > 2 && strsim::osa_distance(&folded, &other) == 1;
            let near = if slip { near.max(0.95) } else { near };
            let exact = folded == other || other.trim_end_matches('s') == folded.trim_end_matches('s');
            (if exact { 2.0 } else { near }, candidate)
        })
        .filter(|(near, _)| *near > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Upper case, `_` and `-` are how people misspell keys most.
fn fold(word: &str) -> String {
    word.chars().filter(|character| !matches!(character, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let keys = ["ports", "path", "replicas", "env", "node-selector"];
        assert_eq!(closest("port", keys), Some("ports"));
        assert_eq!(closest("nodeSelector", keys), Some("node-selector"));
        assert_eq!(closest("replcias", keys), Some("replicas"));
        assert_eq!(closest("wbe", ["db", "web"]), Some("web"));
        assert_eq!(closest("zzz", keys), None);
    }
}
