//! From a step's name in Docker's progress back to the Dockerfile's line.

use parse_dockerfile::Instruction;

use super::source::locate;
use super::{Dockerfile, ca, instructions};

struct Candidate {
    line: usize,
    /// Without our own mounts, whitespace collapsed.
    text: String,
    /// Lower case; `stage-0` where it has no name.
    stage: String,
    /// Its number in the stage, as Docker counts; `None` for what it does not count.
    number: Option<usize>,
}

impl Dockerfile {
    /// Returns the line (from 1) and its text for a step such as `[builder 2/5] COPY . .`.
    ///
    /// The step's text has build args filled in, so texts are compared with any `$X`
    /// standing for anything; if none fits, the step's number in its stage decides.
    pub(crate) fn line_of_step(&self, step_text: &str) -> Option<(usize, String)> {
        let (place, text) = match step_text.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((place, text)) => (Some(place), text),
            None => (None, step_text),
        };
        let mut place = place.unwrap_or_default().split_whitespace().rev();
        let number: Option<usize> = place.next().and_then(|count| count.split('/').next()?.parse().ok());
        let stage = place.next().map(str::to_lowercase);
        let text = collapse(text);
        let keyword = text.split(' ').next().unwrap_or_default().to_uppercase();
        let mut candidates = self.candidates();
        candidates.retain(|candidate| candidate.text.split(' ').next().is_some_and(|word| word == keyword));
        let in_stage = |candidate: &&Candidate| stage.as_ref().is_none_or(|stage| candidate.stage == *stage);
        let at_number = |candidate: &&Candidate| number.is_some() && candidate.number == number;
        let fits = |candidate: &&Candidate| is_expansion(&candidate.text, &text);
        let all = || candidates.iter();
        let found = all()
            .find(|c| in_stage(c) && at_number(c) && fits(c))
            .or_else(|| all().find(|c| in_stage(c) && c.text == text))
            .or_else(|| all().find(|c| in_stage(c) && fits(c)))
            .or_else(|| all().find(fits))
            .or_else(|| all().find(|c| stage.is_some() && in_stage(c) && at_number(c)))?;
        let line = self.text.lines().nth(found.line - 1)?;
        Some((found.line, line.trim_end().to_owned()))
    }

    fn candidates(&self) -> Vec<Candidate> {
        let instructions = instructions(&self.text).unwrap_or_default();
        let mut candidates = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut number = 0;
        for located in locate(&self.text, &instructions) {
            let counts = matches!(located.keyword.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR");
            let mut is_from = false;
            if let Instruction::From(from) = located.instruction {
                let base = from.image.value.to_lowercase();
                // BuildKit counts a FROM that pulls, not one that is a stage or nothing.
                is_from = base != "scratch" && !names.contains(&base);
                number = 0;
                names.push(match &from.as_ {
                    Some((_, name)) => name.value.to_lowercase(),
                    None => format!("stage-{}", names.len()),
                });
            }
            number += usize::from(counts || is_from);
            candidates.push(Candidate {
                line: located.line,
                text: format!("{} {}", located.keyword, collapse(&located.rest)),
                stage: names.last().cloned().unwrap_or_default(),
                number: (counts || is_from).then_some(number),
            });
        }
        candidates
    }
}

/// Collapses whitespace and drops the mounts that `with_ca` adds.
fn collapse(text: &str) -> String {
    let ours = |word: &&str| !word.starts_with("--mount=type=secret,id=") || !word.contains(ca::CA_SECRET);
    text.split_whitespace().filter(ours).collect::<Vec<_>>().join(" ")
}

/// Returns whether `text` is `source` with its variables filled in. Docker shortens a
/// long text with `…` or `...`, and a here-document to its first line.
fn is_expansion(source: &str, text: &str) -> bool {
    let shortened = text.strip_suffix("...").or_else(|| text.strip_suffix('…'));
    let here_document = text.contains("<<").then(|| text.split(" (").next()).flatten();
    let text = here_document.or(shortened).unwrap_or(text);
    let mut pieces = pieces(source).into_iter();
    let first = pieces.next().unwrap_or_default();
    if shortened.is_some() && first.starts_with(text) {
        return true;
    }
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return here_document.is_some_and(|opening| source.starts_with(opening));
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece.as_str()) else { return shortened.is_some() };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || shortened.is_some() || last.is_some_and(|last| last.is_empty() || text.ends_with(&last))
}

/// Returns what stands between the variables of `source`.
fn pieces(source: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = source;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(before);
        }
        let name = &from[1..];
        let length = if name.starts_with('{') {
            name.find('}').map_or(name.len(), |end| end + 1)
        } else {
            name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())
        };
        rest = &name[length..];
        pieces.push(String::new());
    }
    if let Some(piece) = pieces.last_mut() {
        piece.push_str(rest);
    }
    pieces
}
