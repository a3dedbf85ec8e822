//! The cluster's side of a plan: which objects are written, in which waves, what is waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Action, Error, Plan};
use crate::cluster::State;
use crate::deploy::compare;
use crate::deploy::live::{Live, NamespaceState};
use crate::deploy::manifest::{self, Material};
use crate::deploy::object::{self, Object};
use crate::deploy::raw;
use crate::deploy::rollout::{self, Awaited};
use crate::observe::Observed;
use crate::ports;
use crate::profile::Profile;

/// Plans the writes: release, then the objects in waves that follow `after:`, then the prune.
pub(super) fn plan_objects(
    plan: &mut Plan,
    profile: &Profile,
    observed: &Observed,
    ready: &[usize],
) -> Result<(), Error> {
    check_storage(profile, observed)?;
    let (objects, said) = render(profile, observed, &plan.images)?;
    plan.warnings.extend(said);
    let own = |object: &Object| object.kind() == "Namespace" && object.name() == profile.namespace;
    let (namespaces, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(own);
    // What stands in a namespace that is going away goes with it.
    let live = &observed.live;
    let there = if live.namespace == NamespaceState::Active { live.objects.as_slice() } else { &[] };
    plan.changes = compare::compare(&objects, there);
    // One that is there is used as it is.
    let namespace = namespaces.into_iter().next().filter(|_| live.namespace != NamespaceState::Active);

    let mut changed: Vec<Object> = plan.changes.apply.iter().map(|change| change.object.clone()).collect();
    let mut after = ready.to_vec();
    let release = !changed.is_empty() || !plan.changes.prune.is_empty() || namespace.is_some();
    if release {
        after = vec![plan.push(Action::Release { namespace, objects: objects.clone() }, after)];
    }
    let (in_the_way, stale) = plan.changes.prune.iter().cloned().partition(|object| holds_a_port_of(object, &changed));
    after = prune(plan, in_the_way, after);
    let waves = waves(profile);
    let mut reached = BTreeSet::new();
    let mut replaced = false;
    for wave in &waves {
        let wave = Wave { services: wave, all: &waves };
        let (now, later): (Vec<_>, Vec<_>) = changed.into_iter().partition(|object| wave.has(object));
        changed = later;
        let touched = |service: &&Object| {
            let of_service = |object: &&Object| object.label(object::SERVICE) == service.label(object::SERVICE);
            now.iter().any(|object| of_service(&object))
        };
        reached.extend(objects.iter().filter(touched).flat_map(node_ports));
        let is_there = |object: &Object| live.objects.iter().any(|live| live.identity() == object.identity());
        replaced |= now.iter().any(|object| object.is_workload() && is_there(object));
        if !now.is_empty() {
            after = vec![plan.push(Action::Apply { objects: now.clone() }, after)];
        }
        let workloads: Vec<Object> = objects
            .iter()
            .filter(|object| wave.has(object) && object.rolls_out())
            .filter(|object| now.contains(object) || !is_live_and_ready(object, live))
            .cloned()
            .collect();
        if !workloads.is_empty() {
            after = vec![plan.push(Action::Await { workloads }, after)];
        }
    }
    assert!(changed.is_empty(), "every object belongs to a wave");
    if observed.restarted {
        // What their status says is from before the stop.
        reached.extend(objects.iter().flat_map(node_ports));
    }
    if !reached.is_empty() {
        let node_ports = reached.into_iter().collect();
        plan.push(Action::Reach { node_ports, replaced }, after.clone());
    }
    prune(plan, stale, after);
    Ok(())
}

fn prune(plan: &mut Plan, objects: Vec<Object>, after: Vec<usize>) -> Vec<usize> {
    if objects.is_empty() { after } else { vec![plan.push(Action::Prune { objects }, after)] }
}

/// Returns the node ports of a Service on TCP, each with the service's key.
fn node_ports(object: &Object) -> Vec<(String, u16)> {
    let key = object.label(object::SERVICE).unwrap_or(object.name());
    let ports = object.0["spec"]["ports"].as_array().into_iter().flatten();
    let ports = ports.filter(|port| object.kind() == "Service" && port["protocol"] != "UDP");
    let ports = ports.filter_map(|port| u16::try_from(port["nodePort"].as_u64()?).ok());
    ports.map(|port| (key.to_owned(), port)).collect()
}

/// Whether a live Service has a node port that one of the objects is to get.
fn holds_a_port_of(live: &Object, objects: &[Object]) -> bool {
    let wanted: BTreeSet<u16> = objects.iter().flat_map(node_ports).map(|(_, port)| port).collect();
    node_ports(live).iter().any(|(_, port)| wanted.contains(port))
}

/// Returns the objects of the profile, services and manifest files together, and what there
/// is to say about them.
pub(crate) fn render(
    profile: &Profile,
    observed: &Observed,
    images: &BTreeMap<String, String>,
) -> Result<(Vec<Object>, Vec<String>), Error> {
    let inputs = &observed.inputs;
    let material = Material {
        images: images.clone(),
        node_ports: ports::assign(profile, &observed.live)?,
        secrets: inputs.secrets.clone(),
        files: inputs.files.clone(),
    };
    let mut objects = manifest::render(profile, &material);
    let (raw, said) = raw::objects(profile, &inputs.documents, images)?;
    objects.extend(raw);
    Ok((objects, said))
}

/// Splits services into waves: each is applied when what its services name in `after` is ready.
/// The profile's reader has refused cycles.
fn waves(profile: &Profile) -> Vec<BTreeSet<String>> {
    let mut waves: Vec<BTreeSet<String>> = Vec::new();
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<_> = profile.services.iter().filter(|service| service.deploy).collect();
    while !left.is_empty() {
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|service| {
            service.after.iter().all(|name| {
                placed.contains(name.as_str())
                    || !profile.services.iter().any(|other| other.deploy && other.key == *name)
            })
        });
        if now.is_empty() {
            break;
        }
        placed.extend(now.iter().map(|service| service.key.as_str()));
        waves.push(now.iter().map(|service| service.key.clone()).collect());
        left = later;
    }
    // What belongs to no service (manifest files) goes with the first wave.
    let rest = BTreeSet::from([String::new()]);
    match waves.first_mut() {
        Some(first) => first.extend(rest),
        None => waves.push(rest),
    }
    waves
}

