//! Troubles of the workload itself: pods that cannot be made, jobs that gave up.

use serde_json::Value;

use super::super::seen::{Seen, condition, first_time, is_true, last_time, text};
use super::{Facts, Severity, Subject, Trouble};

/// A new namespace gets its service account a moment after it is made.
const PATIENCE: i64 = 8;

pub(super) fn troubles(seen: &Seen, subject: Subject<'_>, facts: &Facts) -> Vec<Trouble> {
    let mut found = Vec::new();
    let sets = seen.replica_sets(subject.name, subject.template);
    for set in &sets {
        found.extend(creation(seen, "ReplicaSet", set, facts));
    }
    if let Some(workload) = seen.get(subject.kind, subject.name) {
        found.extend(creation(seen, subject.kind, workload, facts));
        if subject.kind == "Job" {
            found.extend(job(seen, subject, workload));
        }
        found.extend(no_progress(workload));
    }
    found
}

/// Pods that their controller cannot make: quota, admission, service account.
fn creation(seen: &Seen, kind: &str, owner: &Value, facts: &Facts) -> Option<Trouble> {
    let failure = condition(owner, "ReplicaFailure").filter(|condition| condition["status"] == "True");
    let event = seen.events(kind, owner).into_iter().rev().find(|event| event["reason"] == "FailedCreate");
    let message =
        failure.map(|condition| text(&condition["message"])).or_else(|| event.map(|event| text(&event["message"])))?;
    let wanted = owner["spec"]["replicas"].as_i64().unwrap_or(1);
    if failure.is_none()
        && (owner["status"]["replicas"].as_i64().unwrap_or(0) >= wanted || is_true(condition(owner, "Complete")))
    {
        return None;
    }
    let lasted = event.map_or(0, |event| last_time(event).max(facts.now) - first_time(event));
    if message.contains("exceeded quota") {
        let trouble = Trouble::new(Severity::Fatal, "quota", "its pods do not fit the namespace's quota");
        let help = "ask for less with `replicas:` or `resources:`, or have the quota raised";
        return Some(trouble.because(message).help(help).refused());
    }
    if message.contains("violates PodSecurity") {
        let trouble =
            Trouble::new(Severity::Fatal, "pod_security", "the namespace's Pod Security does not admit its pods");
        return Some(
            trouble
                .because(message)
                .help("`security: restricted` makes pods that it admits, if the image can")
                .refused(),
        );
    }
    let severity = if lasted >= PATIENCE { Severity::Fatal } else { Severity::Slow };
    let refused = message.contains("forbidden");
    let mut trouble = Trouble::new(severity, "pod_creation", "its pods cannot be created").because(message);
    trouble.refused = refused;
    let missing_account = message.contains("serviceaccount") && message.contains("not found");
    Some(trouble.help(if missing_account {
        "create the service account, or leave out `service-account:`"
    } else {
        "the cluster's words say what it wants; `coracle render` shows what was asked for"
    }))
}

fn job(seen: &Seen, subject: Subject<'_>, job: &Value) -> Option<Trouble> {
    let failed = condition(job, "Failed").filter(|condition| condition["status"] == "True")?;
    let pods = seen.pods("Job", subject.name, subject.template);
    let ended = pods.iter().find_map(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let bad =
            statuses.iter().find(|status| status["state"]["terminated"]["exitCode"].as_i64().unwrap_or(0) != 0)?;
        Some((*pod, bad))
    });
    let code = ended.map(|(_, status)| status["state"]["terminated"]["exitCode"].to_string());
    let headline = match code {
        Some(code) => format!("the job failed: its container ended with exit code {code}"),
        None => "the job failed".to_owned(),
    };
    let words = format!("{}: {}", text(&failed["reason"]), text(&failed["message"]));
    let trouble = Trouble::new(Severity::Fatal, "job_failed", headline)
        .because(&words)
        .help("mend what its log says, then run `coracle up` again");
    Some(match ended {
        Some((pod, status)) => {
            let container = text(&status["name"]);
            trouble.at(pod, Some(container)).with_log(pod, container, false)
        }
        None => trouble,
    })
}

fn no_progress(workload: &Value) -> Option<Trouble> {
    let progressing = condition(workload, "Progressing")?;
    (progressing["reason"] == "ProgressDeadlineExceeded").then(|| {
        Trouble::new(Severity::Slow, "no_progress", "the rollout makes no progress")
            .because(text(&progressing["message"]))
            .help("`coracle status` and `coracle logs` show what its pods do")
    })
}
