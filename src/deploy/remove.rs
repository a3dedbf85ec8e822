//! Deleting what Coracle can prove is its own: label, self-naming annotation, UID.
//!
//! Claims are deleted only when they are among the objects handed in (`--volumes`), namespaces
//! only by [`remove_namespace`]. Absent is success, so that twice is fine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Error;
use super::apply::{blocks, delete_params};
use super::error::Words;
use super::leftover;
use super::live::{is_ours, selector};
use super::object::{MANAGED_BY, MANAGER, Object, SELF};
use super::release;
use super::request::{Call, Fault, Resource, call, get, list};
use super::seen::owner_uids;
use crate::event::{Progress, Subject, Unit};
use crate::profile::Profile;
use crate::session::Session;

const AT_ONCE: usize = 8;
const GONE: Duration = Duration::from_secs(90);
const NAMESPACE_GONE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Deletes live objects, workloads first, and waits until they (and their pods) are gone.
pub(crate) async fn remove(
    session: &Session,
    client: &kube::Client,
    profile: &Profile,
    objects: &[Object],
) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let subject = Subject::Remove { namespace: profile.namespace.clone() };
    let work = remove_stages(session, client, profile, objects, &subject);
    let what = |(): &()| match objects.len() {
        1 => format!("removed {}", crate::ui::sanitize::line(&objects[0].title())),
        count => format!("removed {count} objects"),
    };
    session.events.track(subject.clone(), work, what).await
}

fn is_balancer(object: &Object) -> bool {
    object.kind() == "Service" && object.0["spec"]["type"] == "LoadBalancer"
}

async fn remove_stages(
    session: &Session,
    client: &kube::Client,
    profile: &Profile,
    objects: &[Object],
    subject: &Subject,
) -> Result<(), Error> {
    let deletable = || objects.iter().filter(|object| object.kind() != "Namespace");
    // An address outside the cluster is given back before what stands behind it goes.
    let balancers: Vec<&Object> = deletable().filter(|object| is_balancer(object)).collect();
    let workloads: Vec<&Object> = deletable().filter(|object| object.is_workload()).collect();
    let rest: Vec<&Object> = deletable().filter(|object| !is_balancer(object) && !object.is_workload()).collect();
    let owners = owners(client, profile, &workloads).await?;
    for stage in [balancers, workloads, rest] {
        let deletes = stage.iter().map(|object| delete(client, profile, object));
        stream::iter(deletes).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        wait_gone(session, client, profile, &stage, &owners, subject).await?;
    }
    Ok(())
}

/// Deletes the object if it still is the one that was seen, and still ours.
async fn delete(client: &kube::Client, profile: &Profile, object: &Object) -> Result<(), Error> {
    let resource = Resource::find(client, object.api_version(), object.kind()).await?;
    let Some(now) = get(client, &resource, object.namespace(), object.name()).await? else { return Ok(()) };
    if !is_ours(&now, &profile.instance) || now.uid() != object.uid() {
        // Somebody has made it theirs since; there is nothing of ours to delete.
        return Ok(());
    }
    delete_exactly(client, &resource, &now).await
}

