//! Rules read off a Dockerfile: which file of the context ends where in the container, and
//! which one a build step uses, so that it needs a new image.
//!
//! Followed are `COPY` and `ADD` of the target stage, of the stages that it stands on and of
//! those that it copies from. What cannot be followed is rebuilt; nothing is guessed at the
//! cost of a container that differs from its image. Which variables a base image sets is not
//! known here, and its working folder only for well-known images.

mod language;
mod layout;
mod reload;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::BTreeMap;

use self::language::Language;
use self::layout::{Laid, Layout};
pub(crate) use self::reload::reloads;
use super::rules::{Rules, Sources};
use super::tree::Tree;
use crate::image::dockerfile::Dockerfile;
use crate::image::dockerfile::recipe::{Deed, Recipe};
use crate::profile::Build;

/// What the profile says of a service's process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Process {
    /// What replaces the image's ENTRYPOINT and CMD.
    pub(crate) command: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: BTreeMap<String, String>,
    /// `restart:` of the service.
    pub(crate) restart: Option<bool>,
    /// `sync: infer` stands there: compiled languages, too.
    pub(crate) is_asked: bool,
}

/// What a Dockerfile suggests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inferred {
    pub(crate) rules: Rules,
    /// What was inferred, for the screen.
    pub(crate) sentences: Vec<String>,
}

/// Infers the rules of a service from its Dockerfile. `tree` is its build context.
pub(crate) fn infer(dockerfile: &Dockerfile, build: &Build, tree: &Tree, process: &Process) -> Inferred {
    let Some(recipe) = dockerfile.recipe(build.target.as_deref(), &build.args) else {
        let sentence = "the Dockerfile is for another front end, so every change builds".to_owned();
        return Inferred { sentences: vec![sentence], ..Inferred::default() };
    };
    let file = dockerfile.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let layout = Layout::of(&recipe, recipe.target, &file, tree);
    let (argv, env) = command(&recipe, process);
    let language = Language::judge(dockerfile.base.as_deref(), &argv, tree);
    let mut rules = Rules { triggers: layout.triggers.clone(), taken: taken(&layout), ..Rules::default() };
    let mut sentences = Vec::new();
    if language.is_compiled() && !process.is_asked {
        sentences.push(format!("{} is built, so every change of what it is made of builds", language.name()));
        return Inferred { rules, sentences };
    }
    let reloads = reloads(&argv, &env);
    for laid in layout.laid.iter().rev() {
        let is_setting = language == Language::Static && laid.to.starts_with("/etc");
        let restart = process.restart.unwrap_or(is_setting || (language != Language::Static && reloads.is_none()));
        let Some(mut rule) = laid.rule() else { continue };
        (rule.restart, rule.spares_assets) = (restart, process.restart.is_none() && !is_setting);
        let then = if restart { ", then the process is restarted" } else { "" };
        sentences.push(format!("`{}` is synced to `{}`{then} ({file}:{})", laid.source, laid.to.display(), laid.line));
        rules.rules.push(rule);
    }
    if let (Some(what), None) = (reloads, process.restart) {
        sentences.push(format!("nothing is restarted: {what} takes changes up by itself"));
    }
    sentences.extend(
        rules.triggers.iter().map(|trigger| format!("`{}` rebuilds: it {}", trigger.sources.text, trigger.why)),
    );
    Inferred { rules, sentences }
}

/// Returns all that the image is made of, if everything could be followed.
fn taken(layout: &Layout) -> Option<Vec<Sources>> {
    let laid = layout.laid.iter().chain(&layout.read).map(Laid::sources);
    let sources: Option<Vec<Sources>> = laid.chain(layout.triggers.iter().map(|it| Some(it.sources.clone()))).collect();
    sources.filter(|_| layout.is_followed)
}

/// Returns the words and the environment of the process that will run.
fn command(recipe: &Recipe, process: &Process) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut entrypoint, mut command) = (Vec::new(), Vec::new());
    let mut chain: Vec<usize> = std::iter::successors(Some(recipe.target), |at| recipe.stages[*at].parent).collect();
    chain.reverse();
    for step in chain.iter().flat_map(|at| &recipe.stages[*at].steps) {
        if let Deed::Command { is_entrypoint, words } = &step.deed {
            (if *is_entrypoint { &mut entrypoint } else { &mut command }).clone_from(words);
        }
    }
    if let Some(given) = &process.command {
        (entrypoint, command) = (given.clone(), Vec::new());
    }
    if let Some(args) = &process.args {
        command.clone_from(args);
    }
    let mut env = recipe.stages[recipe.target].env.clone();
    env.extend(process.env.clone());
    ([entrypoint, command].concat(), env)
}
