//! The inventory: one `ConfigMap` per instance that says which kinds it uses, from which folder
//! it comes, and which release is live. It is also the lock between two runs: who applies must
//! have planned against the release that is live.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Error;
use super::live::Inventory;
use super::object::{MANAGED_BY, MANAGER, Object, PROFILE, SELF};
use super::request::{Call, Fault, Resource, call, get};
use crate::profile::Profile;

/// Returns the name of the instance's inventory.
pub(crate) fn name(profile: &Profile) -> String {
    format!("coracle-{}", profile.instance)
}

pub(super) fn config_maps() -> Resource {
    Resource::known("v1", "ConfigMap").expect("the table of known kinds has ConfigMap")
}

/// Returns the instance's inventory, if it has one.
pub(crate) async fn read(client: &kube::Client, profile: &Profile) -> Result<Option<Inventory>, Error> {
    let found = get(client, &config_maps(), &profile.namespace, &name(profile)).await?;
    Ok(found.as_ref().and_then(parse))
}

/// Refuses a profile whose name runs from another folder already. Pure: for plan time.
pub(crate) fn check_folder(inventory: Option<&Inventory>, profile: &Profile) -> Result<(), Error> {
    let here = profile.folder.display().to_string();
    match inventory {
        Some(inventory) if inventory.folder != here => Err(Error::OtherFolder {
            profile: profile.name.clone(),
            there: crate::ui::sanitize::line(&inventory.folder),
            here,
        }),
        _ => Ok(()),
    }
}

/// Takes the release: writes the inventory on the condition that it is still `planned_against`.
/// The namespace must exist.
pub(crate) async fn take_release(
    client: &kube::Client,
    profile: &Profile,
    planned_against: Option<&Inventory>,
    objects: &[Object],
) -> Result<(), Error> {
    check_folder(planned_against, profile)?;
    let name = name(profile);
    let path = config_maps().path(&profile.namespace);
    let body = body(profile, planned_against, objects);
    let written = match planned_against {
        None => call(client, &path, Call::Create(&body)).await,
        Some(_) => call(client, &path, Call::Replace(&name, &body)).await,
    };
    match written {
        Ok(_) => Ok(()),
        Err(Fault::Api(status)) if matches!(status.code, 404 | 409) => {
            // Another folder's release has its own words.
            check_folder(read(client, profile).await?.as_ref(), profile)?;
            Err(Error::Overtaken { profile: profile.name.clone() })
        }
        Err(fault) => Err(fault.into_error(&format!("configmap {name}"))),
    }
}

fn body(profile: &Profile, before: Option<&Inventory>, objects: &[Object]) -> Value {
    // Kinds of the release before stay: what is pruned later must be found again if this run dies.
    let mut kinds: BTreeSet<String> = before.map(|inventory| inventory.kinds.clone()).unwrap_or_default();
    kinds.extend(objects.iter().map(|object| format!("{}/{}", object.api_version(), object.kind())));
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let name = name(profile);
    let mut body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": profile.namespace,
            "labels": {MANAGED_BY: MANAGER, PROFILE: profile.name},
            "annotations": {SELF: format!("/ConfigMap/{}/{name}", profile.namespace)},
        },
        "data": {
            "folder": profile.folder.display().to_string(),
            "kinds": kinds.join("\n"),
            "release": (before.map_or(0, |inventory| inventory.release) + 1).to_string(),
        },
    });
    if let Some(before) = before {
        body["metadata"]["resourceVersion"] = before.resource_version.clone().into();
    }
    body
}

pub(super) fn parse(object: &Object) -> Option<Inventory> {
    if object.label(MANAGED_BY) != Some(MANAGER) {
        return None;
    }
    let data = &object.0["data"];
    Some(Inventory {
        folder: data["folder"].as_str()?.to_owned(),
        kinds: data["kinds"].as_str()?.lines().map(str::to_owned).collect(),
        release: data["release"].as_str()?.parse().ok()?,
        resource_version: object.0["metadata"]["resourceVersion"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Server, profile};
    use super::*;
    use crate::error::{Classified, Kind};

    fn inventory(folder: &str) -> Inventory {
        Inventory {
            folder: folder.to_owned(),
            kinds: BTreeSet::from(["batch/v1/Job".to_owned()]),
            release: 4,
            resource_version: "77".to_owned(),
        }
    }

    fn deployment() -> Object {
        Object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}))
    }

    #[tokio::test]
    async fn first_release_is_created() {
        let server = Server::new(vec![(201, json!({}))]);
        take_release(&server.client(), &profile(), None, &[deployment()]).await.unwrap();
        let seen = server.seen().await;
        assert_eq!(seen[0].line, "POST /api/v1/namespaces/shop/configmaps?&fieldManager=coracle");
        assert_eq!(
            seen[0].body["data"],
            json!({"folder": "/home/ada/shop", "kinds": "apps/v1/Deployment", "release": "1"})
        );
        assert_eq!(
            seen[0].body["metadata"]["labels"],
            json!({"app.kubernetes.io/managed-by": "coracle", "coracle.dev/profile": "shop"})
        );
    }

    #[tokio::test]
    async fn next_release_replaces_the_one_it_was_planned_against() {
        let server = Server::new(vec![(200, json!({}))]);
        let before = inventory("/home/ada/shop");
        take_release(&server.client(), &profile(), Some(&before), &[deployment()]).await.unwrap();
        let seen = server.seen().await;
        assert_eq!(seen[0].line, "PUT /api/v1/namespaces/shop/configmaps/coracle-0123456789ab?&fieldManager=coracle");
        assert_eq!(seen[0].body["metadata"]["resourceVersion"], "77");
        assert_eq!(seen[0].body["data"]["release"], "5");
        assert_eq!(seen[0].body["data"]["kinds"], "apps/v1/Deployment\nbatch/v1/Job");
    }

    #[tokio::test]
    async fn a_release_taken_meanwhile_is_refused() {
        let conflict = json!({"kind": "Status", "code": 409, "message": "changed", "reason": "Conflict"});
        let server = Server::new(vec![(409, conflict), (404, json!({"kind": "Status", "code": 404}))]);
        let before = inventory("/home/ada/shop");
        let error = take_release(&server.client(), &profile(), Some(&before), &[]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(error.to_string(), "another `coracle up` of profile `shop` changed it meanwhile");
    }

    #[test]
    fn another_folder_is_refused_and_named() {
        let error = check_folder(Some(&inventory("/srv/shop")), &profile()).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(
            error.to_string(),
            "profile `shop` already runs from another folder\n  there: /srv/shop\n  here:  /home/ada/shop"
        );
        check_folder(Some(&inventory("/home/ada/shop")), &profile()).unwrap();
        check_folder(None, &profile()).unwrap();
    }
}
