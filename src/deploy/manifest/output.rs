//! Objects as files: for `coracle render`.

use serde_json::json;

use crate::deploy::object::Object;

/// Returns the object as one YAML document.
pub(crate) fn yaml(object: &Object) -> String {
    serde_saphyr::to_string(&object.0).expect("JSON is YAML")
}

/// Returns the name of the object's file: `NAME-KIND.yml`.
pub(crate) fn file_name(object: &Object) -> String {
    let kind = match object.kind() {
        "PersistentVolumeClaim" => "pvc".to_owned(),
        kind => kind.to_lowercase(),
    };
    format!("{}-{kind}.yml", object.name())
}

/// Returns the object with the values of a Secret left out: what is rendered may be stored anywhere.
pub(crate) fn without_secrets(mut object: Object) -> Object {
    if object.kind() == "Secret"
        && let Some(data) = object.0["data"].as_object_mut()
    {
        data.values_mut().for_each(|value| *value = json!(""));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_left_out() {
        let secret = Object(json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"TOKEN": "aHVudGVyMg=="}}));
        let shown = yaml(&without_secrets(secret));
        assert!(shown.contains("TOKEN") && !shown.contains("aHVudGVyMg"), "{shown}");
    }

    #[test]
    fn files_are_named_by_object_and_kind() {
        let object = |kind: &str| Object(json!({"kind": kind, "metadata": {"name": "ada-test-redis"}}));
        assert_eq!(file_name(&object("Deployment")), "ada-test-redis-deployment.yml");
        assert_eq!(file_name(&object("PersistentVolumeClaim")), "ada-test-redis-pvc.yml");
    }
}
