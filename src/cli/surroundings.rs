//! The only place that reads the process's environment.
//!
//! Everything is captured once, when the command begins; what is handed down is plain data.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::session::Surroundings;

/// The folder below the user's state and cache folders that is ours.
const OURS: &str = "coracle";

/// Captures variables, folders, the user and whether a question can be asked.
pub(crate) fn capture() -> Surroundings {
    let variables = variables(std::env::vars_os());
    // A folder that was deleted under us has no path any more; what needs it will fail with its own words.
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let places = Places::find(&folder);
    Surroundings {
        user: user(&variables, rustix::process::getuid().as_raw()),
        variables,
        folder,
        home: places.home,
        state: places.state.join(OURS),
        cache: places.cache.join(OURS),
        // A question is read from standard input and asked on standard error, as stdout is the answer's.
        can_ask: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
    }
}

struct Places {
    home: PathBuf,
    state: PathBuf,
    cache: PathBuf,
}

impl Places {
    /// Follows the XDG rules on every system; without a home the current folder stands in.
    fn find(folder: &Path) -> Self {
        let Ok(base) = etcetera::base_strategy::Xdg::new() else {
            let (home, state, cache) = (folder.to_owned(), folder.join(".local/state"), folder.join(".cache"));
            return Self { home, state, cache };
        };
        let home = base.home_dir().to_owned();
        let state = base.state_dir().unwrap_or_else(|| home.join(".local/state"));
        Self { home, state, cache: base.cache_dir() }
    }
}

/// Keeps the variables that are text; nothing of ours can use another.
fn variables(all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>) -> BTreeMap<String, String> {
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Returns the user's name; where none is set, as in many containers, the number.
fn user(variables: &BTreeMap<String, String>, id: u32) -> String {
    let set = ["USER", "LOGNAME"].into_iter().find_map(|name| variables.get(name).filter(|value| !value.is_empty()));
    set.cloned().unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn variables_that_are_no_text_are_left_out() {
        let broken = OsString::from_vec(vec![b'a', 0xff]);
        let all = [("A".into(), "1".into()), ("B".into(), broken.clone()), (broken, "2".into())];
        assert_eq!(variables(all.into_iter()), BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn a_user_without_a_name_is_a_number() {
        let set =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(user(&set(&[("USER", "ada"), ("LOGNAME", "root")]), 1000), "ada");
        assert_eq!(user(&set(&[("USER", ""), ("LOGNAME", "ada")]), 1000), "ada");
        assert_eq!(user(&set(&[]), 1000), "1000");
    }

    #[test]
    fn the_folders_follow_xdg() {
        let captured = capture();
        let expected = |variable: &str, usual: &str| {
            // The XDG rules: one that is not absolute does not count.
            let set = captured.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| captured.home.join(usual)).join("coracle")
        };
        assert_eq!(captured.state, expected("XDG_STATE_HOME", ".local/state"));
        assert_eq!(captured.cache, expected("XDG_CACHE_HOME", ".cache"));
        assert!(captured.folder.is_absolute());
    }
}
