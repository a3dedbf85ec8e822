//! What is live: this instance's objects, its inventory, and what it may collide with. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use futures_util::{TryFutureExt, try_join};

use super::Error;
use super::object::{FIXED_SIZE, INSTANCE, Object, SELF};
use super::release;
use super::request::{Resource, get, list};
use crate::profile::Profile;

/// The cluster's side of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Live {
    /// Objects with this instance's label whose self-naming annotation is their own.
    pub(crate) objects: Vec<Object>,
    pub(crate) namespace: NamespaceState,
    /// The instance's inventory object, if any.
    pub(crate) inventory: Option<Inventory>,
    /// Node port → `namespace/service/port name` for every Service of the cluster.
    pub(crate) node_ports: BTreeMap<u16, String>,
    pub(crate) storage_classes: BTreeSet<String>,
    /// Names of all claims in the namespace, ours and others'.
    pub(crate) claims: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum NamespaceState {
    #[default]
    Absent,
    Active,
    Terminating,
}

/// One per instance: the kinds in use, where the profile came from, and the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(crate) folder: String,
    /// `apps/v1/Deployment`
    pub(crate) kinds: BTreeSet<String>,
    /// Counts up with each apply.
    pub(crate) release: u64,
    pub(crate) resource_version: String,
}

/// Kinds that Coracle renders, beside Services, claims and the namespace, which are asked for
/// more widely.
const RENDERED: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
];

const WIDER: &[&str] = &["v1/Service", "v1/PersistentVolumeClaim", "v1/Namespace"];

/// Asks the cluster, one LIST per kind, all at once. `kinds`: `apiVersion/Kind` of raw
/// manifests beside the kinds that Coracle renders.
pub(crate) async fn observe(client: &kube::Client, profile: &Profile, kinds: &BTreeSet<String>) -> Result<Live, Error> {
    let selector = selector(profile);
    let mut asked: BTreeSet<String> = RENDERED.iter().map(|(version, kind)| format!("{version}/{kind}")).collect();
    asked.extend(WIDER.iter().map(ToString::to_string));
    let extra: Vec<String> = kinds.difference(&asked).cloned().collect();
    let rendered = RENDERED.iter().map(|(version, kind)| list_ours(client, profile, &selector, version, kind));
    let [namespaces, services, claims, classes] = [
        known("v1", "Namespace"),
        known("v1", "Service"),
        known("v1", "PersistentVolumeClaim"),
        known("storage.k8s.io/v1", "StorageClass"),
    ];
    let (namespace, inventory, services, claims, classes, rendered, extra_objects) = try_join!(
        get(client, &namespaces, "", &profile.namespace),
        release::read(client, profile),
        list(client, &services, "", None),
        list(client, &claims, &profile.namespace, None),
        list(client, &classes, "", None),
        try_join_all(rendered),
        list_kinds(client, profile, &selector, &extra),
    )?;
    asked.extend(extra);
    // Kinds of earlier releases that nothing renders any more: only they cost a second round.
    let earlier: Vec<String> = inventory
        .iter()
        .flat_map(|inventory| &inventory.kinds)
        .filter(|kind| !asked.contains(*kind))
        .cloned()
        .collect();
    let earlier = list_kinds(client, profile, &selector, &earlier).await?;

    let mut live = Live {
        namespace: namespace_state(namespace.as_ref()),
        inventory,
        node_ports: node_ports(&services),
        storage_classes: classes.iter().map(|class| class.name().to_owned()).collect(),
        claims: claims.iter().map(|claim| claim.name().to_owned()).collect(),
        objects: Vec::new(),
    };
    live.objects = namespace
        .into_iter()
        .chain(services)
        .chain(claims.into_iter().map(|claim| with_growth(claim, &classes)))
        .chain(rendered.into_iter().flatten())
        .chain(extra_objects)
        .chain(earlier)
        .filter(|object| is_ours(object, &profile.instance))
        .collect();
    Ok(live)
}

/// Returns what a load needs to know: where the profile came from.
pub(crate) async fn observe_inventory(client: &kube::Client, profile: &Profile) -> Result<Live, Error> {
    Ok(Live { inventory: release::read(client, profile).await?, ..Live::default() })
}

