//! What a load listens on while it runs, seen from outside.
//!
//! A load that needs no receiver fails this test: there would be nothing to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::engine::docker;
use crate::http;
use crate::node::Node;
use crate::process::{finish, spawn};
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::service::{Service, image_of};

/// Requests of a registry's protocol, without the token or with a wrong one.
const INTRUDERS: &[(&str, &str)] = &[
    ("GET", "/v2/_catalog"),
    ("HEAD", "/v2/e2e/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("POST", "/v2/e2e/blobs/uploads/"),
    ("POST", "/v2/00000000000000000000000000000000/e2e/blobs/uploads/"),
    ("PUT", "/v2/e2e/manifests/latest"),
    ("PUT", "/v2/00000000000000000000000000000000/coracle.local/e2e-receiver/web/manifests/latest"),
    ("DELETE", "/v2/e2e/manifests/latest"),
    ("GET", "/"),
];

#[test]
#[ignore = "needs docker and kind"]
fn a_load_listens_on_loopback_only_takes_nothing_without_its_token_and_is_gone_with_the_command() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-receiver");
    let dockerfile = fs::read_to_string(service.folder.join("Dockerfile")).unwrap();
    service.write("Dockerfile", dockerfile.replace("busybox:latest", "python:3-slim").replace("\"busybox\", ", ""));
    sandbox.coracle(&service.folder, &["cluster", "create"]).exits(0);
    sandbox.coracle(&service.folder, &["load"]).exits(0);
    // What there is to push takes the engine a second or two.
    service.write("srv/high/large", Random::seeded().bytes(48 << 20));
    sandbox.coracle(&service.folder, &["build"]).exits(0);

    let mut command = sandbox.command(&service.folder, &["-o", "json", "load"]);
    let (what, started) = (format!("{command:?}"), Instant::now());
    let mut load = spawn(&mut command);
    let listener = await_listener(&mut load);
    if let Some(listener) = listener {
        look_at(listener);
    }
    let outcome = finish(load, what, started).exits(0);
    let listener = listener.unwrap_or_else(|| panic!("no receiver was seen\n{outcome}"));
    assert!(TcpStream::connect(listener).is_err(), "{listener} still answers");

    let node = Node::only(&sandbox.cluster);
    service.check_image(&node, &image_of(&outcome, "web"));
    assert!(node.images("e2e").is_empty() && node.images("docker.io/library/e2e:").is_empty());
    let tags = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(!tags.lines().any(|tag| tag.starts_with("127.")), "tags of the push are left:\n{tags}");
    node.remove(&node.images("coracle.local/e2e-receiver/web:"));
}

/// Sends what a stranger could; panics unless all of it is refused.
#[track_caller]
fn look_at(listener: SocketAddrV4) {
    assert!(listener.ip().is_loopback(), "it listens on {listener}");
    for (method, path) in INTRUDERS {
        let answer = http::request(method, &format!("http://{listener}{path}"), &BTreeMap::new(), Some("stranger"));
        let status = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}")).status;
        assert_eq!(status, 404, "{method} {path}");
    }
    // From another address of this machine: the one that containers reach it at.
    let bridge = docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"]);
    let other = SocketAddr::from((bridge.parse::<Ipv4Addr>().unwrap(), listener.port()));
    assert!(TcpStream::connect_timeout(&other, Duration::from_secs(1)).is_err(), "{other} answers");
}

/// Waits until the process listens on a TCP port; `None` if it ends before.
fn await_listener(child: &mut Child) -> Option<SocketAddrV4> {
    while child.try_wait().unwrap().is_none() {
        if let Some(found) = listener_of(child.id()) {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Reads proc(5): sockets that the process has open, among those that listen.
fn listener_of(pid: u32) -> Option<SocketAddrV4> {
    let open: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let listens = words[3] == "0A" && open.contains(&format!("socket:[{}]", words[9]));
        listens.then(|| address(words[1])).flatten()
    })
}

/// `0100007F:1F90` is 127.0.0.1:8080: the address is as it is in memory.
fn address(hexadecimal: &str) -> Option<SocketAddrV4> {
    let (ip, port) = hexadecimal.split_once(':')?;
    let ip = Ipv4Addr::from(u32::from_str_radix(ip, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(ip, u16::from_str_radix(port, 16).ok()?))
}
