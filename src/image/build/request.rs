//! A build's request: its query, its body, and what its session offers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::super::context::{self, What};
use super::super::dockerfile::ca::{CA_PATH, CA_PATH_SECRET, CA_SECRET};
use super::super::engine::Engine;
use super::super::error::Cause;
use super::super::session::Offer;
use super::super::session::files::Files;
use super::super::{Error, wire};
use super::Request;
use crate::session::{Session, Surroundings};

/// The Dockerfile's name in the archive where it is not the file that the context has.
const OWN_DOCKERFILE: &str = ".coracle-dockerfile";
/// What a Dockerfile's own ignore file has after the Dockerfile's name.
const IGNORE: &str = ".dockerignore";
/// Where this machine's own bundle may be.
const HOST_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// How many chunks of the archive may wait for the engine.
const CHUNKS: usize = 16;
const CHUNK: usize = 256 * 1024;

/// Which way the context goes to the engine.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// By the session: only what the engine has not from the build before.
    Files(Arc<Files>),
    /// As an archive, the request's body.
    Archive,
    /// The same, to a builder that has no session.
    Classic,
}

impl Way {
    pub(super) fn has_session(&self) -> bool {
        !matches!(self, Self::Classic)
    }
}

/// Returns path and query of the build.
pub(super) fn path(session: &Session, engine: &Engine, request: &Request, way: &Way, served: Option<&str>) -> String {
    let build = &request.build;
    let json = |map: &BTreeMap<String, String>| serde_json::to_string(map).expect("a map of strings is JSON");
    let args = with_proxies(&build.args, &session.surroundings, &engine.endpoint.host);
    let mut pairs = vec![
        ("version", if served.is_some() { "2" } else { "1" }.to_owned()),
        ("t", request.tag.clone()),
        ("dockerfile", dockerfile(request, way.has_session()).0),
        ("buildargs", json(&args)),
        ("labels", json(&request.labels)),
        ("rm", "1".to_owned()),
        ("forcerm", "1".to_owned()),
    ];
    let mut add = |name, value: Option<&str>| pairs.extend(value.map(|value| (name, value.to_owned())));
    add("session", served);
    add("buildid", served);
    add("remote", matches!(way, Way::Files(_)).then_some("client-session"));
    add("target", build.target.as_deref());
    add("platform", build.platform.as_deref());
    add("networkmode", build.network.as_deref());
    add("nocache", request.no_cache.then_some("1"));
    format!("/build?{}", wire::query(&pairs))
}

/// Returns the build args with Docker's own proxies, unless the profile gives them.
fn with_proxies(args: &BTreeMap<String, String>, surroundings: &Surroundings, host: &str) -> BTreeMap<String, String> {
    let path = super::super::endpoint::config_folder(surroundings).join("config.json");
    let config = std::fs::read(path).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let mut all = args.clone();
    let Some(proxies) = config.as_ref().and_then(|config| config.get("proxies")) else {
        return all;
    };
    let Some(proxies) = proxies.get(host).or_else(|| proxies.get("default")) else {
        return all;
    };
    for (key, name) in [
        ("httpProxy", "HTTP_PROXY"),
        ("httpsProxy", "HTTPS_PROXY"),
        ("ftpProxy", "FTP_PROXY"),
        ("noProxy", "NO_PROXY"),
        ("allProxy", "ALL_PROXY"),
    ] {
        let Some(value) = proxies.get(key).and_then(serde_json::Value::as_str).filter(|value| !value.is_empty()) else {
            continue;
        };
        for name in [name.to_owned(), name.to_lowercase()] {
            all.entry(name).or_insert_with(|| value.to_owned());
        }
    }
    all
}

/// Returns the Dockerfile's name in the context, and its text where the context's own file
/// is not what is to be built: it lies outside, is a link, or was rewritten.
fn dockerfile(request: &Request, has_session: bool) -> (String, Option<String>) {
    if request.build.ca.is_some() && has_session {
        return (OWN_DOCKERFILE.to_owned(), Some(request.dockerfile.with_ca()));
    }
    let inside = inside(request).filter(|inside| is_link(request, inside) != Some(true)).and_then(Path::to_str);
    match inside {
        Some(inside) => (inside.to_owned(), None),
        None => (OWN_DOCKERFILE.to_owned(), Some(request.dockerfile.text.clone())),
    }
}

