//! `coracle kubeconfig`: the path of the cluster's private kubeconfig, or its merge into the user's own.

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::cluster::{self, merge};
use crate::error::Failure;
use crate::session::Session;

pub(crate) async fn kubeconfig(
    session: &Session,
    global: &Global,
    flags: &args::Kubeconfig,
) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    // Fails with the mend where the cluster does not run, and restores a file that is gone.
    target::running(session, &profile).await?;
    let path = if flags.merge && !global.dry_run {
        let path = merge::merge(session, &profile.cluster.name)?;
        session
            .events
            .info(format!("The context is `coracle-{}`; the current context is as it was", profile.cluster.name));
        path
    } else {
        cluster::kubeconfig_path(session, &profile.cluster.name)
    };
    let path = path.display().to_string();
    Ok(Answer { text: format!("{path}\n"), json: json!({"path": path}) })
}
