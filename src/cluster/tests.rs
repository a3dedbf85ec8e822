use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::{Event, Events};
use crate::session::Surroundings;

/// Returns a session whose state folder is `state`, and what it says.
pub(super) fn session(state: &Path) -> (Session, UnboundedReceiver<Event>) {
    let (events, receiver) = Events::channel();
    let surroundings = Surroundings { state: state.to_owned(), ..Surroundings::default() };
    (Session { events, cancel: CancellationToken::new(), surroundings: surroundings.into() }, receiver)
}

fn wanted(name: &str, nodes: u32) -> profile::Cluster {
    let provider = profile::ProviderName::Kind;
    profile::Cluster { provider, name: name.to_owned(), nodes, kubernetes: Some("v1.33".to_owned()), image: None }
}

fn engine() -> Engine {
    Engine::unasked("unix:///var/run/docker.sock")
}

#[test]
fn minikube_is_named_as_what_cannot_be_used_yet() {
    let wanted = profile::Cluster { provider: profile::ProviderName::Minikube, ..wanted("shop", 1) };
    assert!(matches!(Provider::new(&wanted), Err(Error::Unsupported { name }) if name == "minikube"));
}

/// Removes the nodes of a test's cluster, whatever became of the test.
struct Cleaned(&'static str);

impl Drop for Cleaned {
    fn drop(&mut self) {
        let name = self.0;
        let work = async move {
            let engine = engine();
            let nodes = node::nodes(&engine, Some(name)).await.unwrap();
            node::remove(&engine, &nodes).await.unwrap();
        };
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(work)).join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker and kind"]
async fn a_cluster_lives_and_goes() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = "coracle-h-cluster";
    let _cleaned = Cleaned(name);
    let state = tempfile::tempdir().unwrap();
    let (session, _events) = session(state.path());
    let (engine, wanted) = (engine(), wanted(name, 3));
    let provider = Provider::new(&wanted).unwrap();

    let State::Absent { band } = observe(&session, &engine, &wanted).await.unwrap() else { panic!("it is absent") };
    assert!(!provider.delete(&session, &engine).await.unwrap());
    // A port is taken between the look and the creation: another band is found.
    let taken = std::net::TcpListener::bind(("127.0.0.1", band.0[&30003])).unwrap();
    let (made, up) =
        tokio::join!(provider.create(&session, &engine, &band), wait::nodes_up(&session, &engine, name, wanted.nodes));
    let (nodes, other) = made.unwrap();
    drop(taken);
    assert_ne!(other, band);
    assert_eq!(up.unwrap(), nodes);
    assert_eq!(observe(&session, &engine, &wanted).await.unwrap(), State::HalfMade { band: other.clone() });
    provider.mark_ready(&session, &engine).await.unwrap();
    let running = State::Running { nodes: nodes.clone(), band: other.clone() };
    assert_eq!(observe(&session, &engine, &wanted).await.unwrap(), running);

    provider.stop(&session, &engine).await.unwrap();
    let stopped = State::Stopped { nodes, band: other.clone() };
    assert_eq!(observe(&session, &engine, &wanted).await.unwrap(), stopped);
    let taken = std::net::TcpListener::bind(("127.0.0.1", other.0[&30005])).unwrap();
    let error = provider.start(&session, &engine).await.unwrap_err();
    assert!(matches!(error, Error::PortTaken { port, holder: Some(_), .. } if port == other.0[&30005]), "{error}");
    drop(taken);
    std::fs::remove_file(kubeconfig_path(&session, name)).unwrap();
    provider.start(&session, &engine).await.unwrap();
    assert_eq!(observe(&session, &engine, &wanted).await.unwrap(), running);
    assert!(kubeconfig_path(&session, name).exists(), "it was asked for again");

    let listed = list(&session, &engine).await.unwrap();
    let line = listed.iter().find(|line| line.name == name).unwrap();
    assert_eq!((line.state.as_str(), line.nodes), ("running", 3));
    assert!(provider.delete(&session, &engine).await.unwrap());
    assert!(matches!(observe(&session, &engine, &wanted).await.unwrap(), State::Absent { .. }));
    assert!(!kubeconfig_path(&session, name).parent().unwrap().exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker and kind"]
async fn an_interrupted_creation_leaves_nothing() {
    let name = "coracle-h-cluster-cut";
    let _cleaned = Cleaned(name);
    let state = tempfile::tempdir().unwrap();
    let (session, _events) = session(state.path());
    let (engine, wanted) = (engine(), wanted(name, 2));
    let State::Absent { band } = observe(&session, &engine, &wanted).await.unwrap() else { panic!("it is absent") };
    let cut = async {
        wait::nodes_up(&session, &engine, name, wanted.nodes).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.cancel.cancel();
    };
    let provider = Provider::new(&wanted).unwrap();
    let create = provider.create(&session, &engine, &band);
    tokio::pin!(create);
    let made = tokio::select! {
        made = &mut create => made,
        () = cut => create.await,
    };
    let kind = crate::error::Classified::kind(&made.unwrap_err());
    assert_eq!(kind, crate::error::Kind::Interrupted);
    assert!(matches!(observe(&session, &engine, &wanted).await.unwrap(), State::Absent { .. }));
}
