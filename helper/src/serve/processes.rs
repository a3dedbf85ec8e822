//! What runs in a container.

use super::find::{Finder, First};
use crate::protocol::Process;

/// Set for the inner process by Flask's and Django's reloaders.
const RELOADED: [&[u8]; 2] = [b"WERKZEUG_RUN_MAIN=true", b"RUN_MAIN=true"];

/// Returns the container's processes; kernel threads and what has just ended have no argv and
/// are left out, and so is what is beyond the first hundred.
pub(super) fn processes(finder: &Finder, id: &str) -> Vec<Process> {
    finder.all(id).iter().filter_map(process).take(100).collect()
}

fn process(first: &First) -> Option<Process> {
    let words = |name: &str| -> Vec<Vec<u8>> {
        let content = first.read(name).unwrap_or_default();
        let content = content.strip_suffix(b"\0").unwrap_or(&content);
        if content.is_empty() { Vec::new() } else { content.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect() }
    };
    let mut argv = words("cmdline");
    if argv.is_empty() {
        return None;
    }
    // Enough to know a program by, and many of them fit into a frame.
    argv.truncate(64);
    for word in &mut argv {
        word.truncate(512);
    }
    let reloads = words("environ").iter().any(|variable| RELOADED.contains(&variable.as_slice()));
    Some(Process { pid: first.pid, argv, reloads })
}