/// Returns whether the object carries the instance's label and names itself: copies of labels
/// that an operator made are not ours.
pub(crate) fn is_ours(object: &Object, instance: &str) -> bool {
    object.label(INSTANCE) == Some(instance) && object.annotation(SELF) == Some(object.identity().as_str())
}

/// Returns the label selector of everything that belongs to the profile's instance.
pub(crate) fn selector(profile: &Profile) -> String {
    format!("{INSTANCE}={}", profile.instance)
}

async fn list_ours(
    client: &kube::Client,
    profile: &Profile,
    selector: &str,
    api_version: &str,
    kind: &str,
) -> Result<Vec<Object>, Error> {
    let resource = match Resource::find(client, api_version, kind).await {
        // Its definition has gone, and its objects with it (or comes with this apply).
        Err(Error::UnknownKind { .. }) => return Ok(Vec::new()),
        other => other?,
    };
    list(client, &resource, &profile.namespace, Some(selector)).await
}

async fn list_kinds(
    client: &kube::Client,
    profile: &Profile,
    selector: &str,
    kinds: &[String],
) -> Result<Vec<Object>, Error> {
    let lists = kinds
        .iter()
        .filter_map(|kind| kind.rsplit_once('/'))
        .map(|(api_version, kind)| list_ours(client, profile, selector, api_version, kind));
    try_join_all(lists).map_ok(|lists| lists.into_iter().flatten().collect()).await
}

/// Notes on a claim that its class does not let it grow: a claim itself does not tell.
fn with_growth(mut claim: Object, classes: &[Object]) -> Object {
    let class = claim.0["spec"]["storageClassName"].as_str().unwrap_or_default();
    let fixed = |found: &&Object| found.name() == class && found.0["allowVolumeExpansion"] != true;
    if classes.iter().any(|class| fixed(&class)) {
        claim.annotate(FIXED_SIZE, "true");
    }
    claim
}

fn known(api_version: &str, kind: &str) -> Resource {
    Resource::known(api_version, kind).expect("asked only for kinds of the table")
}

fn namespace_state(namespace: Option<&Object>) -> NamespaceState {
    match namespace {
        None => NamespaceState::Absent,
        Some(namespace) if namespace.0["status"]["phase"] == "Terminating" => NamespaceState::Terminating,
        Some(_) => NamespaceState::Active,
    }
}

