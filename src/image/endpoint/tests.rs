use std::collections::BTreeMap;
use std::path::Path;

use super::*;

struct Machine {
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Machine {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: BTreeMap::new() }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn config(self, text: &str) -> Self {
        std::fs::create_dir_all(self.home.path().join(".docker")).unwrap();
        std::fs::write(self.home.path().join(".docker/config.json"), text).unwrap();
        self
    }

    fn context(self, name: &str, host: &str) -> Self {
        let hash = crate::image::digest::hex(&Sha256::digest(name.as_bytes()));
        let folder = self.home.path().join(".docker/contexts/meta").join(hash);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = serde_json::json!({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}});
        std::fs::write(folder.join("meta.json"), meta.to_string()).unwrap();
        self
    }

    fn resolve(&self) -> Result<Endpoint, Error> {
        let surroundings = Surroundings {
            variables: self.variables.clone(),
            home: self.home.path().to_owned(),
            folder: self.home.path().to_owned(),
            ..Surroundings::default()
        };
        resolve_with(&surroundings, Path::new("/nowhere/docker.sock"))
    }

    fn text(&self) -> String {
        match self.resolve() {
            Ok(endpoint) => format!("{} from {}", endpoint.host, endpoint.source),
            Err(error) => {
                let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
                format!("{error}; {help}")
            }
        }
    }
}

#[test]
fn sources_are_asked_in_the_order_of_the_docker_cli() {
    let machine = Machine::new();
    assert_eq!(machine.text(), "unix:///nowhere/docker.sock from the default");
    let machine = machine.config(r#"{"currentContext":"colima"}"#).context("colima", "unix:///c.sock");
    assert_eq!(machine.text(), "unix:///c.sock from context `colima`");
    let machine = machine.context("desktop", "unix:///d.sock").set("DOCKER_CONTEXT", "desktop");
    assert_eq!(machine.text(), "unix:///d.sock from context `desktop`");
    let machine = machine.set("DOCKER_HOST", "tcp://127.0.0.1:2375");
    assert_eq!(machine.text(), "tcp://127.0.0.1:2375 from DOCKER_HOST");
}

#[test]
fn the_context_default_is_no_context() {
    let machine = Machine::new().config(r#"{"currentContext":"colima"}"#).set("DOCKER_CONTEXT", "default");
    assert_eq!(machine.text(), "unix:///nowhere/docker.sock from the default");
    assert_eq!(Machine::new().config("").text(), "unix:///nowhere/docker.sock from the default");
}

#[test]
fn a_missing_context_names_those_that_exist() {
    let machine = Machine::new().context("colima", "unix:///c.sock").set("DOCKER_CONTEXT", "colina");
    assert_eq!(
        machine.text(),
        "Docker context `colina`, chosen by DOCKER_CONTEXT, does not exist; these do: `colima`, `default`; choose one \
         with `docker context use NAME` or DOCKER_CONTEXT"
    );
}

#[test]
fn a_rootless_socket_counts_only_without_the_usual_one() {
    let machine = Machine::new();
    let folder = machine.home.path().to_owned();
    std::fs::write(folder.join("docker.sock"), "").unwrap();
    let machine = machine.set("XDG_RUNTIME_DIR", folder.to_str().unwrap());
    assert_eq!(machine.text(), format!("unix://{}/docker.sock from the rootless default", folder.display()));
}

#[test]
fn an_engine_inside_a_cluster_is_left_out_and_named() {
    let machine = Machine::new()
        .set("DOCKER_HOST", "tcp://192.168.49.2:2376")
        .set("DOCKER_TLS_VERIFY", "1")
        .set("MINIKUBE_ACTIVE_DOCKERD", "minikube");
    let endpoint = machine.resolve().unwrap();
    assert_eq!(endpoint.host, "unix:///nowhere/docker.sock");
    assert_eq!(endpoint.certificates, None);
    assert_eq!(
        endpoint.notice.unwrap(),
        "DOCKER_HOST=tcp://192.168.49.2:2376 is the engine inside the cluster `minikube` (from `minikube docker-env`) \
         and is left out; `eval $(minikube -p minikube docker-env --unset)` clears it"
    );
}

#[test]
fn ssh_is_refused_with_the_reason() {
    let text = Machine::new().set("DOCKER_HOST", "ssh://me@big").text();
    assert!(text.starts_with("the Docker engine `ssh://me@big` (DOCKER_HOST) is reached over ssh"), "{text}");
    assert!(text.contains("on that machine's loopback"), "{text}");
}

#[test]
fn children_get_exactly_this_endpoint() {
    let machine = Machine::new()
        .set("DOCKER_HOST", "tcp://10.0.0.1")
        .set("DOCKER_TLS_VERIFY", "1")
        .set("DOCKER_CERT_PATH", "/certs");
    let endpoint = machine.resolve().unwrap();
    assert_eq!(endpoint.authority(), "10.0.0.1:2376");
    let environment = endpoint.child_environment();
    assert_eq!(environment["DOCKER_HOST"].as_deref(), Some("tcp://10.0.0.1"));
    assert_eq!(environment["DOCKER_TLS_VERIFY"].as_deref(), Some("1"));
    assert_eq!(environment["DOCKER_CERT_PATH"].as_deref(), Some("/certs"));
    assert_eq!(environment["DOCKER_CONTEXT"], None);
    let plain = Machine::new().resolve().unwrap().child_environment();
    assert_eq!(plain["DOCKER_TLS_VERIFY"], None);
}
