//! The last word on a draft: the profile's own reader. What it does not accept is taken out and
//! listed, so that whatever is written is a profile.

use super::Error;
use super::draft::Draft;
use super::manifests;
use super::survey::Found;
use crate::deploy::raw;
use crate::error::chain;
use crate::profile::error::{Error as Invalid, Problem};
use crate::profile::interpolate::{Form, Piece, pieces};
use crate::profile::tree::{self, Node, Span, Value};
use crate::profile::{Profile, names, resolve};
use crate::session::Surroundings;

/// More rounds than a draft has lines end in an error.
const ROUNDS: usize = 500;

/// Takes out what is not accepted; the draft is a profile afterwards.
pub(super) fn settle(found: &Found, draft: &mut Draft, surroundings: &Surroundings) -> Result<(), Error> {
    if names::label_fault(&draft.name).is_some() || draft.name.starts_with("kube-") {
        draft.name = super::dockerfiles::label(&found.folder.file_name().unwrap_or_default().to_string_lossy());
    }
    for _ in 0..ROUNDS {
        let text = draft.text();
        let problems = match read(found, &text, surroundings) {
            Ok(profile) => {
                if unfit(&profile, draft) {
                    continue;
                }
                draft.manifests = manifests::patterns(found, &draft.manifests);
                return Ok(());
            }
            Err(Invalid::Invalid { problems, .. }) => problems,
            Err(other) => return Err(Error::Unsettled { reason: chain(&other) }),
        };
        if !mend(draft, &text, &problems) {
            let reason = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
            return Err(Error::Unsettled { reason });
        }
    }
    Err(Error::Unsettled { reason: "it has more problems than lines".to_owned() })
}

/// Reads a text as the profile of the folder. Variables that are not set yet count as set.
pub(super) fn read(found: &Found, text: &str, surroundings: &Surroundings) -> Result<Profile, Invalid> {
    let mut surroundings = surroundings.clone();
    for piece in pieces(text) {
        if let Piece::Form(Form::Variable(name)) = piece {
            surroundings.variables.entry(name.to_owned()).or_insert_with(|| "1".to_owned());
        }
    }
    surroundings.folder.clone_from(&found.folder);
    resolve::parse(text, &found.folder.join(super::FILE), &surroundings)
}

/// Takes out what the first problem is about; returns whether there was something.
fn mend(draft: &mut Draft, text: &str, problems: &[Problem]) -> bool {
    let Ok(tree) = tree::parse(text) else { return false };
    for problem in problems {
        let path = at(&tree, &problem.span);
        if path.len() >= 2 && draft.remove(&path) {
            let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            draft.leave(path[1..].join("."), format!("{}{help}", problem.message));
            return true;
        }
    }
    false
}

/// Returns the path of the deepest thing that a place is in.
fn at(node: &Node, span: &Span) -> Vec<String> {
    let inside = |outer: &Span| outer.start <= span.start && span.end <= outer.end;
    match &node.value {
        Value::Map(entries) => {
            // A section's own span may be its first key only: the last entry that begins before counts.
            let entry = entries.iter().rev().find(|entry| entry.key_span.start <= span.start);
            entry.map_or_else(Vec::new, |entry| {
                let below = if inside(&entry.key_span) { Vec::new() } else { at(&entry.value, span) };
                [vec![entry.key.clone()], below].concat()
            })
        }
        Value::List(items) => {
            let index = items.iter().rposition(|item| item.span.start <= span.start);
            index.map_or_else(Vec::new, |index| [vec![index.to_string()], at(&items[index], span)].concat())
        }
        _ => Vec::new(),
    }
}

/// Takes out manifests that could not be applied; returns whether there was one.
fn unfit(profile: &Profile, draft: &mut Draft) -> bool {
    if draft.manifests.is_empty() {
        return false;
    }
    let check = |files: &[String]| -> Result<(), String> {
        let profile = Profile { manifests: files.to_vec(), ..profile.clone() };
        let words = |error: &raw::Error| match error {
            raw::Error::Many { problems } => {
                problems.iter().map(|problem| chain(problem)).collect::<Vec<_>>().join("; ")
            }
            raw::Error::One(problem) => chain(&**problem),
        };
        let documents = raw::read(&profile).map_err(|error| words(&error))?;
        raw::objects(&profile, &documents, &std::collections::BTreeMap::new()).map(drop).map_err(|error| words(&error))
    };
    let before = draft.manifests.len();
    for file in draft.manifests.clone() {
        if let Err(words) = check(std::slice::from_ref(&file)) {
            draft.manifests.retain(|other| *other != file);
            draft.leave(&file, words);
        }
    }
    while let (Err(words), Some(last)) = (check(&draft.manifests), draft.manifests.last().cloned()) {
        draft.manifests.pop();
        draft.leave(&last, words);
    }
    before != draft.manifests.len()
}

#[cfg(test)]
mod tests {
    use super::super::draft::{Line, Service};
    use super::*;

    #[test]
    fn what_the_reader_refuses_is_taken_out_and_listed() {
        let folder = tempfile::tempdir().unwrap();
        let found = super::super::survey::survey(folder.path());
        let mut draft = Draft { name: "shop".into(), ..Draft::default() };
        let mut web = Service::new("web");
        web.set(Line::new("image", "busybox"));
        web.set(Line::new("replicas", -1));
        web.put("env", Line::new("A", "1"));
        web.put("env", Line::new("B C", "1"));
        web.set(Line::new("after", vec!["nobody"]));
        let mut gone = Service::new("gone");
        gone.set(Line::new("build", "./gone"));
        draft.services.extend([web, gone]);
        settle(&found, &mut draft, &Surroundings::default()).unwrap();
        assert_eq!(
            serde_saphyr::from_str::<serde_json::Value>(&draft.text()).unwrap()["services"],
            serde_json::json!({"web": {"image": "busybox", "env": {"A": "1"}}})
        );
        assert_eq!(draft.left.len(), 4, "{:?}", draft.left);
    }
}
