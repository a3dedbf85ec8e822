//! `ports:` and `expose:` of Compose files.
//!
//! Between services Compose uses the container's port, so that is the service's port too; the
//! port of the host becomes `local`, which `coracle dev` listens on.

use serde_json::{Value as Json, json};

/// More than this is a range for a protocol that no Service can carry.
const RANGE: u16 = 20;

/// One port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) container: u16,
    pub(super) host: Option<u16>,
    pub(super) udp: bool,
}

impl Port {
    /// Returns the profile's entry.
    pub(super) fn json(self) -> Json {
        match (self.udp, self.host) {
            (true, _) => json!(format!("{}/udp", self.container)),
            // Ports below 1024 are not a user's to listen on.
            (false, Some(host)) if host >= 1024 => json!({"port": self.container, "local": host}),
            (false, _) => json!(self.container),
        }
    }
}

/// Reads `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, each with ranges.
pub(super) fn short(text: &str) -> Option<Vec<Port>> {
    let (numbers, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let udp = match protocol {
        "tcp" => false,
        "udp" => true,
        _ => return None,
    };
    let mut parts = numbers.rsplitn(3, ':');
    let containers = range(parts.next()?)?;
    let hosts = parts
        .next()
        .filter(|host| !host.is_empty() && !host.contains(['.', ']']))
        .map(|host| range(host).ok_or(()))
        .transpose();
    let hosts = hosts.ok().flatten().filter(|hosts| hosts.len() == containers.len());
    let numbered = containers.into_iter().enumerate();
    Some(
        numbered
            .map(|(index, container)| Port { container, host: hosts.as_ref().map(|hosts| hosts[index]), udp })
            .collect(),
    )
}

fn range(text: &str) -> Option<Vec<u16>> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => Some(vec![port(text)?]),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            (first <= last && last - first < RANGE).then(|| (first..=last).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        short(text)
            .map_or("none".to_owned(), |ports| Json::Array(ports.into_iter().map(Port::json).collect()).to_string())
    }

    #[test]
    fn every_short_form() {
        assert_eq!(shown("5000"), "[5000]");
        assert_eq!(shown("80:5000"), "[5000]");
        assert_eq!(shown("8080:80"), r#"[{"local":8080,"port":80}]"#);
        assert_eq!(shown("127.0.0.1:8080:80"), r#"[{"local":8080,"port":80}]"#);
        assert_eq!(shown("[::1]:8080:80"), r#"[{"local":8080,"port":80}]"#);
        assert_eq!(shown("9000-9001:3000-3001"), r#"[{"local":9000,"port":3000},{"local":9001,"port":3001}]"#);
        assert_eq!(shown("9000-9010:80"), "[80]");
        assert_eq!(shown("53:53/udp"), r#"["53/udp"]"#);
        assert_eq!(shown("127.0.0.1::80"), "[80]");
        for wrong in ["", "x", "80/sctp", "1-60000", "{env:PORT}", "70000", "5-4"] {
            assert_eq!(shown(wrong), "none", "{wrong}");
        }
    }
}
