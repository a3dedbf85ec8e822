//! Opens a URL in the browser of whoever sits at this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::exec;

/// How long what opens a browser may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the URL; says in words why it could not be.
pub(crate) async fn open(url: &str, cancel: &CancellationToken) -> Result<(), String> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let command = exec::Command {
        program: program.to_owned(),
        args: vec![url.to_owned()],
        env: BTreeMap::new(),
        stdin: None,
        folder: None,
        deadline: PATIENCE,
    };
    match exec::run(&command, cancel, &mut |_| {}).await {
        Ok(output) if output.succeeded() => Ok(()),
        Ok(output) => Err(exec::Failed::new(&command, &output).to_string()),
        Err(error) => Err(error.to_string()),
    }
}