/// The services of one wave, among all waves.
struct Wave<'a> {
    services: &'a BTreeSet<String>,
    all: &'a [BTreeSet<String>],
}

impl Wave<'_> {
    /// Services and claims of every service are applied with the first wave, so that names
    /// resolve, and so is what belongs to no service; workloads wait for theirs.
    fn has(&self, object: &Object) -> bool {
        let key = object.label(object::SERVICE).unwrap_or_default();
        let waits = object.is_workload() && self.all.iter().any(|wave| wave.contains(key));
        if waits { self.services.contains(key) } else { self.services.contains("") }
    }
}

fn is_live_and_ready(object: &Object, live: &Live) -> bool {
    let identity = object.identity();
    live.objects.iter().any(|live| live.identity() == identity && rollout::is_ready_by_status(live))
}

/// Returns what is waited for of a workload whose images are filled in; `timeout` wins over
/// its own deadline.
pub(crate) fn awaited(profile: &Profile, object: &Object, timeout: Option<Duration>) -> Awaited {
    let key = object.label(object::SERVICE).unwrap_or(object.name());
    let service = profile.services.iter().find(|service| service.key == key);
    let template = &object.0["spec"]["template"]["metadata"]["annotations"][object::TEMPLATE];
    Awaited {
        service: key.to_owned(),
        kind: object.kind().to_owned(),
        name: object.name().to_owned(),
        template: template.as_str().unwrap_or_default().to_owned(),
        deadline: timeout.or(service.map(|service| service.rollout.deadline)).unwrap_or(Duration::from_secs(180)),
    }
}

/// Claims and storage classes that are named must be there; on an absent cluster nobody knows yet.
fn check_storage(profile: &Profile, observed: &Observed) -> Result<(), Error> {
    let live = &observed.live;
    let State::Running { .. } = observed.cluster else { return Ok(()) };
    let list = |names: &BTreeSet<String>| match names.len() {
        0 => "none".to_owned(),
        _ => names.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let (mut own, classes) = raw::made(&observed.inputs.documents);
    own.extend(profile.services.iter().flat_map(manifest::claim_names));
    for service in profile.services.iter().filter(|service| service.deploy) {
        let named = service.volumes.iter().filter_map(|volume| volume.claim.as_ref());
        for claim in named.chain(service.mounts.iter().map(|mount| &mount.claim)) {
            if !live.claims.contains(claim) && !own.contains(claim) {
                let (service, namespace) = (service.key.clone(), profile.namespace.clone());
                return Err(Error::NoClaim { service, claim: claim.clone(), namespace, there: list(&live.claims) });
            }
        }
        for class in service.volumes.iter().filter_map(|volume| volume.storage_class.as_ref()) {
            if !live.storage_classes.contains(class) && !classes.contains(class) {
                let (service, there) = (service.key.clone(), list(&live.storage_classes));
                return Err(Error::NoStorageClass { service, class: class.clone(), there });
            }
        }
    }
    Ok(())
}
