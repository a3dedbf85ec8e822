//! A failure as text or JSON: ID, what, cause, where, what to run next.
//!
//! The renderer is miette's, and only this file knows.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, SourceSpan};
use serde_json::{Value, json};

use crate::error::Failure;

/// The least width that a report is folded to; less is unreadable.
const NARROWEST: usize = 40;

/// Returns the failure as the terminal shows it, `width` columns wide.
pub(crate) fn text(failure: &Failure, width: usize, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width.max(NARROWEST))
        .with_links(false)
        // Paths, addresses and commands stay whole, so that they can be copied.
        .with_break_words(false)
        .with_word_separator(textwrap::WordSeparator::AsciiSpace)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation)
        .with_context_lines(1);
    let mut text = String::new();
    let diagnostic: &dyn Diagnostic = &*failure.report;
    if handler.render_report(&mut text, diagnostic).is_err() {
        // A label outside its source is our mistake; the user still gets the sentence.
        text = format!("  × {diagnostic}\n");
    }
    // The renderer heads each of several problems with its severity, which says nothing here.
    text.lines().filter(|line| line.trim_end() != "Error:").flat_map(|line| [line, "\n"]).collect()
}

/// Returns the failure as one JSON object:
/// `{id, exit, message, causes: [text], help, labels: [{file, line, column, text}], related: [{…}]}`.
///
/// `line` and `column` count from 1, in characters. `related` have the same fields but `exit`.
pub(crate) fn json(failure: &Failure) -> Value {
    let mut object = object(&*failure.report, None);
    object["exit"] = Value::from(failure.kind.exit_code());
    object
}

/// `source` is that of the diagnostic above, which a related one without its own is about.
fn object(diagnostic: &dyn Diagnostic, source: Option<&dyn SourceCode>) -> Value {
    let source = diagnostic.source_code().or(source);
    let labels = diagnostic.labels().into_iter().flatten();
    let labels: Vec<_> = source.map(|source| labels.map(|found| label(source, &found)).collect()).unwrap_or_default();
    let related = diagnostic.related().into_iter().flatten();
    let related: Vec<_> = related.map(|related| object(related, source)).collect();
    json!({
        "id": diagnostic.code().map(|code| code.to_string()),
        "message": diagnostic.to_string(),
        "causes": causes(diagnostic),
        "help": diagnostic.help().map(|help| help.to_string()),
        "labels": labels,
        "related": related,
    })
}

fn causes(diagnostic: &dyn Diagnostic) -> Vec<String> {
    if let Some(cause) = diagnostic.diagnostic_source() {
        return std::iter::once(cause.to_string()).chain(causes(cause)).collect();
    }
    std::iter::successors(diagnostic.source(), |cause| cause.source()).map(ToString::to_string).collect()
}

fn label(source: &dyn SourceCode, label: &LabeledSpan) -> Value {
    let place = place(source, label.inner());
    json!({
        "file": place.as_ref().and_then(|place| place.file.as_deref()),
        "line": place.as_ref().map(|place| place.line),
        "column": place.as_ref().map(|place| place.column),
        "text": label.label(),
    })
}

struct Place {
    file: Option<String>,
    line: usize,
    column: usize,
}

/// Returns where a span begins; none where it is not in its source.
fn place(source: &dyn SourceCode, span: &SourceSpan) -> Option<Place> {
    let start = source.read_span(span, 0, 0).ok()?;
    // The source counts a column in bytes.
    let bytes = start.column();
    let before = SourceSpan::from((span.offset().checked_sub(bytes)?, bytes));
    let column = match source.read_span(&before, 0, 0) {
        Ok(before) => String::from_utf8_lossy(before.data()).chars().count(),
        Err(_) => bytes,
    };
    Some(Place { file: start.name().map(str::to_owned), line: start.line() + 1, column: column + 1 })
}

#[cfg(test)]
mod tests {
    use miette::NamedSource;

