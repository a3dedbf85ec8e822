//! Single requests to the API server: paths, a deadline for each, and its answers as errors.
//!
//! Objects go through as plain JSON, so that nothing that a newer server says is lost.

use std::time::Duration;

use kube::Client;
use kube::Resource as _;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GetParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, Request, Status};
use serde_json::Value;

use super::Error;
use super::error::Words;
use super::object::{MANAGER, Object};

const READ: Duration = Duration::from_secs(10);
/// Webhooks may take 10 s each.
const WRITE: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 4;

/// A kind as the API server's paths spell it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    pub(crate) api: ApiResource,
    pub(crate) namespaced: bool,
}

/// Kinds whose paths need not be asked for: apiVersion, kind, plural, namespaced.
const KNOWN: &[(&str, &str, &str, bool)] = &[
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Secret", "secrets", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "Service", "services", true),
    ("v1", "Pod", "pods", true),
    ("v1", "Event", "events", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("batch/v1", "Job", "jobs", true),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
];

impl Resource {
    fn new(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let api = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Self { api, namespaced }
    }

    /// Returns a kind of Kubernetes' own.
    pub(crate) fn known(api_version: &str, kind: &str) -> Option<Self> {
        KNOWN
            .iter()
            .find(|known| known.0 == api_version && known.1 == kind)
            .map(|(api_version, kind, plural, namespaced)| Self::new(api_version, kind, plural, *namespaced))
    }

    /// Returns the kind, asking the server's discovery for this one group and version if need be.
    pub(crate) async fn find(client: &Client, api_version: &str, kind: &str) -> Result<Self, Error> {
        if let Some(known) = Self::known(api_version, kind) {
            return Ok(known);
        }
        let unknown = || Error::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        let found = call(client, root, Call::Get(api_version)).await;
        let list = match found {
            Err(Fault::Api(status)) if status.code == 404 => return Err(unknown()),
            other => other.map_err(|fault| fault.into_error(&format!("kinds of {api_version}")))?,
        };
        let entry = list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["kind"] == kind && entry["name"].as_str().is_some_and(|name| !name.contains('/')));
        let entry = entry.ok_or_else(unknown)?;
        let plural = entry["name"].as_str().unwrap_or_default();
        Ok(Self::new(api_version, kind, plural, entry["namespaced"].as_bool().unwrap_or(true)))
    }

    /// Returns the collection's path; an empty namespace means all of them.
    pub(crate) fn path(&self, namespace: &str) -> String {
        let namespace = (self.namespaced && !namespace.is_empty()).then_some(namespace);
        DynamicObject::url_path(&self.api, namespace)
    }

    pub(crate) fn of(&self, mut object: Value) -> Object {
        // Items of a list carry neither.
        object["apiVersion"] = self.api.api_version.clone().into();
        object["kind"] = self.api.kind.clone().into();
        Object(object)
    }
}

