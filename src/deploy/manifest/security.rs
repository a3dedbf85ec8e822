//! Security contexts. Without `security:` there are none, so that an image runs as it does
//! under Docker.

use serde_json::{Value, json};

use super::nonempty;
use crate::profile::Security;

/// Returns the pod's security context.
pub(super) fn pod(security: Option<&Security>) -> Value {
    let Some(security) = security else { return Value::Null };
    let restricted = security.restricted;
    let context = json!({
        "runAsNonRoot": restricted.then_some(true),
        "seccompProfile": restricted.then(|| json!({"type": "RuntimeDefault"})),
        "runAsUser": security.user,
        "runAsGroup": security.group,
        // Volumes belong to root when they are new; the group lets the user write.
        "fsGroup": security.group,
    });
    nonempty(super::without_nulls(context))
}

/// Returns the security context of each container.
pub(super) fn container(security: Option<&Security>) -> Value {
    let Some(security) = security else { return Value::Null };
    let restricted = security.restricted;
    let drop = if restricted { vec!["ALL".to_owned()] } else { security.drop_capabilities.clone() };
    let capabilities = json!({"add": nonempty(json!(security.add_capabilities)), "drop": nonempty(json!(drop))});
    let context = json!({
        "allowPrivilegeEscalation": restricted.then_some(false),
        "runAsNonRoot": restricted.then_some(true),
        "readOnlyRootFilesystem": security.read_only_root.then_some(true),
        "capabilities": nonempty(super::without_nulls(capabilities)),
    });
    nonempty(super::without_nulls(context))
}
