//! How a service is reached: its Service, and one more under the profile's key where the
//! Service has another name, so that the other services find it either way.

use serde_json::{Value, json};

use super::{Scope, nonempty};
use crate::deploy::object::Object;
use crate::profile::{Expose, Port, Protocol, WorkloadKind};

/// Returns the Services of a service: none where nothing can be reached.
pub(super) fn services(scope: &Scope) -> Vec<Object> {
    let service = scope.service;
    let governs = service.kind == WorkloadKind::Stateful;
    if service.ports.is_empty() && !governs && !service.headless {
        return Vec::new();
    }
    // Kubernetes accepts a Service without ports only where it is headless.
    let headless = service.headless || service.ports.is_empty();
    let own = if headless { headless_spec(scope) } else { spec(scope, service.expose) };
    let mut objects = vec![scope.annotated("v1", "Service", &service.service_name, json!({"spec": own}))];
    let taken = scope.profile.services.iter().any(|other| other.deploy && other.service_name == service.key);
    if service.service_name != service.key && !taken {
        let alias = if headless { headless_spec(scope) } else { spec(scope, Expose::Cluster) };
        objects.push(scope.object("v1", "Service", &service.key, json!({"spec": alias})));
    }
    objects
}

fn headless_spec(scope: &Scope) -> Value {
    let mut spec = spec(scope, Expose::Cluster);
    spec["clusterIP"] = "None".into();
    spec
}

fn spec(scope: &Scope, expose: Expose) -> Value {
    let service = scope.service;
    let balanced = expose == Expose::LoadBalancer;
    let ports: Vec<Value> = service.ports.iter().map(|port| service_port(scope, port, expose)).collect();
    json!({
        "type": match expose {
            Expose::Cluster => "ClusterIP",
            Expose::NodePort => "NodePort",
            Expose::LoadBalancer => "LoadBalancer",
        },
        "selector": scope.selector(),
        "ports": nonempty(ports.into()),
        "sessionAffinity": service.session_affinity.then_some("ClientIP"),
        "loadBalancerSourceRanges": if balanced { nonempty(json!(service.source_ranges)) } else { Value::Null },
    })
}

fn service_port(scope: &Scope, port: &Port, expose: Expose) -> Value {
    let key = (scope.service.key.clone(), port.name.clone());
    let chosen = scope.material.node_ports.get(&key).copied().or(port.node_port);
    json!({
        "name": port.name,
        "port": port.port,
        "targetPort": port.target,
        "protocol": protocol(port.protocol),
        "nodePort": if expose == Expose::Cluster { None } else { chosen },
    })
}

/// Returns the container's ports: one where two of the Service lead to the same.
pub(super) fn container_ports(scope: &Scope) -> Vec<Value> {
    let ports = &scope.service.ports;
    let first = |index: usize, port: &Port| {
        !ports[..index].iter().any(|other| (other.target, other.protocol) == (port.target, port.protocol))
    };
    let kept = ports.iter().enumerate().filter(|(index, port)| first(*index, port));
    kept.map(|(_, port)| json!({"name": port.name, "containerPort": port.target, "protocol": protocol(port.protocol)}))
        .collect()
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}
