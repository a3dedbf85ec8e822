//! Node ports: chosen from the band that the cluster reserved, kept for a Service's life.
//!
//! Pure. The band is Kubernetes' side (30000 and up); which port of 127.0.0.1 each is
//! reached at is known from the cluster ([`crate::cluster::Band`]).

use std::collections::{BTreeMap, BTreeSet};

use miette::Diagnostic;

use crate::cluster::Band;
use crate::deploy::live::Live;
use crate::error::{Classified, Kind};
use crate::profile::{Expose, Port, ProbeCheck, Profile, Protocol, Service};

/// The first node port of the band, and how many there are.
pub(crate) const FIRST: u16 = 30000;
pub(crate) const COUNT: u16 = 32;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("no node port is left for service `{service}`: all {COUNT} of the cluster are taken")]
    #[diagnostic(
        code(coracle::ports::band_full),
        help(
            "{holders}\nremove what is not needed (`coracle down` in its folder), or set `expose: cluster` on services that nobody calls from outside"
        )
    )]
    BandFull { service: String, holders: String },

    #[error("service `{service}` wants node port {port}, which {} has", spoken(holder))]
    #[diagnostic(
        code(coracle::ports::taken),
        help("choose another `node-port`, or leave it out: one is chosen from the band")
    )]
    Taken { service: String, port: u16, holder: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// Returns a holder (`namespace/service/port name`) in words.
fn spoken(holder: &str) -> String {
    match holder.split('/').collect::<Vec<_>>()[..] {
        [namespace, service, ..] => format!("service `{service}` in namespace `{namespace}`"),
        _ => holder.to_owned(),
    }
}

/// Returns the node port of each `(service, port name)`: the one it has, the one it asks for,
/// or the lowest that is free.
pub(crate) fn assign(profile: &Profile, live: &Live) -> Result<BTreeMap<(String, String), u16>, Error> {
    let exposed = || profile.services.iter().filter(|service| service.deploy && service.expose == Expose::NodePort);
    let mut assigned = BTreeMap::new();
    let mut taken: BTreeMap<u16, String> = live.node_ports.clone();
    taken.retain(|_, holder| !is_stale(profile, live, holder));
    for service in exposed() {
        for port in &service.ports {
            let own = format!("{}/{}/{}", profile.namespace, service.service_name, port.name);
            let has = live.node_ports.iter().find(|(_, holder)| **holder == own).map(|(node_port, _)| *node_port);
            let Some(node_port) = port.node_port.or(has) else { continue };
            let mine = format!("{}/{}/", profile.namespace, service.service_name);
            if let Some(holder) = taken.get(&node_port).filter(|holder| !holder.starts_with(&mine)) {
                let (service, holder) = (service.key.clone(), holder.clone());
                return Err(Error::Taken { service, port: node_port, holder });
            }
            taken.insert(node_port, own);
            assigned.insert((service.key.clone(), port.name.clone()), node_port);
        }
    }
    for service in exposed() {
        for port in &service.ports {
            let key = (service.key.clone(), port.name.clone());
            if assigned.contains_key(&key) {
                continue;
            }
            let free = (FIRST..FIRST + COUNT).find(|port| !taken.contains_key(port));
            let Some(free) = free else {
                let holders: BTreeSet<_> = taken.values().map(|holder| format!("  {}", spoken(holder))).collect();
                let holders = holders.into_iter().collect::<Vec<_>>().join("\n");
                return Err(Error::BandFull {
                    service: service.key.clone(),
                    holders: format!("they are held by\n{holders}"),
                });
            };
            taken.insert(free, format!("{}/{}/{}", profile.namespace, service.service_name, port.name));
            assigned.insert(key, free);
        }
    }
    Ok(assigned)
}

/// Whether a port's holder is a Service of this instance that the profile has no more: it is
/// pruned before anybody gets its port.
fn is_stale(profile: &Profile, live: &Live, holder: &str) -> bool {
    let service = holder.rsplit_once('/').map_or(holder, |(service, _)| service);
    let named = |name: &str| format!("{}/{name}", profile.namespace) == service;
    let ours = live.objects.iter().any(|object| object.kind() == "Service" && named(object.name()));
    ours && !profile
        .services
        .iter()
        .any(|wanted| wanted.deploy && wanted.expose == Expose::NodePort && named(&wanted.service_name))
}

/// Returns the addresses of a service from the ports that its live Service has: (name, node port).
/// A port that the profile does not name is one that the image exposes.
pub(crate) fn live_addresses(service: &Service, live: &[(String, u16)], band: &Band) -> Vec<String> {
    let address = |(name, node_port): &(String, u16)| match service.ports.iter().find(|port| port.name == *name) {
        Some(port) => address(service, port, *node_port, band),
        None => band.0.get(node_port).map(|local| url(service, *local, is_other_name(name))),
    };
    live.iter().filter_map(address).collect()
}

/// Returns the addresses of a service on this machine, in the order of its ports.
pub(crate) fn addresses(service: &Service, node_ports: &BTreeMap<(String, String), u16>, band: &Band) -> Vec<String> {
    let node_port = |port: &Port| node_ports.get(&(service.key.clone(), port.name.clone())).copied();
    service.ports.iter().filter_map(|port| address(service, port, node_port(port)?, band)).collect()
}

/// Returns the address of a service's port on this machine: a URL where the port speaks HTTP,
/// else `localhost:PORT`. `None` where the cluster does not map the node port.
fn address(service: &Service, port: &Port, node_port: u16, band: &Band) -> Option<String> {
    Some(url(service, *band.0.get(&node_port)?, !speaks_http(service, port)))
}

/// Whether a port's default name (`port-6379`) is of another protocol than HTTP.
fn is_other_name(name: &str) -> bool {
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(is_other_protocol)
}

fn has_path(service: &Service) -> bool {
    !matches!(service.path.as_str(), "" | "/")
}

fn url(service: &Service, local: u16, bare: bool) -> String {
    let path = if has_path(service) { &service.path } else { "/" };
    if bare { format!("localhost:{local}") } else { format!("http://localhost:{local}{path}") }
}

/// Whether the first port of a service speaks HTTP.
pub(crate) fn speaks_http_first(service: &Service) -> bool {
    service.ports.first().is_some_and(|port| speaks_http(service, port))
}

/// Nobody says what a port speaks. Most speak HTTP; a probe, a path or a name settles it, and the
/// well-known ports of other protocols do where nothing else does.
fn speaks_http(service: &Service, port: &Port) -> bool {
    let probe = service.readiness.as_ref().map(|probe| &probe.check);
    let probed = match probe {
        Some(ProbeCheck::Http { port: probed, .. }) if *probed == port.target => Some(true),
        Some(ProbeCheck::Grpc { port: probed }) if *probed == port.target => Some(false),
        _ => None,
    };
    let named = (port.name.starts_with("http") || has_path(service)).then_some(true);
    port.protocol == Protocol::Tcp && probed.or(named).unwrap_or(!is_other_protocol(port.target))
}

/// Ports that IANA or long use gives to databases, brokers, shells and gRPC.
fn is_other_protocol(port: u16) -> bool {
    matches!(
        port,
        21 | 22
            | 25
            | 53
            | 389
            | 1433
            | 1521
            | 1883
            | 2181
            | 2379
            | 3306
            | 4222
            | 5432
            | 5672
            | 6379
            | 9042
            | 9092
            | 11211
            | 26379
            | 27017
            | 50051
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::profile::resolve;
    use crate::session::Surroundings;

    fn profile(services: &str) -> Profile {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings { folder: folder.path().to_owned(), ..Surroundings::default() };
        let text = format!("name: shop\nservices:\n{services}");
        resolve::parse(&text, Path::new("coracle.yaml"), &surroundings).unwrap()
    }

    fn live(node_ports: &[(u16, &str)]) -> Live {
        let node_ports = node_ports.iter().map(|(port, holder)| (*port, (*holder).to_owned())).collect();
        Live { node_ports, ..Live::default() }
    }

    fn assigned(profile: &Profile, live: &Live) -> Vec<u16> {
        assign(profile, live).unwrap().into_values().collect()
    }

    #[test]
    fn a_service_keeps_its_port_and_others_get_the_lowest_that_is_free() {
        let profile = profile("  a: {image: x, ports: [80]}\n  b: {image: x, ports: [80]}\n");
        assert_eq!(assigned(&profile, &live(&[])), [30000, 30001]);
        let b = format!("shop/b/{}", profile.services[1].ports[0].name);
        assert_eq!(assigned(&profile, &live(&[(30000, &b), (30001, "other/web/http")])), [30002, 30000]);
    }

    #[test]
    fn a_chosen_port_that_somebody_has_is_refused() {
        let profile = profile("  a: {image: x, ports: [{port: 80, node-port: 30005}]}\n");
        assert_eq!(assigned(&profile, &live(&[])), [30005]);
        let error = assign(&profile, &live(&[(30005, "other/web/http")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "service `a` wants node port 30005, which service `web` in namespace `other` has"
        );
    }

    #[test]
    fn a_full_band_names_who_holds_it() {
        let profile = profile("  a: {image: x, ports: [80]}\n");
        let all: Vec<(u16, String)> = (FIRST..FIRST + COUNT).map(|port| (port, format!("p{port}/web/http"))).collect();
        let all: Vec<(u16, &str)> = all.iter().map(|(port, holder)| (*port, holder.as_str())).collect();
        let error = assign(&profile, &live(&all)).unwrap_err();
        assert_eq!(error.to_string(), "no node port is left for service `a`: all 32 of the cluster are taken");
        assert!(miette::Diagnostic::help(&error).unwrap().to_string().contains("namespace `p30031`"));
    }

    #[test]
    fn only_what_speaks_http_is_a_url() {
        let band = Band(BTreeMap::from([(30000, 31000)]));
        let address = |service: &str| {
            let profile = profile(service);
            addresses(&profile.services[0], &assign(&profile, &live(&[])).unwrap(), &band)
        };
        assert_eq!(address("  a: {image: x, ports: ['80:5000']}\n"), ["http://localhost:31000/"]);
        assert_eq!(address("  a: {image: x, ports: [8123]}\n"), ["http://localhost:31000/"]);
        assert_eq!(address("  a: {image: x, ports: [6379]}\n"), ["localhost:31000"]);
        assert_eq!(address("  a: {image: x, ports: [6000], health: grpc}\n"), ["localhost:31000"]);
        assert_eq!(address("  a: {image: x, ports: [9999], health: /up}\n"), ["http://localhost:31000/"]);
        assert_eq!(address("  a: {image: x, ports: [8888], path: /lab}\n"), ["http://localhost:31000/lab"]);
    }
}
