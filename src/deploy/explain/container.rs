//! Troubles of one container: its image, its configuration, its command, its end.

use serde_json::Value;

use super::super::seen::{Seen, text};
use super::{Facts, Severity, Subject, Trouble};

/// Crashes before waiting on is pointless: something that it needs may still be starting.
const CRASHES_ALONE: i64 = 2;
const CRASHES: i64 = 4;

pub(super) fn trouble(
    seen: &Seen,
    pod: &Value,
    status: &Value,
    init: bool,
    subject: Subject<'_>,
    facts: &Facts,
) -> Option<Trouble> {
    let waiting = &status["state"]["waiting"];
    let found = match text(&waiting["reason"]) {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => Some(pull(seen, pod, status)),
        "ErrImageNeverPull" => Some(absent(status)),
        "ImageInspectError" | "InvalidImageName" => Some(
            Trouble::new(Severity::Fatal, "image_name", format!("image `{}` cannot be used", text(&status["image"])))
                .because(text(&waiting["message"]))
                .help("mend `image:`; `coracle render` shows what was asked for"),
        ),
        "CreateContainerConfigError" => Some(configuration(status)),
        "CreateContainerError" | "RunContainerError" => Some(command(status, text(&waiting["message"]))),
        _ => ended(pod, status, init, subject, facts),
    };
    found.map(|trouble| trouble.at(pod, Some(text(&status["name"]))))
}

fn pull(seen: &Seen, pod: &Value, status: &Value) -> Trouble {
    let image = text(&status["image"]);
    // The event has the registry's whole answer; the status soon says only "Back-off".
    let events = seen.events("Pod", pod);
    let words = events
        .iter()
        .rev()
        .map(|event| text(&event["message"]))
        .find(|message| message.starts_with("Failed to pull image"));
    let words = words.unwrap_or_else(|| text(&status["state"]["waiting"]["message"]));
    let help = if words.contains("not found") || words.contains("does not exist") {
        "mend the image's name or tag, or let Coracle build it with `build:`"
    } else if words.contains("401") || words.contains("403") || words.contains("denied") || words.contains("authoriz") {
        "log in with `docker login`, so that the engine can pull it for the nodes"
    } else {
        "check the network; `coracle up` pulls it with the engine and loads it into the nodes"
    };
    Trouble::new(Severity::Fatal, "image_pull", format!("image `{image}` cannot be pulled")).because(words).help(help)
}

fn absent(status: &Value) -> Trouble {
    let headline = format!("image `{}` is not on its node", text(&status["image"]));
    Trouble::new(Severity::Fatal, "image_absent", headline)
        .because(text(&status["state"]["waiting"]["message"]))
        .help("`coracle load` puts it there again; then run `coracle up`")
}

fn configuration(status: &Value) -> Trouble {
    let message = text(&status["state"]["waiting"]["message"]);
    let container = text(&status["name"]);
    let (headline, help) = if message.contains("couldn't find key") {
        (format!("container `{container}` needs a key that is missing"), "add the key that the message names")
    } else if message.contains("not found") {
        (
            format!("container `{container}` needs a Secret or ConfigMap that does not exist"),
            "create the object that the message names, or mend its name",
        )
    } else if message.contains("runAsNonRoot") {
        (
            format!("container `{container}` may not run as root, and its image does"),
            "give the image a numeric `USER`, or set `security: {user: …}`",
        )
    } else {
        (format!("container `{container}` cannot be configured"), "the message names what is wrong with it")
    };
    Trouble::new(Severity::Fatal, "configuration", headline).because(message).help(help)
}

