//! `coracle new`: a small application to start from, in a folder of its own.

use std::path::PathBuf;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, init};
use crate::error::{Classified, Failure, Kind};
use crate::init::starter::{self, TEMPLATES};
use crate::session::Session;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Error {
    #[error("there is no template `{name}`")]
    #[diagnostic(code(coracle::new::unknown), help("{help}"))]
    Unknown { name: String, help: String },

    #[error("`{}` is not empty", path.display())]
    #[diagnostic(
        code(coracle::new::not_empty),
        help("name another folder: `coracle new {template} DIR`; for an application that is there, `coracle init`")
    )]
    NotEmpty { path: PathBuf, template: String },

    #[error("the folder `{}` could not be made", path.display())]
    #[diagnostic(code(coracle::new::unwritable))]
    Unwritable { path: PathBuf, source: std::io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown { .. } => Kind::Request,
            Self::NotEmpty { .. } => Kind::Refused,
            Self::Unwritable { .. } => Kind::Absent,
        }
    }
}

/// Writes the application; without a template, lists what there is.
pub(crate) fn new(session: &Session, global: &Global, flags: &args::New) -> Result<Answer, Failure> {
    let Some(name) = &flags.template else {
        let rows: Vec<_> =
            TEMPLATES.iter().map(|template| vec![template.name.to_owned(), template.what.to_owned()]).collect();
        let text = crate::ui::table::lines(&rows);
        let json = TEMPLATES.iter().map(|template| json!({"name": template.name, "what": template.what})).collect();
        return Ok(Answer { text, json });
    };
    let Some(template) = TEMPLATES.iter().find(|template| template.name == name) else {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        return Err(Error::Unknown { name: name.clone(), help: format!("one of {}", names.join(", ")) }.into());
    };
    let written = flags.folder.clone().unwrap_or_else(|| template.name.into());
    let folder = session.surroundings.absolute(&written);
    let there = folder.symlink_metadata().is_ok();
    let empty = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
    if there && !empty {
        return Err(Error::NotEmpty { path: folder, template: name.clone() }.into());
    }
    let mut paths = Vec::new();
    for (path, text) in starter::files(template, &folder) {
        let path = folder.join(path);
        if !global.dry_run {
            let above = path.parent().expect("a file of a template is in a folder");
            std::fs::create_dir_all(above).map_err(|source| Error::Unwritable { path: above.to_owned(), source })?;
            init::write(&path, &text)?;
        }
        paths.push(path.display().to_string());
    }
    let shown = crate::ui::sanitize::line(&written.display().to_string());
    session
        .events
        .info(format!("`cd {shown} && coracle up` runs it; `coracle dev` brings every saved file to where it runs"));
    Ok(Answer { text: paths.join("\n") + "\n", json: json!(paths) })
}
