//! The error that a stalled rollout becomes: what, why, the last lines, where, what next.

use std::fmt;

use miette::Diagnostic;

use super::Trouble;
use crate::error::Kind;

/// A workload that did not become ready, and why. The first trouble is the headline.
#[derive(Debug)]
pub(crate) struct NotReady {
    pub(crate) service: String,
    /// `deployment web`
    pub(crate) workload: String,
    pub(crate) troubles: Vec<Trouble>,
    /// Set when the deadline passed: seconds, and the last known state.
    pub(crate) late: Option<(u64, String)>,
    cause: Option<Cause>,
}

/// One link of the chain of causes: text of one or more lines.
#[derive(Debug)]
struct Cause {
    text: String,
    next: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn std::error::Error + 'static))
    }
}

impl NotReady {
    pub(crate) fn new(service: &str, workload: &str, troubles: Vec<Trouble>, late: Option<(u64, String)>) -> Self {
        let mut texts = Vec::new();
        if let (Some((_, state)), Some(first)) = (&late, troubles.first()) {
            texts.push(first.headline.clone());
            if troubles.len() == 1 && first.cause.is_empty() && !state.is_empty() {
                texts.push(format!("last state: {state}"));
            }
        } else if let Some((_, state)) = &late {
            texts.push(format!("last state: {state}"));
        }
        if let Some(first) = troubles.first() {
            if !first.cause.is_empty() {
                texts.push(first.cause.join("\n"));
            }
            if !first.lines.is_empty() {
                texts.push(format!("the last lines of its log:\n{}", first.lines.join("\n")));
            }
            texts.extend(place(first));
        }
        texts.extend(troubles.iter().skip(1).map(|trouble| format!("also: {}", trouble.headline)));
        let cause = texts.into_iter().rev().fold(None, |next, text| Some(Cause { text, next: next.map(Box::new) }));
        Self { service: service.to_owned(), workload: workload.to_owned(), troubles, late, cause }
    }

    pub(crate) fn kind(&self) -> Kind {
        let refused = self.troubles.first().is_some_and(|trouble| trouble.refused);
        if refused { Kind::Refused } else { Kind::Work }
    }
}

fn place(trouble: &Trouble) -> Option<String> {
    let pod = trouble.pod.as_ref()?;
    Some(match &trouble.container {
        Some(container) => format!("in pod {pod}, container {container}"),
        None => format!("in pod {pod}"),
    })
}

impl fmt::Display for NotReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.late, self.troubles.first()) {
            (Some((seconds, _)), _) => write!(formatter, "{} did not become ready within {seconds} s", self.workload),
            (None, Some(trouble)) => write!(formatter, "{} cannot become ready: {}", self.workload, trouble.headline),
            (None, None) => write!(formatter, "{} cannot become ready", self.workload),
        }
    }
}

impl std::error::Error for NotReady {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for NotReady {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let code = self.troubles.first().map_or("late", |trouble| trouble.code);
        Some(Box::new(format!("coracle::deploy::{code}")))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.troubles.first().map(|trouble| trouble.help.as_str()).filter(|help| !help.is_empty());
        let service = if self.service.is_empty() { String::new() } else { format!(" {}", self.service) };
        Some(match own {
            Some(help) => Box::new(help.to_owned()),
            None => Box::new(format!("`coracle status{service}` and `coracle logs{service}` show more")),
        })
    }
}
