//! Claims: nothing of one can be changed but its size, and that only upwards.

use serde_json::Value;

use super::quantity;
use crate::deploy::object::{FIXED_SIZE, Object};

/// Returns the claim to apply: the live spec, grown to the size that is wanted. What cannot be
/// done becomes a sentence in `refused`.
pub(super) fn keeping_live(object: &Object, live: &Object, refused: &mut Vec<String>) -> Object {
    let name = live.name();
    let mut spec = live.0["spec"].clone();
    let (wanted, has) = (storage(object), storage(live));
    match (wanted.as_ref().and_then(quantity::parse), has.as_ref().and_then(quantity::parse)) {
        (Some(wanted_size), Some(size)) if wanted_size < size => refused.push(format!(
            "claim {name} keeps {}: a claim cannot shrink to {}",
            text(has.as_ref()),
            text(wanted.as_ref())
        )),
        (Some(wanted_size), Some(size)) if wanted_size > size && live.annotation(FIXED_SIZE).is_some() => {
            refused.push(format!(
                "claim {name} keeps {}: its storage class {} does not let it grow to {}",
                text(has.as_ref()),
                text(spec.get("storageClassName")),
                text(wanted.as_ref())
            ));
        }
        (Some(wanted_size), Some(size)) if wanted_size > size => {
            spec["resources"]["requests"]["storage"] = wanted.unwrap_or_default();
        }
        _ => {}
    }
    for (key, what) in [("storageClassName", "storage class"), ("accessModes", "access modes")] {
        let (wanted, has) = (&object.0["spec"][key], &live.0["spec"][key]);
        if !wanted.is_null() && wanted != has {
            refused.push(format!(
                "claim {name} keeps its {what} {}: it cannot become {}",
                text(Some(has)),
                text(Some(wanted))
            ));
        }
    }
    let mut object = object.clone();
    object.0["spec"] = spec;
    object
}

fn storage(claim: &Object) -> Option<Value> {
    claim.0.pointer("/spec/resources/requests/storage").cloned()
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| text(Some(item))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
