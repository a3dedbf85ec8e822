//! `coracle render` and `coracle diff`: the manifests, and what would change, field by field.

use std::path::Path;

use serde_json::{Value, json};

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::manifest;
use crate::deploy::object::Object;
use crate::error::{Classified, Failure, Kind};
use crate::image::engine;
use crate::observe::{self, Asked};
use crate::plan::{self, Options};
use crate::session::Session;
use crate::ui;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("`{path}` could not be written", path = path.display())]
#[diagnostic(code(coracle::render::unwritable))]
struct Unwritable {
    path: std::path::PathBuf,
    source: std::io::Error,
}

impl Classified for Unwritable {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// Prints what `up` would apply, as YAML. Values of secrets are left out.
pub(crate) async fn render(session: &Session, global: &Global, flags: &args::Render) -> Result<Answer, Failure> {
    let mut profile = target::profile(session, global)?;
    let engine = engine::connect(session).await?;
    let observed = observe::observe(session, &engine, &mut profile, &Asked::default()).await?;
    let plan = plan::up(&profile, &observed, &Options::default())?;
    let (objects, said) = plan::render(&profile, &observed, &plan.images)?;
    said.iter().chain(&plan.warnings).for_each(|text| session.events.warn(text));
    let objects: Vec<Object> = objects.into_iter().map(manifest::without_secrets).collect();
    if objects.iter().any(|object| object.kind() == "Secret") {
        session.events.info("Values of secrets are left out");
    }
    let json = Value::Array(objects.iter().map(|object| object.0.clone()).collect());
    let Some(folder) = &flags.split else {
        let text: Vec<String> = objects.iter().map(manifest::yaml).collect();
        return Ok(Answer { text: text.join("---\n"), json });
    };
    let folder = session.surroundings.absolute(folder);
    let mut names = Vec::new();
    for object in &objects {
        let path = folder.join(manifest::file_name(object));
        if !global.dry_run {
            write(&path, &manifest::yaml(object))?;
        }
        names.push(path.display().to_string());
    }
    Ok(Answer { text: names.join("\n") + "\n", json: json!(names) })
}

fn write(path: &Path, text: &str) -> Result<(), Unwritable> {
    let fault = |source| Unwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fault)?;
    }
    std::fs::write(path, text).map_err(fault)
}

/// Prints what `up` would change in the cluster.
pub(crate) async fn diff(session: &Session, global: &Global) -> Result<Answer, Failure> {
    let mut profile = target::profile(session, global)?;
    let engine = engine::connect(session).await?;
    let observed = observe::observe(session, &engine, &mut profile, &Asked::default()).await?;
    let plan = plan::up(&profile, &observed, &Options::default())?;
    if plan.preliminary {
        // Its objects cannot be asked for; a cluster that is not there yet has none.
        target::running(session, &profile).await?;
    }
    if plan.changes.apply.is_empty() && plan.changes.prune.is_empty() {
        session.events.info("No object would change");
    }
    Ok(Answer { text: ui::plan::changes(&plan.changes), json: ui::plan::changes_json(&plan.changes) })
}
