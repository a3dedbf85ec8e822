//! The band: which block of host ports is free, and who holds one that is not.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use super::{Band, Error};

/// The first node port, in the cluster and, where it is free, on the host; how many a cluster has.
pub(super) use crate::ports::{COUNT as SIZE, FIRST};

/// Linux' first ephemeral port, unless it is configured: any program may get those at any time.
const EPHEMERAL: u16 = 32768;
/// How many of the taken ports an error names.
const NAMED: usize = 6;

/// Returns the node ports of the band.
pub(super) fn inside() -> std::ops::RangeInclusive<u16> {
    FIRST..=FIRST + (SIZE - 1)
}

/// Returns the band whose first port on the host is `first`.
fn block(first: u16) -> Band {
    Band(inside().map(|port| (port, first + (port - FIRST))).collect())
}

/// Returns the first block of host ports that nobody listens on. `published` (port → container)
/// counts as taken.
pub(super) fn free_band(published: &BTreeMap<u16, String>) -> Result<Band, Error> {
    free_block(limit(), published, is_free).map(block).map_err(|taken| Error::NoPorts {
        size: SIZE,
        first: FIRST,
        last: limit() - 1,
        taken: named(&taken, published),
    })
}

/// Returns the band that was found, an empty one where none is free: only who makes a cluster
/// needs it, and is told then.
pub(super) fn or_none(found: Result<Band, Error>) -> Result<Band, Error> {
    match found {
        Err(Error::NoPorts { .. }) => Ok(Band::default()),
        found => found,
    }
}

/// Returns the first port of a free block that ends below `limit`, else the taken ports.
fn free_block(limit: u16, published: &BTreeMap<u16, String>, free: impl Fn(u16) -> bool) -> Result<u16, Vec<u16>> {
    let mut taken = Vec::new();
    for first in (FIRST..).step_by(SIZE.into()).take_while(|first| first + SIZE <= limit) {
        match (first..first + SIZE).find(|port| published.contains_key(port) || !free(*port)) {
            None => return Ok(first),
            Some(port) => taken.push(port),
        }
    }
    Err(taken)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn limit() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    parse_limit(&range)
}

/// Returns where ephemeral ports begin. Where they begin below the band there is nothing to
/// keep away from, so the usual limit holds.
fn parse_limit(range: &str) -> u16 {
    let low = range.split_whitespace().next().and_then(|low| low.parse().ok());
    low.filter(|&low| low >= FIRST + SIZE).unwrap_or(EPHEMERAL)
}

fn named(taken: &[u16], published: &BTreeMap<u16, String>) -> String {
    let one = |port: &u16| match holder(*port, published) {
        Some(holder) => format!("{port} ({holder})"),
        None => port.to_string(),
    };
    let mut text = taken.iter().take(NAMED).map(one).collect::<Vec<_>>().join(", ");
    if taken.len() > NAMED {
        text += ", …";
    }
    text
}

/// Returns who holds a port, where that can be seen: a container, else a process of ours.
pub(super) fn holder(port: u16, published: &BTreeMap<u16, String>) -> Option<String> {
    if let Some(container) = published.get(&port) {
        return Some(format!("container `{}`", crate::ui::sanitize::line(container)));
    }
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        listening_inode(&table, port)
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let holds = |process: &std::path::Path| {
        let mut files = std::fs::read_dir(process.join("fd")).ok()?.flatten();
        files.find(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
    };
    // `self` is one of its names too.
    let numbered =
        |path: &std::path::PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
    let process = processes.map(|entry| entry.path()).filter(numbered).find(|path| holds(path).is_some())?;
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    let id = process.file_name()?.to_string_lossy().into_owned();
    Some(format!("process {id} (`{}`)", crate::ui::sanitize::line(name.trim())))
}

/// Returns the inode of the socket that listens on `port`, from the text of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 0A is LISTEN.
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9)?.parse().ok()).flatten()
    })
}

/// Returns the port that an engine's message says is taken.
pub(super) fn taken_port(message: &str) -> Option<u16> {
    let line = message
        .lines()
        .find(|line| line.contains("port is already allocated") || line.contains("address already in use"))?;
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    // The first address is the host's: some messages go on with the container's.
    ["127.0.0.1:", "0.0.0.0:", "[::]:", "]:"]
        .iter()
        .find_map(|address| line.find(address).and_then(|at| digits(&line[at + address.len()..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_where_they_are_free() {
        assert_eq!(free_block(32768, &BTreeMap::new(), |_| true), Ok(30000));
        assert_eq!(block(30000).0[&30031], 30031);
        assert_eq!(block(30064).0[&30001], 30065);
    }

    #[test]
    fn a_block_with_a_taken_port_is_passed_over() {
        let published = BTreeMap::from([(30040, "other-control-plane".to_owned())]);
        assert_eq!(free_block(32768, &published, |port| port != 30031), Ok(30064));
        assert_eq!(free_block(30064, &published, |port| port != 30031), Err(vec![30031, 30040]));
    }

    #[test]
    fn no_free_band_is_nobodys_fault_who_makes_no_cluster() {
        let taken = Error::NoPorts { size: SIZE, first: FIRST, last: FIRST + 1, taken: "30000".to_owned() };
        assert_eq!(or_none(Err(taken)).unwrap(), Band::default());
        assert_eq!(or_none(Ok(block(30064))).unwrap(), block(30064));
        or_none(Err(Error::Absent { name: "shop".to_owned() })).unwrap_err();
    }

    #[test]
    fn a_listener_is_seen_and_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_free(port));
        let holder = holder(port, &BTreeMap::new()).unwrap();
        assert!(holder.starts_with(&format!("process {} (", std::process::id())), "{holder}");
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn a_container_is_named() {
        let published = BTreeMap::from([(30040, "db".to_owned())]);
        assert_eq!(named(&[30040], &published), "30040 (container `db`)");
    }

    #[test]
    fn ephemeral_ports_are_left_alone() {
        assert_eq!(parse_limit("32768\t60999\n"), 32768);
        assert_eq!(parse_limit("31000 60999"), 31000);
        assert_eq!(parse_limit("1024 65535"), 32768);
        assert_eq!(parse_limit(""), 32768);
    }

    #[test]
    fn the_taken_port_is_read_from_what_docker_says() {
        let samples = [
            "docker: Error response from daemon: driver failed programming external connectivity on endpoint \
             x-control-plane (5a1): Bind for 127.0.0.1:30005 failed: port is already allocated",
            "Error response from daemon: failed to set up container networking: driver failed programming external \
             connectivity on endpoint x (5a1): failed to bind host port 127.0.0.1:30005/tcp: address already in use",
            "failed to bind host port for 127.0.0.1:30005:172.18.0.2:30005/tcp: address already in use",
            "listen tcp4 127.0.0.1:30005: bind: address already in use",
        ];
        for sample in samples {
            assert_eq!(taken_port(sample), Some(30005), "{sample}");
        }
        assert_eq!(taken_port("dial tcp 127.0.0.1:6443: connection refused"), None);
    }
}
