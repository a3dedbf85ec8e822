//! Ports, and from where they are reached.

use std::collections::BTreeMap;

use super::file::{ExposeFile, PortFile, PortSection, ProbeFile, ProtocolFile, ServiceFile};
use super::resolve::{At, Resolver};
use super::{Expose, Port, ProbeCheck, Profile, Protocol, WorkloadKind, names};

/// Gives services whose ports come from their image those that it EXPOSEs, by service key;
/// names, probes and exposure follow. A service that is not in `exposed` has none.
pub(crate) fn fill_ports(profile: &mut Profile, exposed: &BTreeMap<String, Vec<u16>>) {
    for service in profile.services.iter_mut().filter(|service| service.ports_from_image) {
        let found = exposed.get(&service.key).map(Vec::as_slice).unwrap_or_default();
        let probe = service.readiness.as_ref().or(service.liveness.as_ref()).map(|probe| &probe.check);
        let http = matches!(probe, Some(ProbeCheck::Http { .. }));
        service.ports.clear();
        for number in found {
            if service.ports.iter().all(|port| port.port != *number) {
                let name = default_name(*number, Protocol::Tcp, http && service.ports.is_empty());
                let port = Port {
                    name,
                    port: *number,
                    target: *number,
                    protocol: Protocol::Tcp,
                    node_port: None,
                    local: None,
                };
                service.ports.push(port);
            }
        }
        let first = service.ports.first().map(|port| port.target);
        for probe in [&mut service.readiness, &mut service.liveness, &mut service.startup] {
            let Some(place) = probe.as_mut().and_then(|probe| port_of(&mut probe.check)).filter(|place| **place == 0)
            else {
                continue;
            };
            match first {
                Some(first) => *place = first,
                None => *probe = None,
            }
        }
        if service.ports.is_empty() {
            service.expose = Expose::Cluster;
        }
    }
}

fn port_of(check: &mut ProbeCheck) -> Option<&mut u16> {
    match check {
        ProbeCheck::Http { port, .. } | ProbeCheck::Tcp { port } | ProbeCheck::Grpc { port } => Some(port),
        ProbeCheck::Exec { .. } => None,
    }
}

fn default_name(port: u16, protocol: Protocol, http: bool) -> String {
    match protocol {
        Protocol::Tcp if http => "http".into(),
        Protocol::Tcp => format!("port-{port}"),
        Protocol::Udp => format!("udp-{port}"),
    }
}

