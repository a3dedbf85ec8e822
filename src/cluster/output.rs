//! What kind prints while it makes a cluster: steps, and what went wrong.

use std::collections::BTreeMap;

use super::Error;
use super::error::Words;
use crate::event::{Progress, Unit};
use crate::exec::Failed;

/// Counts kind's steps from its standard error.
#[derive(Debug)]
pub(super) struct Steps {
    done: u64,
    total: u64,
}

impl Steps {
    /// Image, nodes, configuration, control plane, CNI, storage class; then the workers; at
    /// last the API server, which Coracle waits for itself.
    pub(super) fn new(nodes: u32) -> Self {
        Self { done: 0, total: if nodes > 1 { 8 } else { 7 } }
    }

    /// Returns what a line tells of the progress. Lines that tell nothing return `None`.
    pub(super) fn read(&mut self, line: &str) -> Option<Progress> {
        let line = line.trim_start();
        if let Some(step) = line.strip_prefix('•') {
            return Some(self.progress(words(step)));
        }
        let step = line.strip_prefix('✓')?;
        self.done = (self.done + 1).min(self.total - 1);
        Some(self.progress(words(step)))
    }

    /// Returns the last step's progress.
    pub(super) fn last(&self, detail: &str) -> Progress {
        Progress { done: self.total - 1, total: Some(self.total), unit: Unit::Steps, detail: detail.to_owned() }
    }

    fn progress(&self, detail: String) -> Progress {
        Progress { done: self.done, total: Some(self.total), unit: Unit::Steps, detail }
    }
}

/// Returns a step's words without the pictures and dots behind them.
fn words(step: &str) -> String {
    let text = |letter: &char| letter.is_alphanumeric() || letter.is_ascii();
    let kept: String = step.chars().filter(text).collect();
    kept.trim().trim_end_matches('.').trim_end().to_owned()
}

/// Why a creation failed, as far as kind's words tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    Port(u16),
    Image,
    Inotify,
    Other,
}

/// Returns what the whole of kind's standard error tells.
pub(super) fn trouble(text: &str) -> Trouble {
    if let Some(port) = super::ports::taken_port(text) {
        Trouble::Port(port)
    } else if text.contains("failed to pull image") {
        Trouble::Image
    } else if text.contains("could not find a log line that matches") || text.contains("Too many open files") {
        Trouble::Inotify
    } else {
        Trouble::Other
    }
}

/// Returns the error for a creation that failed.
pub(super) fn failure(name: &str, trouble: &Trouble, failed: &Failed, published: &BTreeMap<u16, String>) -> Error {
    let (name, cause) = (name.to_owned(), Words::new(failed));
    match *trouble {
        Trouble::Port(port) => {
            Error::PortTaken { name, doing: "created", port, holder: super::ports::holder(port, published), cause }
        }
        Trouble::Image => Error::NodeImage {
            name,
            help: "name one that this machine has (`docker images kindest/node`) with `cluster: {image: …}` in the \
                   profile or KIND_NODE_IMAGE, or go online once and run the same command again"
                .to_owned(),
            cause,
        },
        Trouble::Inotify => Error::Inotify { name, cause },
        Trouble::Other => Error::Provider {
            name,
            doing: "created",
            help: "nothing was left behind; `kind` itself says why above".to_owned(),
            cause,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kind v0.33.0 prints it into a pipe.
    const CREATED: &str = "\
cgroup v1 is deprecated in Kubernetes and will not be supported in a future kind release, please upgrade to cgroup v2
Creating cluster \"shop\" ...
 • Ensuring node image (kindest/node:v1.33.13) 🖼  ...
 ✓ Ensuring node image (kindest/node:v1.33.13) 🖼
 • Preparing nodes 📦   ...
 ✓ Preparing nodes 📦 
 • Writing configuration 📜  ...
 ✓ Writing configuration 📜
 • Starting control-plane 🕹️  ...
 ✓ Starting control-plane 🕹️
 • Installing CNI 🔌  ...
 ✓ Installing CNI 🔌
 • Installing StorageClass 💾  ...
 ✓ Installing StorageClass 💾
Set kubectl context to \"kind-shop\"
You can now use your cluster with:
";

    #[test]
    fn steps_are_counted() {
        let mut steps = Steps::new(1);
        let told: Vec<String> = CREATED
            .lines()
            .filter_map(|line| steps.read(line))
            .map(|progress| format!("{}/{} {}", progress.done, progress.total.unwrap(), progress.detail))
            .collect();
        assert_eq!(
            told,
            [
                "0/7 Ensuring node image (kindest/node:v1.33.13)",
                "1/7 Ensuring node image (kindest/node:v1.33.13)",
                "1/7 Preparing nodes",
                "2/7 Preparing nodes",
                "2/7 Writing configuration",
                "3/7 Writing configuration",
                "3/7 Starting control-plane",
                "4/7 Starting control-plane",
                "4/7 Installing CNI",
                "5/7 Installing CNI",
                "5/7 Installing StorageClass",
                "6/7 Installing StorageClass",
            ]
        );
    }

    #[test]
    fn troubles_are_told_apart() {
        let port = "ERROR: failed to create cluster: command \"docker run --name shop-control-plane\" failed with \
                    error: exit status 125\nCommand Output: docker: Error response from daemon: failed to bind host \
                    port 127.0.0.1:30001/tcp: address already in use";
        assert_eq!(trouble(port), Trouble::Port(30001));
        let image = "ERROR: failed to create cluster: failed to pull image \"kindest/node:v1.99.0\": command \
                     \"docker pull kindest/node:v1.99.0\" failed with error: exit status 1";
        assert_eq!(trouble(image), Trouble::Image);
        let inotify = "ERROR: failed to create cluster: could not find a log line that matches \"Reached target \
                       .*Multi-User System.*|detected cgroup v1\"";
        assert_eq!(trouble(inotify), Trouble::Inotify);
        assert_eq!(trouble("ERROR: failed to create cluster: failed to init node with kubeadm"), Trouble::Other);
    }
}