/// Returns where in the context the Dockerfile is.
fn inside(request: &Request) -> Option<&Path> {
    request.dockerfile.path.strip_prefix(&request.context.root).ok()
}

/// Returns whether the context has a link at `path`; `None` if it has nothing there.
fn is_link(request: &Request, path: &Path) -> Option<bool> {
    let entries = &request.context.entries;
    let place = entries.binary_search_by(|entry| entry.path.as_path().cmp(path)).ok()?;
    Some(matches!(entries[place].what, What::Link(_)))
}

/// Offers the context by file sync; `None` if a name in it is not UTF-8.
///
/// The engine reads the ignore file once more and leaves out what it names, as it does
/// for every client. That takes away nothing that is offered but the Dockerfile and the
/// ignore file, unless it is another ignore file: that of a Dockerfile under a name of
/// ours has to have such a name too.
pub(super) fn files(request: &Request) -> Result<Option<Files>, Error> {
    Ok(Files::offer(&request.context, extra_files(request)?))
}

/// Returns the files that go with the context for its sake.
fn extra_files(request: &Request) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let (name, text) = dockerfile(request, true);
    let mut extra = Vec::new();
    if let Some(text) = text {
        if let Some(rules) = own_ignore(request)? {
            extra.push((format!("{name}{IGNORE}"), rules));
        }
        extra.push((name, text.into_bytes()));
    }
    Ok(extra)
}

/// Returns the ignore file that the Dockerfile has beside it, if it has one.
fn own_ignore(request: &Request) -> Result<Option<Vec<u8>>, Error> {
    let beside = |path: &Path| -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(IGNORE);
        name.into()
    };
    let path = beside(&request.dockerfile.path);
    match inside(request).map(beside) {
        // The rules were applied when the context was read, and neither file is in it. A
        // remark, because the engine takes an empty file for none.
        None => Ok(path.exists().then(|| b"# applied\n".to_vec())),
        Some(inside) if is_link(request, &inside).is_some() => {
            let unreadable = |source| context::Error::Unreadable { path: path.clone(), source };
            Ok(Some(std::fs::read(&path).map_err(unreadable)?))
        }
        Some(_) => Ok(None),
    }
}

/// What became of the archive while it was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<Mutex<Option<Error>>>);

impl Written {
    /// Returns why the context could not be read, once.
    pub(super) fn error(&self) -> Option<Error> {
        self.0.lock().ok()?.take()
    }
}

/// Returns the request's body for a way, and what will become of it.
pub(super) fn body(request: &Request, way: &Way) -> (wire::Body, Written) {
    match way {
        Way::Files(_) => (wire::empty(), Written::default()),
        Way::Archive | Way::Classic => archive(request, way.has_session()),
    }
}

/// Returns a body that is the context's archive, written while it is sent.
fn archive(request: &Request, has_session: bool) -> (wire::Body, Written) {
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(CHUNKS);
    let written = Written::default();
    let (context, slot) = (request.context.clone(), written.clone());
    let (name, text) = dockerfile(request, has_session);
    let extra: Vec<(String, Vec<u8>)> = text.map(|text| (name, text.into_bytes())).into_iter().collect();
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::with_capacity(CHUNK, Sink { sender: sender.clone(), gone: false });
        let result = context.write_tar(&extra, &mut out);
        let flushed = std::io::Write::flush(&mut out);
        // An engine that stops listening has its own reason, and says it.
        if out.get_ref().gone || (result.is_ok() && flushed.is_ok()) {
            return;
        }
        if let (Err(error), Ok(mut slot)) = (result, slot.0.lock()) {
            *slot = Some(error.into());
        }
        // Ends the request in the middle, so that no half context is built.
        drop(sender.blocking_send(Err(std::io::Error::other("the context could not be read"))));
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver).map(|chunk| chunk.map(Frame::data));
    (BodyExt::boxed(StreamBody::new(stream)), written)
}