impl Resolver<'_> {
    pub(super) fn ports(&mut self, at: &At, file: &ServiceFile) -> Vec<Port> {
        let at = at.key("ports");
        let http = [&file.health, &file.readiness, &file.liveness].into_iter().flatten().any(asks_http);
        let mut ports: Vec<Port> = Vec::new();
        for (index, written) in file.ports.iter().flatten().enumerate() {
            let at = at.key(index);
            let Some(section) = self.port(&at, written) else { continue };
            let protocol = match section.protocol {
                Some(ProtocolFile::Udp) => Protocol::Udp,
                Some(ProtocolFile::Tcp) | None => Protocol::Tcp,
            };
            let first = ports.iter().all(|port| port.protocol != Protocol::Tcp);
            let named = section.name.is_some();
            let name = section.name.unwrap_or_else(|| default_name(section.port, protocol, http && first));
            if let Some(fault) = named.then(|| names::port_name_fault(&name)).flatten() {
                self.wrong(&at.key("name"), format!("the port name `{name}` {fault}"));
            }
            if ports.iter().any(|port| port.port == section.port && port.protocol == protocol) {
                self.wrong(&at, format!("the port {} is there twice", section.port));
            } else if ports.iter().any(|port| port.name == name) {
                self.wrong(&at, format!("two ports are named `{name}`"));
            }
            let target = section.target.unwrap_or(section.port);
            ports.push(Port {
                name,
                port: section.port,
                target,
                protocol,
                node_port: section.node_port,
                local: section.local,
            });
        }
        ports
    }

    fn port(&mut self, at: &At, written: &PortFile) -> Option<PortSection> {
        let plain =
            |port, target, protocol| PortSection { name: None, port, target, protocol, node_port: None, local: None };
        match written {
            PortFile::Section(section) => Some(section.clone()),
            PortFile::Number(port) => Some(plain(*port, None, None)),
            PortFile::Pair(text) => {
                let (numbers, protocol) = match text.split_once('/') {
                    Some((numbers, "udp")) => (numbers, Some(ProtocolFile::Udp)),
                    Some((numbers, "tcp")) => (numbers, Some(ProtocolFile::Tcp)),
                    _ => (text.as_str(), None),
                };
                let parts: Vec<Option<u16>> =
                    numbers.split(':').map(|part| part.trim().parse().ok().filter(|port| *port > 0)).collect();
                match parts.as_slice() {
                    [Some(port)] => Some(plain(*port, None, protocol)),
                    [Some(port), Some(target)] => Some(plain(*port, Some(*target), protocol)),
                    _ => {
                        let help =
                            "`\"80:5000\"` is the service's port 80 and the container's 5000, each from 1 to 65535";
                        self.wrong_help(at, format!("`{text}` is no port"), help);
                        None
                    }
                }
            }
        }
    }

    pub(super) fn expose(
        &mut self,
        at: &At,
        file: &ServiceFile,
        kind: &WorkloadKind,
        ports: &[Port],
        from_image: bool,
    ) -> Expose {
        let serves = matches!(kind, WorkloadKind::Deployment | WorkloadKind::Stateful);
        let headless = file.headless.unwrap_or(false);
        let reachable = from_image || ports.iter().any(|port| port.protocol == Protocol::Tcp);
        let expose = match file.expose {
            Some(ExposeFile::NodePort) => Expose::NodePort,
            Some(ExposeFile::LoadBalancer) => Expose::LoadBalancer,
            None if serves && !headless && reachable => Expose::NodePort,
            Some(ExposeFile::Cluster) | None => Expose::Cluster,
        };
        if headless && expose != Expose::Cluster {
            self.wrong(
                &at.key("expose"),
                "a headless service has no address to expose: `expose: cluster` or no `headless`",
            );
        }
        for (index, port) in ports.iter().enumerate() {
            if port.node_port.is_some() && expose == Expose::Cluster {
                let at = at.key("ports").key(index).key("node-port");
                self.wrong_help(&at, "a `node-port` is of no use with `expose: cluster`", "remove one of the two");
            }
        }
        expose
    }

    pub(super) fn source_ranges(&mut self, at: &At, file: &ServiceFile) -> Vec<String> {
        let ranges = file.source_ranges.clone().unwrap_or_default();
        for (index, range) in ranges.iter().enumerate() {
            let fits = range.split_once('/').is_some_and(|(address, bits)| {
                let limit = address.parse::<std::net::IpAddr>().map(|address| if address.is_ipv4() { 32 } else { 128 });
                limit.is_ok_and(|limit| bits.parse::<u8>().is_ok_and(|bits| bits <= limit))
            });
            if !fits {
                self.wrong_help(
                    &at.key("source-ranges").key(index),
                    format!("`{range}` is no network"),
                    "such as `10.0.0.0/8`",
                );
            }
        }
        ranges
    }

    pub(super) fn url_path(&mut self, at: &At, path: Option<&String>) -> String {
        let path = path.cloned().unwrap_or_else(|| "/".into());
        if !path.starts_with('/') {
            self.wrong_help(
                &at.key("path"),
                format!("the path `{path}` does not begin with `/`"),
                format!("did you mean `/{path}`?"),
            );
        }
        path
    }
}

fn asks_http(probe: &ProbeFile) -> bool {
    match probe {
        ProbeFile::Word(word) => word.starts_with('/'),
        ProbeFile::Section(section) => section.path.is_some(),
    }
}