/// A container that could not even start.
fn command(status: &Value, message: &str) -> Trouble {
    let container = text(&status["name"]);
    let missing = ["executable file not found", "no such file or directory", "no command specified"];
    let (headline, help) = if missing.iter().any(|words| message.contains(words)) {
        (
            format!("the command of container `{container}` is not in its image"),
            "mend `command:`, or the Dockerfile's CMD or ENTRYPOINT",
        )
    } else if message.contains("permission denied") {
        (
            format!("the command of container `{container}` may not be executed"),
            "make the file executable in the image (`RUN chmod +x …`)",
        )
    } else if message.contains("exec format error") {
        (
            format!("the command of container `{container}` is for another platform"),
            "build the image for the nodes' platform",
        )
    } else {
        (format!("container `{container}` cannot be started"), "the container runtime's words say why")
    };
    Trouble::new(Severity::Fatal, "command", headline).because(message).help(help)
}

/// A container that ended: crash, out of memory, or done although it should run.
fn ended(pod: &Value, status: &Value, init: bool, subject: Subject<'_>, facts: &Facts) -> Option<Trouble> {
    let now = &status["state"]["terminated"];
    let last = &status["lastState"]["terminated"];
    let backing_off = status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    let end = if now.is_object() { now } else { last };
    let restarts = status["restartCount"].as_i64().unwrap_or(0);
    if !end.is_object() || status["ready"] == true {
        return None;
    }
    let ends = if now.is_object() || backing_off { restarts + 1 } else { restarts };
    let code = end["exitCode"].as_i64().unwrap_or(0);
    let container = text(&status["name"]);
    if end["reason"] == "StartError" || end["reason"] == "ContainerCannotRun" {
        return Some(command(status, text(&end["message"])));
    }
    // A job's container may end; so may an init container.
    let may_end = init || subject.kind == "Job" || subject.kind == "CronJob";
    if code == 0 && may_end {
        return None;
    }
    let enough = if facts.others_pending && code != 0 { CRASHES } else { CRASHES_ALONE };
    let fatal = ends >= enough && subject.kind != "Job";
    let severity = if fatal { Severity::Fatal } else { Severity::Slow };
    let role = if init { "init container" } else { "container" };
    let times = if ends == 1 { "once".to_owned() } else { format!("{ends} times") };
    let trouble = if end["reason"] == "OOMKilled" {
        out_of_memory(pod, container, role, severity)
    } else if code == 0 {
        let headline = format!("{role} `{container}` ends with exit code 0, and should keep running");
        Trouble::new(severity, "ended", headline)
            .help("a service's command must stay in the foreground; for one that ends, set `kind: job`")
    } else {
        let headline = format!("{role} `{container}` crashed {times} ({})", exit_words(code));
        Trouble::new(severity, "crash", headline)
            .help("mend what its last lines say, then run `coracle up` again; `coracle logs --previous` shows all")
    };
    // While it runs again, the log of the one before has the reason.
    Some(trouble.with_log(pod, container, !now.is_object() && !backing_off))
}

fn out_of_memory(pod: &Value, container: &str, role: &str, severity: Severity) -> Trouble {
    let lists = ["initContainers", "containers"];
    let specs = lists.iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    let limit = specs.into_iter().find(|spec| spec["name"] == container);
    let limit = limit.map(|spec| text(&spec["resources"]["limits"]["memory"])).filter(|limit| !limit.is_empty());
    let (words, help) = match limit {
        Some(limit) => {
            (format!("its limit is {limit}"), format!("raise `resources: {{memory: …}}` above {limit}, or use less"))
        }
        None => (
            "it has no limit of its own: the node ran out".to_owned(),
            "give the engine more memory, or use less".to_owned(),
        ),
    };
    let headline = format!("{role} `{container}` was killed because it used too much memory ({words})");
    Trouble::new(severity, "out_of_memory", headline).help(help)
}

fn exit_words(code: i64) -> String {
    match code {
        126 => "exit code 126: its command may not be executed".to_owned(),
        127 => "exit code 127: a command was not found".to_owned(),
        137 => "exit code 137: killed with SIGKILL".to_owned(),
        139 => "exit code 139: segmentation fault".to_owned(),
        143 => "exit code 143: ended by SIGTERM".to_owned(),
        code => format!("exit code {code}"),
    }
}