/// What is asked of a collection's path.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    Get(&'a str),
    List(&'a ListParams),
    /// Server-side apply, forced: only for objects that are ours.
    Apply(&'a Object),
    /// A merge patch: an update of the named fields alone.
    Merge(&'a str, &'a Value),
    Create(&'a Value),
    Replace(&'a str, &'a Value),
    Delete(&'a str, &'a DeleteParams),
}

/// Why a request did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    Late(Duration),
    Api(Box<Status>),
    Transport(String),
}

/// Sends one request; what is safe to repeat is repeated a few times when the server is busy.
pub(crate) async fn call(client: &Client, path: &str, call: Call<'_>) -> Result<Value, Fault> {
    let deadline = match call {
        Call::Get(_) | Call::List(_) => READ,
        _ => WRITE,
    };
    let repeatable = !matches!(call, Call::Create(_) | Call::Replace(..));
    let mut attempt = 1;
    loop {
        let fault = match tokio::time::timeout(deadline, once(client, path, &call)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(kube::Error::Api(status))) => Fault::Api(status),
            Ok(Err(error)) => Fault::Transport(crate::error::chain(&error)),
            Err(_) => return Err(Fault::Late(deadline)),
        };
        let busy = match &fault {
            Fault::Api(status) => matches!(status.code, 429 | 502 | 503 | 504),
            Fault::Transport(_) => true,
            Fault::Late(_) => false,
        };
        if !(busy && repeatable && attempt < ATTEMPTS) {
            return Err(fault);
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        attempt += 1;
    }
}

async fn once(client: &Client, path: &str, call: &Call<'_>) -> Result<Value, kube::Error> {
    let request = Request::new(path);
    let bytes = |value: &Value| serde_json::to_vec(value).map_err(kube::Error::SerdeError);
    let post = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let built = match call {
        // A group's version is the last part of a path as well, but not a name.
        Call::Get(name) if name.contains('/') => {
            let (group, version) = name.split_once('/').unwrap_or_default();
            Request::new(format!("{path}/{group}")).get(version, &GetParams::default())
        }
        Call::Get(name) => request.get(name, &GetParams::default()),
        Call::List(params) => request.list(params),
        Call::Apply(object) => {
            request.patch(object.name(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object.0))
        }
        Call::Merge(name, value) => {
            let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            request.patch(name, &params, &Patch::Merge(value))
        }
        Call::Create(value) => request.create(&post, bytes(value)?),
        Call::Replace(name, value) => request.replace(name, &post, bytes(value)?),
        Call::Delete(name, params) => request.delete(name, params),
    };
    client.request::<Value>(built.map_err(kube::Error::BuildRequest)?).await
}

/// Returns the object, or nothing where there is none.
pub(crate) async fn get(
    client: &Client,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, Error> {
    match call(client, &resource.path(namespace), Call::Get(name)).await {
        Ok(value) => Ok(Some(resource.of(value))),
        Err(Fault::Api(status)) if status.code == 404 => Ok(None),
        Err(fault) => Err(fault.into_error(&format!("reading {} {name}", resource.api.kind.to_lowercase()))),
    }
}

/// Returns the objects; none where the cluster does not know the kind.
pub(crate) async fn list(
    client: &Client,
    resource: &Resource,
    namespace: &str,
    selector: Option<&str>,
) -> Result<Vec<Object>, Error> {
    let params = ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() };
    match call(client, &resource.path(namespace), Call::List(&params)).await {
        Ok(mut value) => match value["items"].take() {
            Value::Array(items) => Ok(items.into_iter().map(|item| resource.of(item)).collect()),
            _ => Ok(Vec::new()),
        },
        Err(Fault::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(fault) => Err(fault.into_error(&format!("listing {}", resource.api.plural))),
    }
}

impl Fault {
    /// Returns the error; `what` names the object or the question.
    pub(crate) fn into_error(self, what: &str) -> Error {
        let what = what.to_owned();
        let status = match self {
            Self::Late(deadline) => return Error::NoAnswer { what, seconds: deadline.as_secs() },
            Self::Transport(why) => return Error::Unreachable { at: String::new(), source: Words::new(&why) },
            Self::Api(status) => status,
        };
        let message = status.message.as_str();
        let source = Words::new(message);
        let webhook = message.contains("admission webhook") || message.contains("failed calling webhook");
        match status.code {
            401 => Error::Unauthorised { what, source },
            _ if webhook => Error::Webhook { what, source },
            403 if message.contains("exceeded quota") => Error::Quota { what, source },
            403 => Error::Forbidden { what, source },
            409 => Error::Conflict { what, source },
            422 if message.contains("field is immutable") || message.contains("updates to statefulset spec") => {
                Error::Immutable { what, source: invalid(&status) }
            }
            400 | 422 => Error::Invalid { what, source: invalid(&status) },
            _ => Error::Api { what, source },
        }
    }
}

/// Returns one line per field that the server names, else its whole message.
fn invalid(status: &Status) -> Words {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let lines: Vec<String> = causes
        .iter()
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    if lines.is_empty() { Words::new(&status.message) } else { Words::new(&lines.join("\n")) }
}
