//! What the pods use now, as the cluster's metrics API says it, where it has one.

use kube::api::ListParams;
use serde_json::Value;

use super::compare::quantity;
use super::live::selector;
use super::object::SERVICE;
use super::request::{Call, Fault, call};
use super::seen::{name, text};
use crate::error::{Classified, Failure, Kind};
use crate::profile::Profile;
use crate::ui::sanitize;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("this cluster does not measure what its pods use: it has no metrics API")]
#[diagnostic(
    code(coracle::top::no_metrics),
    help(
        "install metrics-server (https://github.com/kubernetes-sigs/metrics-server), on kind with the argument \
         `--kubelet-insecure-tls`; after a minute it has the first numbers"
    )
)]
pub(crate) struct NoMetrics;

impl Classified for NoMetrics {
    fn kind(&self) -> Kind {
        Kind::Absent
    }
}

/// What one pod uses.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Usage {
    pub(crate) service: String,
    pub(crate) pod: String,
    /// Thousandths of a core.
    pub(crate) milli_cpu: u64,
    /// Bytes.
    pub(crate) memory: u64,
}

/// Asks for all pods of the instance, by service.
pub(crate) async fn observe(client: &kube::Client, profile: &Profile) -> Result<Vec<Usage>, Failure> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", profile.namespace);
    let params = ListParams { label_selector: Some(selector(profile)), ..ListParams::default() };
    let answer = match call(client, &path, Call::List(&params)).await {
        Ok(answer) => answer,
        Err(Fault::Api(status)) if matches!(status.code, 404 | 503) => return Err(NoMetrics.into()),
        Err(fault) => return Err(fault.into_error("what the pods use").into()),
    };
    let mut pods: Vec<Usage> = answer["items"].as_array().into_iter().flatten().map(usage).collect();
    pods.sort_by(|a, b| (&a.service, &a.pod).cmp(&(&b.service, &b.pod)));
    Ok(pods)
}

fn usage(pod: &Value) -> Usage {
    let sum = |what: &str| -> i128 {
        let containers = pod["containers"].as_array().into_iter().flatten();
        containers.filter_map(|container| quantity::parse(&container["usage"][what])).sum()
    };
    Usage {
        service: sanitize::line(text(&pod["metadata"]["labels"][SERVICE])),
        pod: sanitize::line(name(pod)),
        milli_cpu: u64::try_from(sum("cpu") / 1_000_000).unwrap_or_default(),
        memory: u64::try_from(sum("memory") / 1_000_000_000).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Server, profile};
    use super::*;

    #[tokio::test]
    async fn containers_of_a_pod_are_summed() {
        let pod = json!({"metadata": {"name": "web-1", "labels": {SERVICE: "web"}}, "containers": [
            {"usage": {"cpu": "12345678n", "memory": "20Ki"}}, {"usage": {"cpu": "3m", "memory": "1Mi"}}]});
        let server = Server::new(vec![(200, json!({"items": [pod]}))]);
        let pods = observe(&server.client(), &profile()).await.unwrap();
        let usage =
            Usage { service: "web".into(), pod: "web-1".into(), milli_cpu: 15, memory: 20 * 1024 + 1024 * 1024 };
        assert_eq!(pods, [usage]);
    }

    #[tokio::test]
    async fn a_cluster_without_the_api_is_told_in_one_sentence() {
        let failure = observe(&Server::new(Vec::new()).client(), &profile()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Absent);
        assert!(failure.report.to_string().contains("no metrics API"));
    }
}