/// Writes into the request's body.
struct Sink {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    gone: bool,
}

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.sender.blocking_send(Ok(Bytes::copy_from_slice(bytes))).is_err() {
            self.gone = true;
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what the build may have of this machine.
pub(super) fn offer(session: &Session, request: &Request, way: &Way) -> Result<Offer, Error> {
    let mut secrets = request.secrets.clone();
    if let Some(path) = &request.build.ca {
        let own = std::fs::read(path).map_err(|error| Error::BuildSecret {
            service: request.service.clone(),
            id: "ca".to_owned(),
            cause: Cause::new(format!("{}: {error}", path.display())),
        })?;
        let mut bundle = HOST_BUNDLES.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
        bundle.push(b'\n');
        bundle.extend(own);
        secrets.insert(CA_SECRET.to_owned(), bundle);
        secrets.insert(CA_PATH_SECRET.to_owned(), CA_PATH.as_bytes().to_vec());
    }
    let files = if let Way::Files(files) = way { Some(files.clone()) } else { None };
    Ok(Offer { secrets, agents: agents(session, request), surroundings: session.surroundings.clone(), files })
}

/// Returns the agents' sockets by id: `default` is `SSH_AUTH_SOCK`, `id=PATH` a socket.
fn agents(session: &Session, request: &Request) -> BTreeMap<String, PathBuf> {
    let own = session.surroundings.variable("SSH_AUTH_SOCK").map(PathBuf::from);
    request
        .build
        .ssh
        .iter()
        .filter_map(|id| match id.split_once('=') {
            Some((id, path)) => Some((id.to_owned(), session.surroundings.absolute(Path::new(path)))),
            None => Some((id.clone(), own.clone()?)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_docker_reach_the_build_unless_given() {
        let home = tempfile::tempdir().unwrap();
        let config = r#"{"proxies":{"default":{"httpProxy":"http://p:3128","noProxy":"a,b"}}}"#;
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        std::fs::write(home.path().join(".docker/config.json"), config).unwrap();
        let surroundings = Surroundings { home: home.path().to_owned(), ..Surroundings::default() };
        let given = BTreeMap::from([("http_proxy".to_owned(), "mine".to_owned())]);
        let args = with_proxies(&given, &surroundings, "unix:///x");
        let args: Vec<String> = args.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(args, ["HTTP_PROXY=http://p:3128", "NO_PROXY=a,b", "http_proxy=mine", "no_proxy=a,b"]);
    }

    /// The names that a Dockerfile's local would have beside the context's.
    fn extra(context: &Path, dockerfile: &Path) -> Vec<String> {
        let build =
            crate::profile::Build { dockerfile: dockerfile.to_owned(), ..crate::profile::Build::of_folder(context) };
        let (context, dockerfile) = super::super::super::tag::read(&build, None).unwrap();
        let request = Request {
            service: "api".to_owned(),
            build,
            context,
            dockerfile,
            tag: String::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
        };
        let with_ca = Request {
            build: crate::profile::Build { ca: Some("ca".into()), ..request.build.clone() },
            ..request.clone()
        };
        [request, with_ca]
            .iter()
            .map(|request| {
                extra_files(request).unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    #[test]
    fn a_dockerfile_under_our_name_keeps_its_own_rules() {
        let folder = tempfile::tempdir().unwrap();
        let (context, outside) = (folder.path().join("app"), folder.path().join("Dockerfile"));
        let inside = context.join("Dockerfile");
        std::fs::create_dir(&context).unwrap();
        for path in [&outside, &inside] {
            std::fs::write(path, "FROM a\n").unwrap();
        }
        std::fs::write(context.join(".dockerignore"), "x\n").unwrap();
        let (alone, both) = (".coracle-dockerfile", ".coracle-dockerfile.dockerignore .coracle-dockerfile");
        assert_eq!(extra(&context, &inside), ["", alone]);
        assert_eq!(extra(&context, &outside), [alone, alone]);
        for path in [&outside, &inside] {
            std::fs::write(path.with_extension("dockerignore"), "y\n").unwrap();
        }
        assert_eq!(extra(&context, &inside), ["", both]);
        assert_eq!(extra(&context, &outside), [both, both]);
        std::os::unix::fs::symlink("../Dockerfile", context.join("Link")).unwrap();
        assert_eq!(extra(&context, &context.join("Link")), [alone, alone]);
    }
}
