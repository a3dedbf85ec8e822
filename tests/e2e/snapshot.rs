//! Reports word for word, in `snapshots/` beside this file: the message is the feature.
//!
//! What differs from run to run or from machine to machine is replaced before the comparison.
//! Temporary names have the same length in every run, so that lines are folded alike.

use crate::process::Outcome;

/// `(pattern, what the snapshot has instead)`, applied in this order.
const FILTERS: &[(&str, &str)] = &[
    // Folded words of the engine and of registries, which each of their versions words anew.
    (r"(?s)╰─▶ Docker responded .*?\n  help:", "╰─▶ [THE ENGINE'S OWN WORDS]\n  help:"),
    // A pod's address may be longer by a digit, and so the line may be folded elsewhere.
    (
        r"[\s│]+dial[\s│]+tcp[\s│]+10\.244\.[\d.]+:(\d+):[\s│]+connect:[\s│]+connection[\s│]+refused",
        " dial tcp [POD IP]:$1: connect: connection refused",
    ),
    (r"/tmp/\s*coracle_e2e_\w{6}", "[TEMP]"),
    (r"instance-[0-9a-f]{12}\b", "instance-[ID]"),
    (r"coracle-e2e-\d{7}", "[CLUSTER]"),
    (r"process \d+ \(`[^`]+`\)", "process [ID] (`[NAME]`)"),
    (r"\bweb-[0-9a-f]{6,10}-[a-z0-9]{5}\b", "web-[POD]"),
    (r"(coracle\.local/[\w/.-]+):[0-9a-f]{12}(-[0-9a-f]{8})?", "$1:[TAG]"),
    (r"sha256:[0-9a-f]{12,64}", "sha256:[DIGEST]"),
    (r"crashed \d times", "crashed [N] times"),
    (r"\b10\.244\.\d+\.\d+\b", "[POD IP]"),
    (r"\b\d+(\.\d+)? ?(ms|s|min)\b", "[TIME]"),
    (r"\b30\d{3}\b", "[PORT]"),
];

/// Compares the report that ended `outcome`, and its exit code, with the snapshot `name`.
#[track_caller]
pub(crate) fn assert_failure(name: &str, outcome: &Outcome) {
    let code = outcome.code.map_or("by a signal".to_owned(), |code| code.to_string());
    let mut settings = insta::Settings::clone_current();
    for (pattern, instead) in FILTERS {
        settings.add_filter(pattern, *instead);
    }
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, format!("exit: {code}\n{}", outcome.failure())));
}
