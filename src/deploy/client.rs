//! A client for one named cluster, through its private kubeconfig. Never the current context.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::limit::ConcurrencyLimitLayer;

use super::Error;
use super::error::Words;
use crate::error::chain;

/// How many requests may be on their way at once. Each takes a connection of its own, and twenty
/// handshakes cost more than the waiting for each other's answers.
const AT_ONCE: usize = 4;
const CONNECT: Duration = Duration::from_secs(5);

/// Connects through the kubeconfig's context called `context`, and asks for the server's
/// version, so that an absent cluster is named here and not in the middle of the work.
pub(crate) async fn connect(kubeconfig: &Path, context: &str) -> Result<kube::Client, Error> {
    let unusable = |error: &(dyn std::error::Error + 'static)| Error::Kubeconfig {
        path: kubeconfig.to_path_buf(),
        context: context.to_owned(),
        source: Words::new(&chain(error)),
    };
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| unusable(&error))?;
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))?;
    config.connect_timeout = Some(CONNECT);
    // The default repeats 429, 503 and 504 for minutes; `request::call` repeats a few times itself.
    config.default_retry = false;
    // A cluster on this machine is never behind the network's proxy.
    config.proxy_url = None;
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let builder = kube::client::ClientBuilder::try_from(config).map_err(|error| unusable(&error))?;
    let client = builder.with_layer(&ConcurrencyLimitLayer::new(AT_ONCE)).build();
    match tokio::time::timeout(CONNECT, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(Error::Unauthorised {
            what: format!("asked {host} for its version"),
            source: Words::new(&status.message),
        }),
        // Any answer of the API server says that it is there.
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(client),
        Ok(Err(error)) => Err(Error::Unreachable { at: format!(" at {host}"), source: Words::new(&chain(&error)) }),
        Err(_) => Err(Error::Unreachable {
            at: format!(" at {host}"),
            source: Words::new(&format!("no answer within {} s", CONNECT.as_secs())),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::{Classified, Kind};

    fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(
            file,
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: kind-coracle, context: {{cluster: c, user: u}}}}]\n"
        )
        .unwrap();
        file
    }

    #[tokio::test]
    async fn absent_api_server_is_named() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let file = kubeconfig("http://127.0.0.1:9");
        let error = connect(file.path(), "kind-coracle").await.err().unwrap();
        assert_eq!(error.kind(), Kind::Absent);
        assert_eq!(error.to_string(), "the cluster's API server at 127.0.0.1:9 cannot be reached");
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("Connection refused"), "{why}");
    }

    #[tokio::test]
    async fn only_the_named_context_counts() {
        let file = kubeconfig("http://127.0.0.1:9");
        let error = connect(file.path(), "other").await.err().unwrap();
        assert!(matches!(error, Error::Kubeconfig { context, .. } if context == "other"));
    }
}
