//! A plan in words: for `--dry-run` and `diff`. Values of secrets never get here.

use serde_json::{Value, json};

use crate::cli::Answer;
use crate::deploy::compare::{Changes, FieldChange, Why};
use crate::plan::{Action, Plan};
use crate::profile::Profile;
use crate::ui::{answer, sanitize};

/// Returns what `--dry-run` answers.
pub(crate) fn answer(profile: &Profile, plan: &Plan) -> Answer {
    let steps: Vec<String> = plan.steps.iter().flat_map(|step| lines(profile, &step.action)).collect();
    let mut text: String = answer::lines(&steps);
    if steps.is_empty() {
        text.push_str("nothing to change\n");
    }
    if plan.preliminary {
        text.push_str("then look at what the cluster holds, and load and apply what differs\n");
    }
    text.push_str(&changes(&plan.changes));
    let json = json!({"steps": steps, "changes": changes_json(&plan.changes), "warnings": plan.warnings});
    Answer { text, json }
}

fn lines(profile: &Profile, action: &Action) -> Vec<String> {
    let cluster = &profile.cluster.name;
    match action {
        Action::CreateCluster { band, half_made } => {
            let first = band.0.values().next().copied().unwrap_or_default();
            let last = band.0.values().last().copied().unwrap_or_default();
            let nodes = match profile.cluster.nodes {
                1 => "1 node".to_owned(),
                nodes => format!("{nodes} nodes"),
            };
            let create = format!("create cluster {cluster} (kind, {nodes}, localhost:{first}-{last})");
            half_made.then(|| format!("remove the unfinished cluster {cluster}")).into_iter().chain([create]).collect()
        }
        Action::StartCluster => vec![format!("start cluster {cluster}")],
        Action::Pull { reference, .. } => vec![format!("pull {reference}")],
        Action::Build { service, tag, .. } => vec![format!("build {service} as {tag}")],
        Action::Load { names } => names.iter().map(|name| format!("load {name} into the nodes")).collect(),
        Action::Release { namespace: Some(namespace), .. } => vec![format!("create namespace {}", namespace.name())],
        Action::AwaitNodes | Action::Reach { .. } | Action::Release { .. } => Vec::new(),
        Action::Apply { objects } => objects.iter().map(|object| format!("apply {}", object.title())).collect(),
        Action::Await { workloads } => {
            workloads.iter().map(|workload| format!("wait for {}", workload.title())).collect()
        }
        Action::Sweep { engine, nodes } => {
            let engine = engine.iter().map(|tag| format!("remove image {tag} from the engine"));
            let on_node = |(node, names): (&String, &Vec<String>)| {
                names.iter().map(|name| format!("remove image {name} from node {node}")).collect::<Vec<_>>()
            };
            engine.chain(nodes.iter().flat_map(on_node)).collect()
        }
        Action::Prune { objects } => objects.iter().map(|object| format!("remove {}", object.title())).collect(),
    }
}

/// Returns the objects' changes, field by field.
pub(crate) fn changes(changes: &Changes) -> String {
    let applied = changes.apply.iter().flat_map(|change| {
        let title = change.object.title();
        match &change.why {
            Why::New => vec![format!("+ {title}")],
            Why::Changed { fields } => block(format!("~ {title}"), fields),
            Why::Drifted { fields } => block(format!("~ {title} (changed by somebody else)"), fields),
        }
    });
    let pruned = changes.prune.iter().map(|object| format!("- {}", object.title()));
    answer::lines(applied.chain(pruned))
}

fn block(title: String, fields: &[FieldChange]) -> Vec<String> {
    // Somebody else may have written what is live.
    let value = |value: &Option<Value>| {
        value.as_ref().map_or_else(|| "(absent)".to_owned(), |value| sanitize::line(&value.to_string()))
    };
    let field = |change: &FieldChange| {
        let field = sanitize::line(&change.field);
        format!("    {field}: {} → {}", value(&change.live), value(&change.wanted))
    };
    std::iter::once(title).chain(fields.iter().map(field)).collect()
}

/// The same for `--output json`.
pub(crate) fn changes_json(changes: &Changes) -> Value {
    let apply = changes.apply.iter().map(|change| {
        let (why, fields) = match &change.why {
            Why::New => ("new", json!([])),
            Why::Changed { fields } => ("changed", json!(fields)),
            Why::Drifted { fields } => ("drifted", json!(fields)),
        };
        json!({"object": change.object.identity(), "why": why, "fields": fields})
    });
    let prune = changes.prune.iter().map(|object| json!({"object": object.identity(), "why": "removed"}));
    Value::Array(apply.chain(prune).collect())
}
