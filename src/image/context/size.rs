//! A sentence about a context that is larger than anybody meant.

use std::collections::BTreeMap;

use super::{Context, What};

const MEGABYTE: u64 = 1_000_000;
const LARGE: u64 = 200 * MEGABYTE;
const LARGE_GIT: u64 = 20 * MEGABYTE;

impl Context {
    /// Returns what makes the context large, and what to do about it; `None` below 200 MB
    /// unless more than 20 MB of `.git` is sent.
    pub(crate) fn large(&self) -> Option<String> {
        let mut parts: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &self.entries {
            if let (What::File { size, .. }, Some(top)) = (&entry.what, entry.path.components().next()) {
                *parts.entry(top.as_os_str().to_string_lossy().into_owned()).or_default() += size;
            }
        }
        let git = parts.get(".git").copied().filter(|size| *size > LARGE_GIT);
        let root = crate::ui::sanitize::line(&self.root.display().to_string());
        if self.size > LARGE {
            let mut parts: Vec<(String, u64)> = parts.into_iter().collect();
            parts.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
            parts.truncate(3);
            if let Some(size) = git.filter(|_| parts.iter().all(|(name, _)| name != ".git")) {
                parts.push((".git".to_owned(), size));
            }
            let parts: Vec<String> = parts.iter().map(|(name, size)| part(name, *size)).collect();
            return Some(format!(
                "The build context `{root}` is {}, most of it in {}: name what the image does not need in `.dockerignore`.",
                megabytes(self.size),
                parts.join(", ")
            ));
        }
        git.map(|size| {
            format!("The build context `{root}` includes {}: name it in `.dockerignore`.", part(".git", size))
        })
    }
}

fn part(name: &str, size: u64) -> String {
    format!("`{}` ({})", crate::ui::sanitize::line(name), megabytes(size))
}

fn megabytes(size: u64) -> String {
    format!("{} MB", size.div_ceil(MEGABYTE))
}
