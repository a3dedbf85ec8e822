//! Stages: which stand on which, and what the target inherits.

use std::collections::{BTreeMap, BTreeSet};

use parse_dockerfile::{Flag, FromInstruction, Instruction};

use super::scope::{Scope, expand, pairs, words};

/// One FROM and what follows it.
pub(super) struct Stage<'b, 'a> {
    /// In lower case, as Docker compares names.
    pub(super) name: Option<String>,
    /// What FROM names, args filled in.
    image: String,
    /// The stage that `image` is, if it is one.
    pub(super) parent: Option<usize>,
    pub(super) steps: Vec<Step<'b, 'a>>,
    /// The variables at the stage's end: a stage that stands on this one begins with them.
    pub(super) scope: Scope,
}

pub(super) struct Step<'b, 'a> {
    pub(super) instruction: &'b Instruction<'a>,
    /// What `COPY --from` and `RUN --mount=…,from=` name, args filled in.
    from: Vec<String>,
    /// The words of an EXPOSE, args filled in.
    ports: Vec<String>,
    /// The variables that it sees.
    pub(super) scope: Scope,
}

impl Stage<'_, '_> {
    pub(super) fn external_base(&self) -> Option<String> {
        let is_external = self.parent.is_none() && !self.image.is_empty() && self.image != "scratch";
        is_external.then(|| self.image.clone())
    }
}

/// Resolves all stages, in order.
pub(super) fn resolve<'b, 'a>(
    instructions: &'b [Instruction<'a>],
    args: &BTreeMap<String, String>,
) -> Vec<Stage<'b, 'a>> {
    let mut global = platform();
    let mut stages: Vec<Stage<'b, 'a>> = Vec::new();
    for instruction in instructions {
        match (instruction, stages.last_mut()) {
            (Instruction::From(from), _) => {
                let stage = begin(from, &stages, &global);
                stages.push(stage);
            }
            (Instruction::Arg(arg), None) => set_args(&arg.arguments.value, &mut global, None, args),
            (instruction, Some(stage)) => {
                match instruction {
                    Instruction::Arg(arg) => set_args(&arg.arguments.value, &mut stage.scope, Some(&global), args),
                    Instruction::Env(env) => {
                        let before = stage.scope.clone();
                        for (name, value) in pairs(&env.arguments.value) {
                            stage.scope.insert(name, expand(&value.unwrap_or_default(), &before));
                        }
                    }
                    _ => {}
                }
                stage.steps.push(step(instruction, &stage.scope));
            }
            (_, None) => {}
        }
    }
    stages
}

fn begin<'b, 'a>(from: &FromInstruction<'_>, stages: &[Stage<'b, 'a>], global: &Scope) -> Stage<'b, 'a> {
    let image = expand(&from.image.value, global);
    let parent = position(stages, &image);
    Stage {
        name: from.as_.as_ref().map(|(_, name)| name.value.to_lowercase()),
        scope: parent.map(|at| stages[at].scope.clone()).unwrap_or_default(),
        image,
        parent,
        steps: Vec::new(),
    }
}

/// Returns the last stage of that name. A later one of the same name hides an earlier one.
fn position(stages: &[Stage<'_, '_>], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    stages.iter().rposition(|stage| stage.name.as_deref() == Some(name.as_str()))
}

/// What Docker sets before the first FROM; images for this machine are what is built.
fn platform() -> Scope {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut scope = Scope::new();
    for side in ["BUILD", "TARGET"] {
        scope.insert(format!("{side}OS"), "linux".to_owned());
        scope.insert(format!("{side}ARCH"), architecture.to_owned());
        scope.insert(format!("{side}PLATFORM"), format!("linux/{architecture}"));
    }
    scope
}

