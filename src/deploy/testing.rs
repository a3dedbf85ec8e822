//! A scripted API server for tests: answers in order, and remembers what was asked.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;

use crate::profile::{Cluster, Profile, ProviderName};

#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `GET /api/v1/…?query`
    pub(super) line: String,
    /// Null without a body.
    pub(super) body: Value,
}

/// Answers requests. Scripted ones in order; after them, 404.
pub(super) struct Server {
    client: kube::Client,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(super) fn new(answers: Vec<(u16, Value)>) -> Self {
        let mut answers = answers.into_iter();
        Self::with(move |_| answers.next())
    }

    /// Answers by the request's line; `None` is 404.
    pub(super) fn with(mut answer: impl FnMut(&str) -> Option<(u16, Value)> + Send + 'static) -> Self {
        let (service, mut handle) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some((request, reply)) = handle.next_request().await {
                let line = format!("{} {}", request.method(), request.uri());
                let bytes = request.into_body().collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let missing =
                    serde_json::json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
                let (code, value) = answer(&line).unwrap_or((404, missing));
                log.lock().unwrap().push(Asked { line, body });
                let body = Body::from(serde_json::to_vec(&value).unwrap());
                reply.send_response(Response::builder().status(code).body(body).unwrap());
            }
        });
        Self { client: kube::Client::new(service, "default"), asked }
    }

    pub(super) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    #[expect(clippy::unused_async, reason = "reads as the end of a conversation")]
    pub(super) async fn seen(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) async fn lines(&self) -> Vec<String> {
        self.seen().await.into_iter().map(|asked| asked.line).collect()
    }
}

/// Profile `shop` of `/home/ada/shop`, without services.
pub(super) fn profile() -> Profile {
    Profile {
        name: "shop".to_owned(),
        folder: "/home/ada/shop".into(),
        file: None,
        namespace: "shop".to_owned(),
        instance: "0123456789ab".to_owned(),
        labels: std::collections::BTreeMap::new(),
        cluster: Cluster {
            provider: ProviderName::Kind,
            name: "coracle".to_owned(),
            nodes: 1,
            kubernetes: None,
            image: None,
        },
        services: Vec::new(),
        manifests: Vec::new(),
        checks: Vec::new(),
        environments: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn session() -> crate::session::Session {
    let (events, _) = crate::event::Events::channel();
    crate::session::Session {
        events,
        cancel: tokio_util::sync::CancellationToken::new(),
        surroundings: Arc::new(crate::session::Surroundings::default()),
    }
}
