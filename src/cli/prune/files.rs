//! Files under the cache folder that nothing has read or written for a while.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::session::Session;
use crate::ui::words;

/// How long a cached file may lie unused.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Returns files that were not used for too long, with their sizes. What cannot be looked at is no
/// cache of ours to remove.
pub(super) fn stale(folder: &Path, now: SystemTime) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Of a link, the link itself.
        let Ok(facts) = entry.path().symlink_metadata() else { continue };
        if facts.is_dir() {
            found.extend(stale(&entry.path(), now));
        } else if facts.is_file() {
            // A disk that does not note reads still notes writes.
            let used = facts.modified().into_iter().chain(facts.accessed()).max();
            let unused = used.and_then(|used| now.duration_since(used).ok());
            if unused.is_some_and(|unused| unused > UNUSED) {
                found.push((entry.path(), facts.len()));
            }
        }
    }
    found.sort();
    found
}

/// Removes a file; returns whether it is gone.
pub(super) fn remove(session: &Session, path: &Path) -> bool {
    match std::fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            session.events.warn(words::kept(&path.display().to_string(), &error.to_string()));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_used_for_a_month_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("contexts")).unwrap();
        let file = |name: &str, days: u64| {
            let path = folder.path().join(name);
            std::fs::write(&path, "12345").unwrap();
            let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            let times = std::fs::FileTimes::new().set_modified(time).set_accessed(time);
            std::fs::File::open(&path).unwrap().set_times(times).unwrap();
            path
        };
        file("layers", 1);
        let old = file("contexts/shop-web", 31);
        std::os::unix::fs::symlink(&old, folder.path().join("link")).unwrap();
        assert_eq!(stale(folder.path(), SystemTime::now()), [(old, 5)]);
        assert_eq!(stale(&folder.path().join("absent"), SystemTime::now()), []);
    }
}
