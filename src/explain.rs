//! The long story of each error: what it means, why it happens, what mends it. Data: one file per area
//! in `explain/`, a heading per code. A test holds them to the codes that the sources have.

/// The files, in the order in which they are listed.
const PAGES: [&str; 17] = [
    include_str!("explain/cli.md"),
    include_str!("explain/init.md"),
    include_str!("explain/profile.md"),
    include_str!("explain/manifests.md"),
    include_str!("explain/observe.md"),
    include_str!("explain/plan.md"),
    include_str!("explain/ports.md"),
    include_str!("explain/engine.md"),
    include_str!("explain/image.md"),
    include_str!("explain/load.md"),
    include_str!("explain/cluster.md"),
    include_str!("explain/deploy.md"),
    include_str!("explain/dev.md"),
    include_str!("explain/verbs.md"),
    include_str!("explain/url.md"),
    include_str!("explain/trust.md"),
    include_str!("explain/exec.md"),
];

/// One error's story.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Entry {
    /// `coracle::load::node_full`
    pub(crate) code: &'static str,
    /// What it means and why it happens.
    pub(crate) meaning: &'static str,
    /// What mends it.
    pub(crate) mend: &'static str,
}

impl Entry {
    /// Returns the first sentence, for a list.
    pub(crate) fn first(&self) -> &'static str {
        self.meaning.split_inclusive(". ").next().unwrap_or(self.meaning).trim()
    }
}

/// Returns all entries, by area.
pub(crate) fn all() -> Vec<Entry> {
    PAGES.iter().flat_map(|page| page.split("## ").filter(|part| !part.trim().is_empty()).map(entry)).collect()
}

fn entry(part: &'static str) -> Entry {
    let (code, text) = part.split_once('\n').unwrap_or((part, ""));
    let (meaning, mend) = text.split_once("\nMend: ").unwrap_or((text, ""));
    Entry { code: code.trim(), meaning: meaning.trim(), mend: mend.trim() }
}

/// Returns the entry of a code, which may lack its beginning: `node_full` and `load::node_full` will do where
/// only one ends so. Else, the code that is most like it.
pub(crate) fn find(entries: &[Entry], wanted: &str) -> Result<Entry, Option<&'static str>> {
    let wanted = wanted.trim().trim_end_matches(':');
    let ends = |entry: &&Entry| entry.code == wanted || entry.code.ends_with(&format!("::{wanted}"));
    let found: Vec<&Entry> = entries.iter().filter(ends).collect();
    if let [one] = found[..] {
        return Ok(one.clone());
    }
    let tail = |code: &str| code.rsplit("::").next().unwrap_or(code).to_owned();
    let near = entries.iter().map(|entry| {
        let whole = strsim::normalized_damerau_levenshtein(entry.code, wanted);
        (whole.max(strsim::normalized_damerau_levenshtein(&tail(entry.code), &tail(wanted))), entry.code)
    });
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.5);
    Err(best.map(|(_, code)| code))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                sources(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
                into.push(path);
            }
        }
    }

    /// Returns the first text in quotes.
    fn quoted(text: &str) -> Option<&str> {
        text.split('"').nth(1)
    }

    /// Codes as attributes, and those of two enums that word them in code.
    fn codes() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&root, &mut files);
        let mut codes = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let attributes = text.split("code(coracle::").skip(1).filter_map(|rest| rest.split(')').next());
            codes.extend(attributes.map(|code| format!("coracle::{code}")));
            if file.parent() == Some(&root.join("deploy/explain")) {
                let troubles = text.split("Trouble::new(").chain(text.split("trouble(")).skip(1);
                let named = troubles.filter_map(|rest| rest.split(',').nth(1)).filter_map(quoted);
                codes.extend(named.map(|code| format!("coracle::deploy::{code}")));
            }
            if file.ends_with("image/pull.rs") {
                let names = text.split("fn name(").nth(1).unwrap().split("    }\n").next().unwrap();
                codes.extend(names.lines().filter_map(quoted).map(|code| format!("coracle::image::{code}")));
            }
        }
        let unnamed = ["wrong_port", "loopback", "late"];
        codes.extend(unnamed.map(|code| format!("coracle::deploy::{code}")));
        codes
    }

    #[test]
    fn every_code_of_the_sources_has_an_entry_and_no_entry_is_of_none() {
        let codes = codes();
        assert!(codes.len() > 100 && codes.contains("coracle::image::too_many_pulls"), "{codes:?}");
        assert!(codes.contains("coracle::deploy::crash") && codes.contains("coracle::deploy::probe"), "{codes:?}");
        let entries: BTreeSet<String> = all().iter().map(|entry| entry.code.to_owned()).collect();
        let lacking: Vec<_> = codes.difference(&entries).collect();
        assert!(lacking.is_empty(), "no entry in src/explain/: {lacking:?}");
        let stale: Vec<_> = entries.difference(&codes).collect();
        assert!(stale.is_empty(), "no such error any more: {stale:?}");
        assert_eq!(entries.len(), all().len(), "a code has two entries");
    }

    #[test]
    fn every_entry_says_what_it_means_and_what_mends_it() {
        for entry in all() {
            assert!(entry.meaning.len() > 20 && entry.mend.len() > 10, "{entry:?}");
        }
    }

    #[test]
    fn a_code_is_found_by_its_end_and_a_slip_by_its_likeness() {
        let entries = all();
        for wanted in ["coracle::load::node_full", "load::node_full", "node_full"] {
            assert_eq!(find(&entries, wanted).unwrap().code, "coracle::load::node_full");
        }
        assert_eq!(find(&entries, "coracle::laod::node_ful"), Err(Some("coracle::load::node_full")));
        assert_eq!(find(&entries, "qqqq"), Err(None));
        // Two areas have one.
        assert!(find(&entries, "port_taken").is_err());
    }
}
