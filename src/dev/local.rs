//! `local:` ports: listeners on 127.0.0.1 that live as long as `dev`, whatever is redeployed
//! behind them.
//!
//! A connection goes where its service's node port is mapped on this machine. While nothing
//! answers there it is closed at once, as a port that nobody listens on would do.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::Band;
use crate::error::{Classified, Kind};
use crate::profile::{Profile, Protocol};

/// How long the node port may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("port {port} of localhost, which service `{service}` wants, cannot be listened on")]
    #[diagnostic(
        code(coracle::dev::local_port),
        help("`ss -ltnp 'sport = :{port}'` shows who has it; end that, or choose another `local:` port")
    )]
    Listen { service: String, port: u16, source: std::io::Error },

    #[error("service `{service}` has a `local:` port, but no node port that leads to it")]
    #[diagnostic(code(coracle::dev::local_unreachable), help("leave out `expose: cluster`, or the `local:` port"))]
    NotExposed { service: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Listen { .. } => Kind::Absent,
            Self::NotExposed { .. } => Kind::Request,
        }
    }
}

/// The listeners of one `dev`. Dropping it closes them.
#[derive(Debug, Default)]
pub(crate) struct Locals {
    open: BTreeMap<u16, Local>,
}

#[derive(Debug)]
struct Local {
    /// The port of 127.0.0.1 that its node port is mapped to.
    to: Arc<Mutex<u16>>,
    _task: AbortOnDropHandle<()>,
}

/// A `local:` port and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    service: String,
    port: u16,
    to: u16,
}

impl Locals {
    /// Listens on what the profile wants, and no longer on what it does not want any more.
    pub(crate) async fn follow(
        &mut self,
        profile: &Profile,
        node_ports: &BTreeMap<(String, String), u16>,
        band: &Band,
    ) -> Result<(), Error> {
        let wanted = wanted(profile, node_ports, band)?;
        self.open.retain(|port, _| wanted.iter().any(|wanted| wanted.port == *port));
        for Wanted { service, port, to } in wanted {
            if let Some(local) = self.open.get(&port) {
                *local.to.lock().expect("no holder panics") = to;
                continue;
            }
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener = listener.map_err(|source| Error::Listen { service, port, source })?;
            let to = Arc::new(Mutex::new(to));
            let task = AbortOnDropHandle::new(tokio::spawn(serve(listener, to.clone())));
            self.open.insert(port, Local { to, _task: task });
        }
        Ok(())
    }
}

fn wanted(profile: &Profile, node_ports: &BTreeMap<(String, String), u16>, band: &Band) -> Result<Vec<Wanted>, Error> {
    let mut wanted = Vec::new();
    for service in profile.services.iter().filter(|service| service.deploy) {
        for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
            let Some(local) = port.local else { continue };
            let node_port = node_ports.get(&(service.key.clone(), port.name.clone()));
            let to = node_port.and_then(|node_port| band.0.get(node_port)).copied();
            let to = to.ok_or_else(|| Error::NotExposed { service: service.key.clone() })?;
            // The node port is mapped to that very port: it is listened on already.
            if to != local {
                wanted.push(Wanted { service: service.key.clone(), port: local, to });
            }
        }
    }
    Ok(wanted)
}

async fn serve(listener: TcpListener, to: Arc<Mutex<u16>>) {
    loop {
        let Ok((mut from, _)) = listener.accept().await else {
            // Out of file descriptors: some connection will end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let port = *to.lock().expect("no holder panics");
        tokio::spawn(async move {
            let connecting = tokio::time::timeout(ANSWER, TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
            if let Ok(Ok(mut there)) = connecting.await {
                // Either side may end when it likes; that is no fault of ours to tell.
                drop(tokio::io::copy_bidirectional(&mut from, &mut there).await);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::deploy::manifest::tests::{profile, service};
    use crate::profile::Port;

    /// Answers every connection with `word`.
    async fn answering(word: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                connection.write_all(word).await.unwrap();
            }
        });
        port
    }

    async fn said(port: u16) -> Vec<u8> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let mut said = Vec::new();
        connection.read_to_end(&mut said).await.unwrap();
        said
    }

    /// A port that nobody has at the moment.
    fn free() -> u16 {
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
    }

    fn with_local(local: u16) -> Profile {
        let mut web = service("web");
        let port = Port {
            name: "http".to_owned(),
            port: 80,
            target: 80,
            protocol: Protocol::Tcp,
            node_port: None,
            local: Some(local),
        };
        web.ports = vec![port];
        profile(vec![web])
    }

    #[tokio::test]
    async fn a_local_port_survives_a_redeploy_to_another_node_port() {
        let (one, two, local) = (answering(b"one").await, answering(b"two").await, free());
        let band = Band([(30000, one), (30001, two)].into());
        let node_ports = |port| [(("web".to_owned(), "http".to_owned()), port)].into();
        let mut locals = Locals::default();
        locals.follow(&with_local(local), &node_ports(30000), &band).await.unwrap();
        assert_eq!(said(local).await, b"one");
        locals.follow(&with_local(local), &node_ports(30001), &band).await.unwrap();
        assert_eq!(said(local).await, b"two");
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_named() {
        let taken = answering(b"x").await;
        let band = Band([(30000, 1)].into());
        let node_ports = [(("web".to_owned(), "http".to_owned()), 30000)].into();
        let error = Locals::default().follow(&with_local(taken), &node_ports, &band).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("port {taken} of localhost, which service `web` wants, cannot be listened on")
        );
    }
}