fn set_args(text: &str, scope: &mut Scope, global: Option<&Scope>, args: &BTreeMap<String, String>) {
    for word in words(text) {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(expand(default, scope))),
            None => (word.as_str(), None),
        };
        let given = args.get(name).cloned();
        let value = given.or(default).or_else(|| global.and_then(|global| global.get(name).cloned()));
        if let Some(value) = value {
            scope.insert(name.to_owned(), value);
        }
    }
}

fn step<'b, 'a>(instruction: &'b Instruction<'a>, scope: &Scope) -> Step<'b, 'a> {
    let flag_value = |flag: &Flag<'_>| flag.value.as_ref().map(|value| value.value.to_string()).unwrap_or_default();
    let from = match instruction {
        Instruction::Copy(copy) => {
            copy.options.iter().filter(|flag| flag.name.value == "from").map(flag_value).collect()
        }
        Instruction::Run(run) => {
            let mounts = run.options.iter().filter(|flag| flag.name.value == "mount").map(flag_value);
            mounts
                .filter_map(|mount| mount.split(',').find_map(|part| part.strip_prefix("from=").map(str::to_owned)))
                .collect()
        }
        _ => Vec::new(),
    };
    let ports = match instruction {
        Instruction::Expose(expose) => expose.arguments.iter().map(|word| expand(&word.value, scope)).collect(),
        _ => Vec::new(),
    };
    let from: Vec<String> = from;
    Step { instruction, from: from.iter().map(|from| expand(from, scope)).collect(), ports, scope: scope.clone() }
}

/// Returns the stage that a build makes: by name, by number, or the last.
pub(super) fn find_target(stages: &[Stage<'_, '_>], target: Option<&str>) -> Option<usize> {
    match target {
        None => stages.len().checked_sub(1),
        Some(target) => {
            position(stages, target).or_else(|| target.parse().ok().filter(|number| *number < stages.len()))
        }
    }
}

/// Returns the stages from the root of `last` to `last`.
pub(super) fn chain(stages: &[Stage<'_, '_>], last: usize) -> Vec<usize> {
    let mut chain: Vec<usize> = std::iter::successors(Some(last), |&at| stages[at].parent).collect();
    chain.reverse();
    chain
}

/// Returns the external images that building `last` needs, in the order of the file.
pub(super) fn bases(stages: &[Stage<'_, '_>], last: usize) -> Vec<String> {
    let mut needed = BTreeSet::from([last]);
    let mut bases: Vec<(usize, String)> = Vec::new();
    // What a stage needs stands before it, so one pass from the end sees everything.
    for at in (0..=last).rev() {
        if !needed.contains(&at) {
            continue;
        }
        let stage = &stages[at];
        needed.extend(stage.parent);
        let mut images: Vec<String> = stage.external_base().into_iter().collect();
        for from in stage.steps.iter().flat_map(|step| &step.from) {
            let number = from.parse().ok().filter(|number| *number < at);
            match position(&stages[..at], from).or(number) {
                Some(other) => {
                    needed.insert(other);
                }
                None if from != "scratch" && !from.is_empty() => images.push(from.clone()),
                None => {}
            }
        }
        bases.extend(images.into_iter().map(|image| (at, image)));
    }
    bases.sort_by_key(|(at, _)| *at);
    let mut seen = BTreeSet::new();
    bases.into_iter().map(|(_, image)| image).filter(|image| seen.insert(image.clone())).collect()
}

/// Returns the TCP ports that the stages of `chain` expose.
pub(super) fn exposed(stages: &[Stage<'_, '_>], chain: &[usize]) -> Vec<u16> {
    let mut ports = Vec::new();
    let steps = chain.iter().flat_map(|&at| &stages[at].steps);
    for word in steps.flat_map(|step| &step.ports).flat_map(|words| words.split_whitespace()) {
        for port in parse_ports(word).into_iter().flatten() {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

/// Parses `80`, `80/tcp`, `8000-8002`; `None` for other protocols and for what is no port.
fn parse_ports(word: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (protocol.eq_ignore_ascii_case("tcp") && first > 0 && first <= last).then_some(first..=last)
}
