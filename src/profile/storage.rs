//! What outlives a pod: volumes and mounts, and the paths at which they appear.

use super::error::{Problem, closest};
use super::file::{ServiceFile, Text};
use super::resolve::{At, Resolver, did_you_mean};
use super::tree::Span;
use super::{Mount, Volume, names};

const ACCESS: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

impl Resolver<'_> {
    pub(super) fn volumes(&mut self, at: &At, file: &ServiceFile, workload: &str) -> Vec<Volume> {
        let at = at.key("volumes");
        let mut volumes: Vec<Volume> = Vec::new();
        for (index, written) in file.volumes.iter().flatten().enumerate() {
            let at = at.key(index);
            let standard = if index == 0 { "data".to_owned() } else { format!("data-{}", index + 1) };
            let name = written.name.clone().unwrap_or(standard);
            let claim = format!("{workload}-{name}");
            if let Some(fault) = names::label_fault(&name) {
                self.wrong_help(
                    &at.key("name"),
                    format!("the volume name `{name}` {fault}"),
                    did_you_mean(&names::near_label(&name)),
                );
            } else if let Some(fault) = names::label_fault(&claim).filter(|_| written.claim.is_none()) {
                self.wrong(&at.key("name"), format!("the claim's name `{claim}` {fault}"));
            }
            if volumes.iter().any(|other| other.name == name) {
                self.wrong(&at.key("name"), format!("there are two volumes named `{name}`"));
            }
            match (&written.claim, &written.size) {
                (None, None) => self.wrong_help(
                    &at,
                    format!("the volume `{name}` has no `size`"),
                    "such as `size: 1Gi`; or `claim:` for one that exists",
                ),
                (Some(_), Some(_)) => self.wrong_help(
                    &at.key("size"),
                    "a claim that exists has its size already",
                    "remove `size` or `claim`",
                ),
                (None, Some(Text(size))) => self.quantity(&at.key("size"), "size", size),
                (Some(claim), None) => self.claim(&at.key("claim"), claim),
            }
            self.mount_path(self.place(&at.key("path")), &written.path);
            volumes.push(Volume {
                name,
                claim: written.claim.clone(),
                size: written.size.clone().map(|size| size.0),
                path: written.path.clone(),
                storage_class: written.storage_class.clone(),
                access: self.access(&at.key("access"), written.access.as_deref()),
            });
        }
        self.paths_once(&at, file);
        volumes
    }

    fn claim(&mut self, at: &At, claim: &str) {
        if claim.is_empty() || claim.len() > 253 || !claim.split('.').all(|part| names::label_fault(part).is_none()) {
            self.wrong(at, format!("`{claim}` cannot name a claim"));
        }
    }

    fn access(&mut self, at: &At, access: Option<&str>) -> String {
        let access = access.unwrap_or("ReadWriteOnce");
        if !ACCESS.contains(&access) {
            let short = ["RWO", "ROX", "RWX", "RWOP"].iter().position(|short| short.eq_ignore_ascii_case(access));
            let near = short.map(|at| ACCESS[at]).or_else(|| closest(access, ACCESS));
            let help = near.map_or(format!("one of {}", ACCESS.join(", ")), did_you_mean);
            self.wrong_help(at, format!("`{access}` is no access mode"), help);
        }
        access.to_owned()
    }

    pub(super) fn mounts(&mut self, at: &At, file: &ServiceFile) -> Vec<Mount> {
        let at = at.key("mounts");
        let mut mounts = Vec::new();
        for (index, written) in file.mounts.iter().flatten().enumerate() {
            let at = at.key(index);
            self.claim(&at.key("claim"), &written.claim);
            self.mount_path(self.place(&at.key("path")), &written.path);
            let leaves = |path: &String| path.starts_with('/') || path.split('/').any(|part| part == "..");
            if written.sub_path.as_ref().is_some_and(leaves) {
                self.wrong(
                    &at.key("sub-path"),
                    "`sub-path` is a folder inside of the claim: without a leading `/`, without `..`",
                );
            }
            mounts.push(Mount {
                claim: written.claim.clone(),
                path: written.path.clone(),
                sub_path: written.sub_path.clone(),
                read_only: written.read_only.unwrap_or(false),
            });
        }
        mounts
    }

    pub(super) fn mount_path(&mut self, place: Span, path: &str) {
        let problem = if !path.starts_with('/') {
            Problem::new(place, format!("the path `{path}` in the container does not begin with `/`"))
                .help(format!("did you mean `/{path}`?"))
        } else if path.trim_matches('/').is_empty() {
            Problem::new(place, "nothing can be mounted over the container's `/`")
        } else if path.contains(':') || path.split('/').any(|part| part == "..") {
            Problem::new(place, format!("`{path}` cannot be mounted at: a path without `:` and `..`"))
        } else {
            return;
        };
        self.problems.push(problem);
    }

    fn paths_once(&mut self, at: &At, file: &ServiceFile) {
        let service = At(at.0[..at.0.len() - 1].to_vec());
        let volumes =
            file.volumes.iter().flatten().enumerate().map(|(index, volume)| (at.key(index).key("path"), &volume.path));
        let mounts = file.mounts.iter().flatten().enumerate();
        let mounts = mounts.map(|(index, mount)| (service.key("mounts").key(index).key("path"), &mount.path));
        let files = file.files.iter().flatten().map(|(path, _)| (service.key("files").key(path), path));
        let mut seen: Vec<&str> = Vec::new();
        for (at, path) in volumes.chain(mounts).chain(files) {
            let path = path.trim_end_matches('/');
            if seen.contains(&path) && !path.is_empty() {
                self.wrong(&at, format!("two things are mounted at `{path}`"));
            }
            seen.push(path);
        }
    }

    /// Pods on different nodes cannot share such a volume.
    pub(super) fn shared_volume(&mut self, at: &At, replicas: u32, volumes: &[Volume]) {
        let service = at.0.last().cloned().unwrap_or_default();
        for volume in volumes.iter().filter(|volume| replicas > 1 && volume.access.starts_with("ReadWriteOnce")) {
            self.warnings.push(format!(
                "`{service}` has {replicas} replicas and the volume `{}`, which is {}: pods on another node could not start",
                volume.name, volume.access
            ));
        }
    }
}