/// Returns every node port in use and who uses it: `namespace/service/port name`.
fn node_ports(services: &[Object]) -> BTreeMap<u16, String> {
    let mut taken = BTreeMap::new();
    for service in services {
        let owner = |port: &serde_json::Value| {
            let name = port["name"].as_str().unwrap_or_default();
            format!("{}/{}/{name}", service.namespace(), service.name())
        };
        for port in service.0["spec"]["ports"].as_array().into_iter().flatten() {
            if let Some(number) = port["nodePort"].as_u64().and_then(|number| u16::try_from(number).ok()) {
                taken.insert(number, owner(port));
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Server, profile};
    use super::*;

    fn object(api_version: &str, kind: &str, name: &str, names_itself: bool) -> serde_json::Value {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let own = format!("{group}/{kind}/shop/{name}");
        json!({"metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": {INSTANCE: "0123456789ab"},
            "annotations": {SELF: if names_itself { own } else { "apps/Deployment/shop/other".to_owned() }},
        }})
    }

    #[tokio::test]
    async fn one_list_per_kind_and_only_ours() {
        let server = Server::with(|line| {
            let list = |items: serde_json::Value| Some((200, json!({"items": items})));
            if line.contains("/deployments") {
                list(json!([
                    object("apps/v1", "Deployment", "web", true),
                    object("apps/v1", "Deployment", "copy", false)
                ]))
            } else if line.contains("/api/v1/services") {
                let mut other = object("v1", "Service", "db", false);
                other["metadata"]["namespace"] = "other".into();
                other["spec"] = json!({"ports": [{"name": "sql", "nodePort": 30003}]});
                list(json!([other]))
            } else if line.contains("/storageclasses") {
                list(json!([{"metadata": {"name": "standard"}}]))
            } else if line.contains("/persistentvolumeclaims") {
                list(json!([{"metadata": {"name": "theirs", "namespace": "shop"}}]))
            } else if line.contains("/namespaces/shop?") || line.ends_with("/namespaces/shop") {
                Some((200, json!({"metadata": {"name": "shop"}, "status": {"phase": "Active"}})))
            } else {
                None
            }
        });
        let live = observe(&server.client(), &profile(), &BTreeSet::new()).await.unwrap();
        assert_eq!(live.objects.iter().map(Object::identity).collect::<Vec<_>>(), ["apps/Deployment/shop/web"]);
        assert_eq!(live.namespace, NamespaceState::Active);
        assert_eq!(live.node_ports, BTreeMap::from([(30003, "other/db/sql".to_owned())]));
        assert_eq!(live.storage_classes, BTreeSet::from(["standard".to_owned()]));
        assert_eq!(live.claims, BTreeSet::from(["theirs".to_owned()]));
        let mut lines = server.lines().await;
        lines.sort();
        let ours = "labelSelector=coracle.dev%2Finstance%3D0123456789ab";
        assert_eq!(
            lines,
            [
                "GET /api/v1/namespaces/shop".to_owned(),
                "GET /api/v1/namespaces/shop/configmaps/coracle-0123456789ab".to_owned(),
                format!("GET /api/v1/namespaces/shop/configmaps?&{ours}"),
                "GET /api/v1/namespaces/shop/persistentvolumeclaims?".to_owned(),
                format!("GET /api/v1/namespaces/shop/secrets?&{ours}"),
                "GET /api/v1/services?".to_owned(),
                format!("GET /apis/apps/v1/namespaces/shop/deployments?&{ours}"),
                format!("GET /apis/apps/v1/namespaces/shop/statefulsets?&{ours}"),
                format!("GET /apis/batch/v1/namespaces/shop/cronjobs?&{ours}"),
                format!("GET /apis/batch/v1/namespaces/shop/jobs?&{ours}"),
                "GET /apis/storage.k8s.io/v1/storageclasses?".to_owned(),
            ]
        );
    }

    #[test]
    fn a_claim_knows_whether_it_may_grow() {
        let class = |name: &str, grows: serde_json::Value| {
            Object(json!({"metadata": {"name": name}, "allowVolumeExpansion": grows}))
        };
        let classes = [class("standard", json!(null)), class("ceph", json!(true))];
        let fixed = |class: &str| {
            let claim = Object(json!({"metadata": {"name": "data"}, "spec": {"storageClassName": class}}));
            with_growth(claim, &classes).annotation(FIXED_SIZE).is_some()
        };
        assert!(fixed("standard"));
        assert!(!fixed("ceph") && !fixed("unknown"));
    }

    #[tokio::test]
    async fn kinds_of_raw_manifests_are_found_by_their_own_group_only() {
        let server = Server::with(|line| match line {
            "GET /apis/example.com/v1" => Some((
                200,
                json!({"resources": [{"name": "boats", "kind": "Boat", "namespaced": true}, {"name": "boats/status", "kind": "Boat"}]}),
            )),
            line if line.contains("/boats?") => {
                Some((200, json!({"items": [object("example.com/v1", "Boat", "coracle", true)]})))
            }
            _ => None,
        });
        let kinds = BTreeSet::from(["example.com/v1/Boat".to_owned(), "gone.io/v1/Gone".to_owned()]);
        let live = observe(&server.client(), &profile(), &kinds).await.unwrap();
        assert_eq!(live.objects.iter().map(Object::identity).collect::<Vec<_>>(), ["example.com/Boat/shop/coracle"]);
        assert_eq!(live.namespace, NamespaceState::Absent);
        let discovery: Vec<String> = server.lines().await.into_iter().filter(|line| !line.contains('?')).collect();
        assert!(discovery.contains(&"GET /apis/gone.io/v1".to_owned()), "{discovery:?}");
        assert!(!discovery.contains(&"GET /apis".to_owned()), "{discovery:?}");
    }
}