    use super::*;
    use crate::error::{Classified, Kind};

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("the profile `{profile}` has 2 problems")]
    #[diagnostic(code(coracle::profile::invalid), help("correct them, then run `coracle up` again"))]
    struct Sample {
        profile: String,
        #[source_code]
        text: NamedSource<String>,
        #[source]
        cause: std::io::Error,
        #[related]
        problems: Vec<Problem>,
    }

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("unknown key `{key}`")]
    #[diagnostic(code(coracle::profile::unknown_key), help("did you mean `{suggestion}`?"))]
    struct Problem {
        key: &'static str,
        suggestion: &'static str,
        #[label("not a key of a service")]
        at: SourceSpan,
    }

    impl Classified for Sample {
        fn kind(&self) -> Kind {
            Kind::Request
        }
    }

    fn sample() -> Failure {
        let text = "name: shop\nservices:\n  blåbær: {prots: [80]}\n  web:\n    helth: /\n";
        let problem = |key: &'static str, suggestion| Problem {
            key,
            suggestion,
            at: (text.find(key).unwrap(), key.len()).into(),
        };
        let problems = vec![problem("prots", "ports"), problem("helth", "health")];
        Sample {
            profile: "shop".into(),
            text: NamedSource::new("coracle.yaml", text.to_owned()),
            cause: std::io::Error::other(
                "two keys that mean nothing, in the words of whoever found them, which are long",
            ),
            problems,
        }
        .into()
    }

    #[test]
    fn as_text() {
        assert_eq!(
            text(&sample(), 80, false),
            "\
coracle::profile::invalid

  × the profile `shop` has 2 problems
  ╰─▶ two keys that mean nothing, in the words of whoever found them, which
      are long
  help: correct them, then run `coracle up` again

Error: coracle::profile::unknown_key

  × unknown key `prots`
   ╭─[coracle.yaml:3:14]
 2 │ services:
 3 │   blåbær: {prots: [80]}
   ·            ──┬──
   ·              ╰── not a key of a service
 4 │   web:
   ╰────
  help: did you mean `ports`?

Error: coracle::profile::unknown_key

  × unknown key `helth`
   ╭─[coracle.yaml:5:5]
 4 │   web:
 5 │     helth: /
   ·     ──┬──
   ·       ╰── not a key of a service
   ╰────
  help: did you mean `health`?
"
        );
    }

    #[test]
    fn a_narrow_terminal_folds_it() {
        let text = text(&sample(), 40, false);
        // The user's own lines and what is written below them stay as they are.
        let prose = text.lines().filter(|line| !line.starts_with("   ·"));
        assert!(prose.clone().all(|line| line.chars().count() <= 40), "{text}");
        assert!(prose.count() > 20, "{text}");
    }

    #[test]
    fn colour_only_on_request() {
        assert!(!text(&sample(), 80, false).contains('\u{1b}'));
        assert!(text(&sample(), 80, true).contains('\u{1b}'));
    }

    #[test]
    fn as_json() {
        let label = |line, column| json!([{"file": "coracle.yaml", "line": line, "column": column, "text": "not a key of a service"}]);
        let problem = |key, suggestion, labels| {
            json!({
                "id": "coracle::profile::unknown_key",
                "message": format!("unknown key `{key}`"),
                "causes": [],
                "help": format!("did you mean `{suggestion}`?"),
                "labels": labels,
                "related": [],
            })
        };
        assert_eq!(
            json(&sample()),
            json!({
                "id": "coracle::profile::invalid",
                "exit": 2,
                "message": "the profile `shop` has 2 problems",
                "causes": ["two keys that mean nothing, in the words of whoever found them, which are long"],
                "help": "correct them, then run `coracle up` again",
                "labels": [],
                "related": [problem("prots", "ports", label(3, 12)), problem("helth", "health", label(5, 5))],
            })
        );
    }
}
