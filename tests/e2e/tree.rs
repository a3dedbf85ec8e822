//! Files as they are on this machine, in an image and in a container: paths, kinds, modes,
//! targets of links and content, listed by one command, which is the same everywhere.

use std::collections::BTreeSet;
use std::path::Path;

use crate::process::{program, run};

/// Lists the folder that it is started in. With GNU's `find`, as nodes have it.
pub(crate) const LIST: &str = r"
    { find . -mindepth 1 -printf '%y %m %P %l\n'; find . -type f -exec sha256sum {} +; } | LC_ALL=C sort";

/// Lists `folder` of this machine.
#[track_caller]
pub(crate) fn of_folder(folder: &Path) -> String {
    run(program("sh").args(["-ec", LIST]).current_dir(folder)).exits(0).stdout.trim().to_owned()
}

/// Panics with what differs.
#[track_caller]
pub(crate) fn assert_equal(source: &str, there: &str, whose: &str) {
    if source == there {
        return;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (source, there) = (lines(source), lines(there));
    let only = |one: &BTreeSet<String>, other| one.difference(other).take(20).cloned().collect::<Vec<_>>().join("\n");
    panic!(
        "{whose} is not what the source is\n-- only in the source\n{}\n-- only there\n{}",
        only(&source, &there),
        only(&there, &source)
    );
}
