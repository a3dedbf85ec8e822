//! What services say of each other: order, bases, node ports.

use std::collections::BTreeMap;

use super::build::bases;
use super::interpolate::image_references;
use super::resolve::{At, Resolver};
use super::{Build, ImageSource, Service};

impl Resolver<'_> {
    /// Checks what only all services together show.
    pub(super) fn related(&mut self, services: &[Service]) {
        let known = self.known.clone();
        let mut after: BTreeMap<&str, Vec<(String, At)>> = BTreeMap::new();
        let mut built: BTreeMap<&str, Vec<(String, At)>> = BTreeMap::new();
        for service in services {
            let at = At::of(&["services", &service.key]);
            for (index, other) in service.after.iter().enumerate() {
                let at = at.key("after").key(index);
                if !known.contains(other) {
                    self.unknown(
                        &at,
                        &format!("there is no service `{other}`"),
                        other,
                        known.iter().map(String::as_str),
                    );
                }
                after.entry(&service.key).or_default().push((other.clone(), at));
            }
            if let ImageSource::Build(build) = &service.image {
                let args = at.key("build").key("args");
                self.bases_are_built(build, &args, services);
                let edges = bases(build).into_iter().map(|other| (other, args.clone()));
                built.entry(&service.key).or_default().extend(edges);
            }
        }
        self.cycles(&after, "would wait for each other forever");
        self.cycles(&built, "would have to be built before each other");
        self.node_ports(services);
    }

    /// An argument can name an image that is built here; one that is pulled has its name already.
    fn bases_are_built(&mut self, build: &Build, args: &At, services: &[Service]) {
        for (arg, value) in &build.args {
            for other in image_references(value) {
                let pulled = services.iter().find(|service| service.key == other);
                if let Some(ImageSource::Pull(reference)) = pulled.map(|service| &service.image)
                    && !reference.is_empty()
                {
                    let said = format!("`{other}` is not built here, so a build cannot be given its image");
                    self.wrong_help(&args.key(arg), said, format!("write its reference: `{arg}: {reference}`"));
                }
            }
        }
    }

    fn cycles(&mut self, edges: &BTreeMap<&str, Vec<(String, At)>>, fate: &str) {
        let mut done: Vec<String> = Vec::new();
        for start in edges.keys() {
            let mut path: Vec<String> = vec![(*start).to_owned()];
            if let Some((cycle, at)) = walk(edges, &mut path, &mut done) {
                self.wrong(&at, format!("these services {fate}: {}", cycle.join(" → ")));
            }
        }
    }

    fn node_ports(&mut self, services: &[Service]) {
        let mut owners: BTreeMap<u16, &str> = BTreeMap::new();
        for service in services {
            for (index, port) in service.ports.iter().enumerate() {
                let Some(number) = port.node_port else { continue };
                if let Some(owner) = owners.insert(number, &service.key) {
                    let at = At::of(&["services", &service.key, "ports"]).key(index).key("node-port");
                    let said = format!("the node port {number} is `{owner}`'s already");
                    self.wrong_help(&at, said, "choose another from 30000 to 30031, or leave it to Coracle");
                }
            }
        }
    }
}

/// Returns the first cycle that a path runs into, and the place that closes it. Each service
/// is left once, so that long chains stay cheap.
fn walk(
    edges: &BTreeMap<&str, Vec<(String, At)>>,
    path: &mut Vec<String>,
    done: &mut Vec<String>,
) -> Option<(Vec<String>, At)> {
    let here = path.last().cloned().unwrap_or_default();
    if done.contains(&here) {
        return None;
    }
    for (next, at) in edges.get(here.as_str()).into_iter().flatten() {
        if let Some(begin) = path.iter().position(|step| step == next) {
            done.extend(path[begin..].iter().cloned());
            let mut cycle = path[begin..].to_vec();
            cycle.push(next.clone());
            return Some((cycle, at.clone()));
        }
        path.push(next.clone());
        let found = walk(edges, path, done);
        path.pop();
        if found.is_some() {
            return found;
        }
    }
    done.push(here);
    None
}
