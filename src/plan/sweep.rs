//! What a run leaves behind that nothing needs: planned only where something else is, and after
//! all that may still use it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Extent, Plan};
use crate::deploy::object::Object;
use crate::image::own::{HOST, Own};
use crate::image::sweep::choose::{self, Age};
use crate::image::tag;
use crate::observe::Observed;
use crate::profile::Profile;

/// How many tags are surplus before a load alone removes them. It rolls nothing out, and a sweep
/// would take half as long as the load of an edit.
const BATCH: usize = 8;

/// Plans the removal of tags of this profile that nothing uses.
pub(super) fn plan_sweep(plan: &mut Plan, profile: &Profile, observed: &Observed) {
    if plan.steps.is_empty() || plan.preliminary {
        return;
    }
    let going = surplus(plan, profile, observed);
    if plan.extent == Extent::Load && going.len() < BATCH {
        return;
    }
    let held = |tag: &&String| observed.own.get(*tag).is_some_and(Own::is_safe_to_remove);
    let engine: Vec<String> = going.iter().filter(held).cloned().collect();
    let nodes = observed.nodes.iter().map(|(node, held)| (node.clone(), held.intersection(&going).cloned().collect()));
    let nodes: BTreeMap<String, Vec<String>> = nodes.filter(|(_, names): &(_, Vec<_>)| !names.is_empty()).collect();
    if engine.is_empty() && nodes.is_empty() {
        return;
    }
    let last = ends(plan);
    plan.push(Action::Sweep { engine, nodes }, last);
}

/// Returns the steps that none waits for.
fn ends(plan: &Plan) -> Vec<usize> {
    let awaited: BTreeSet<usize> = plan.steps.iter().flat_map(|step| step.after.clone()).collect();
    (0..plan.steps.len()).filter(|step| !awaited.contains(step)).collect()
}

fn surplus(plan: &Plan, profile: &Profile, observed: &Observed) -> BTreeSet<String> {
    let prefix = format!("{HOST}{}/", profile.name);
    let on_nodes = observed.nodes.values().flatten().filter(|name| name.starts_with(&prefix));
    let mut tags: BTreeMap<String, Age> = on_nodes.map(|name| (name.clone(), Age::NodeOnly)).collect();
    tags.extend(observed.own.iter().map(|(tag, own)| (tag.clone(), own.age())));
    // The objects that are live are those before this run's; what they name is the way back.
    let live = observed.live.objects.iter().flat_map(Object::images);
    let used = plan.images.values().cloned().chain(live.map(str::to_owned)).collect();
    let unknown = observed.inputs.pulls.keys().filter(|name| !plan.images.contains_key(*name));
    let coming = unknown.map(|name| format!("{prefix}{}", tag::pulled_name(name))).collect();
    choose::surplus(&tags, &used, &coming, false)
}