async fn delete_exactly(client: &kube::Client, resource: &Resource, object: &Object) -> Result<(), Error> {
    let path = resource.path(object.namespace());
    match call(client, &path, Call::Delete(object.name(), &delete_params(object.uid()))).await {
        Ok(_) => Ok(()),
        // Gone, or replaced by another of its name: the one that was seen is no more.
        Err(Fault::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(fault) => Err(fault.into_error(&crate::ui::sanitize::line(&object.title()))),
    }
}

/// Waits until none of the objects is there with its UID, and no pod of the removed workloads.
async fn wait_gone(
    session: &Session,
    client: &kube::Client,
    profile: &Profile,
    objects: &[&Object],
    owners: &BTreeSet<String>,
    subject: &Subject,
) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    loop {
        let mut left = left(client, objects).await?;
        if objects.iter().any(|object| object.is_workload()) {
            left.extend(pods(client, profile, owners).await?);
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = crate::ui::sanitize::line(&left.join(", "));
        if start.elapsed() > GONE {
            let source = Words::new("finalizers or a container that ignores SIGTERM may hold it");
            let verb = if left.len() == 1 { "is" } else { "are" };
            return Err(Error::StillThere { what: format!("{what} {verb}"), seconds: GONE.as_secs(), source });
        }
        if session.cancel.is_cancelled() {
            return Err(Error::Interrupted { stands: format!("{what} still ending") });
        }
        let done = (objects.len().saturating_sub(left.len())) as u64;
        let detail = format!("waiting for {what}");
        let total = Some(objects.len() as u64);
        session.events.progress(subject, Progress { done, total, unit: Unit::Steps, detail });
        tokio::time::sleep(POLL).await;
    }
}

async fn left(client: &kube::Client, objects: &[&Object]) -> Result<Vec<String>, Error> {
    let look = objects.iter().map(async |object| {
        let resource = Resource::find(client, object.api_version(), object.kind()).await?;
        let now = get(client, &resource, object.namespace(), object.name()).await?;
        Ok::<_, Error>(now.filter(|now| now.uid() == object.uid()).map(|now| now.title()))
    });
    let found: Vec<Option<String>> = stream::iter(look).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Returns the UIDs of the workloads, and of what stands between them and their pods.
async fn owners(client: &kube::Client, profile: &Profile, workloads: &[&Object]) -> Result<BTreeSet<String>, Error> {
    let mut owners: BTreeSet<String> = workloads.iter().filter_map(|object| object.uid()).map(str::to_owned).collect();
    let between = [("Deployment", "apps/v1", "ReplicaSet"), ("CronJob", "batch/v1", "Job")];
    for (_, api_version, kind) in
        between.into_iter().filter(|(of, ..)| workloads.iter().any(|object| object.kind() == *of))
    {
        let resource = Resource::known(api_version, kind).expect("the table of known kinds has both");
        // A manifest's CronJob need not label its jobs.
        let found = list(client, &resource, &profile.namespace, None).await?;
        let of_these: Vec<String> = found
            .iter()
            .filter(|object| owner_uids(&object.0).any(|uid| owners.contains(uid)))
            .filter_map(|object| object.uid().map(str::to_owned))
            .collect();
        owners.extend(of_these);
    }
    Ok(owners)
}

/// Returns the pods of the instance that belong to one of the owners. A name proves nothing:
/// `api-gateway-…` is no pod of `api`.
async fn pods(client: &kube::Client, profile: &Profile, owners: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    let resource = Resource::known("v1", "Pod").expect("the table of known kinds has Pod");
    let pods = list(client, &resource, &profile.namespace, Some(&selector(profile))).await?;
    let of_ours = |pod: &&Object| owner_uids(&pod.0).any(|uid| owners.contains(uid));
    Ok(pods.iter().filter(of_ours).map(Object::title).collect())
}

/// Removes the instance's inventory: the last step of `down`.
pub(crate) async fn remove_inventory(client: &kube::Client, profile: &Profile) -> Result<(), Error> {
    let resource = release::config_maps();
    let found = get(client, &resource, &profile.namespace, &release::name(profile)).await?;
    match found {
        Some(inventory) if release::parse(&inventory).is_some() => delete_exactly(client, &resource, &inventory).await,
        _ => Ok(()),
    }
}

/// Deletes the profile's namespace if Coracle made it and nothing but Kubernetes' own is left in
/// it, and waits. Returns whether it is gone.
pub(crate) async fn remove_namespace(
    session: &Session,
    client: &kube::Client,
    profile: &Profile,
) -> Result<bool, Error> {
    let resource = Resource::known("v1", "Namespace").expect("the table of known kinds has Namespace");
    let name = profile.namespace.as_str();
    let Some(namespace) = get(client, &resource, "", name).await? else { return Ok(true) };
    let own = namespace.identity();
    if namespace.label(MANAGED_BY) != Some(MANAGER) || namespace.annotation(SELF) != Some(own.as_str()) {
        return Ok(false);
    }
    if leftover::first(client, name).await?.is_some() {
        return Ok(false);
    }
    delete_exactly(client, &resource, &namespace).await?;
    let start = Instant::now();
    while let Some(now) = get(client, &resource, "", name).await?.filter(|now| now.uid() == namespace.uid()) {
        if start.elapsed() > NAMESPACE_GONE {
            let source = Words::new(&blocks(&now));
            return Err(Error::Terminating { namespace: name.to_owned(), seconds: NAMESPACE_GONE.as_secs(), source });
        }
        if session.cancel.is_cancelled() {
            return Err(Error::Interrupted { stands: format!("namespace `{name}` is being deleted") });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::object::INSTANCE;
    use super::super::testing::{Server, profile, session};
    use super::*;

    fn live(kind: &str, name: &str, own: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": {INSTANCE: "0123456789ab", MANAGED_BY: MANAGER},
            "annotations": {SELF: own},
        }})
    }

    fn once(answer: Value) -> impl FnMut(&str) -> Option<(u16, Value)> {
        let mut answer = Some(answer);
        move |line: &str| match line {
            line if line.starts_with("DELETE") => Some((200, json!({}))),
            line if line.contains("/deployments/") => answer.take().map(|answer| (200, answer)),
            line if line.contains("/pods") => Some((200, json!({"items": []}))),
            _ => None,
        }
    }

    #[tokio::test]
    async fn deletes_by_uid_in_the_foreground() {
        let web = live("Deployment", "web", "apps/Deployment/shop/web");
        let server = Server::with(once(web.clone()));
        remove(&session(), &server.client(), &profile(), &[Object(web)]).await.unwrap();
        let seen = server.seen().await;
        assert_eq!(seen[0].line, "GET /apis/apps/v1/namespaces/shop/replicasets?");
        assert_eq!(seen[1].line, "GET /apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(seen[2].line, "DELETE /apis/apps/v1/namespaces/shop/deployments/web?");
        assert_eq!(seen[2].body, json!({"propagationPolicy": "Foreground", "preconditions": {"uid": "uid-web"}}));
        assert_eq!(
            seen.last().unwrap().line,
            "GET /api/v1/namespaces/shop/pods?&labelSelector=coracle.dev%2Finstance%3D0123456789ab"
        );
    }

    fn owned(name: &str, uid: &str, by: &str) -> Value {
        json!({"metadata": {"name": name, "uid": uid, "ownerReferences": [{"uid": by, "controller": true}]}})
    }

    #[tokio::test]
    async fn only_pods_of_the_removed_workload_are_waited_for() {
        let api = live("Deployment", "api", "apps/Deployment/shop/api");
        let mut answer = Some(api.clone());
        let mut ending = 2;
        let server = Server::with(move |line| match line {
            line if line.starts_with("DELETE") => Some((200, json!({}))),
            line if line.contains("/deployments/") => answer.take().map(|answer| (200, answer)),
            line if line.contains("/replicasets?") => Some((
                200,
                json!({"items": [owned("api-1", "uid-set", "uid-api"), owned("api-gateway-1", "uid-other", "uid-gateway")]}),
            )),
            line if line.contains("/pods?") => {
                let mut pods = vec![owned("api-gateway-1-x", "p2", "uid-other"), owned("api-0", "p3", "uid-stateful")];
                if ending > 0 {
                    ending -= 1;
                    pods.push(owned("api-1-x", "p1", "uid-set"));
                }
                Some((200, json!({"items": pods})))
            }
            _ => None,
        });
        remove(&session(), &server.client(), &profile(), &[Object(api)]).await.unwrap();
        let asked = server.lines().await.into_iter().filter(|line| line.contains("/pods?")).count();
        assert_eq!(asked, 3, "until its own pod has gone");
    }

    #[tokio::test]
    async fn nothing_is_deleted_that_does_not_name_itself() {
        let copy = live("Deployment", "copy", "apps/Deployment/shop/web");
        let mut answers = Some(copy.clone());
        let server = Server::with(move |line| match line {
            line if line.contains("/pods") => Some((200, json!({"items": []}))),
            line if line.contains("/deployments/") => answers.take().map(|answer| (200, answer)),
            _ => None,
        });
        remove(&session(), &server.client(), &profile(), &[Object(copy)]).await.unwrap();
        assert!(server.lines().await.iter().all(|line| !line.starts_with("DELETE")));
    }

    #[tokio::test]
    async fn nothing_is_deleted_that_was_replaced_meanwhile() {
        let seen = live("Deployment", "web", "apps/Deployment/shop/web");
        let mut now = seen.clone();
        now["metadata"]["uid"] = "uid-of-another".into();
        let server = Server::with(once(now));
        remove(&session(), &server.client(), &profile(), &[Object(seen)]).await.unwrap();
        assert!(server.lines().await.iter().all(|line| !line.starts_with("DELETE")));
    }

    #[tokio::test]
    async fn a_namespace_with_a_claim_stays() {
        let server = Server::with(|line| match line {
            "GET /api/v1/namespaces/shop" => Some((
                200,
                json!({"metadata": {"name": "shop", "uid": "1", "labels": {MANAGED_BY: MANAGER}, "annotations": {SELF: "/Namespace//shop"}}}),
            )),
            "GET /apis" => Some((200, json!({"groups": []}))),
            "GET /api/v1" => Some((
                200,
                json!({"resources": [{"name": "persistentvolumeclaims",
                "kind": "PersistentVolumeClaim", "namespaced": true, "verbs": ["list"]}]}),
            )),
            line if line.contains("persistentvolumeclaims") => {
                Some((200, json!({"items": [{"metadata": {"name": "data"}}]})))
            }
            _ => None,
        });
        assert!(!remove_namespace(&session(), &server.client(), &profile()).await.unwrap());
        assert!(server.lines().await.iter().all(|line| !line.starts_with("DELETE")));
    }

    #[tokio::test]
    async fn a_namespace_of_others_stays() {
        let server = Server::new(vec![(200, json!({"metadata": {"name": "shop", "uid": "1"}}))]);
        assert!(!remove_namespace(&session(), &server.client(), &profile()).await.unwrap());
        assert_eq!(server.lines().await, ["GET /api/v1/namespaces/shop"]);
    }
}
