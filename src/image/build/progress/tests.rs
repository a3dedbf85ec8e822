use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{VertexLog, VertexStatus};

use super::*;

fn vertex(digest: &str, name: &str) -> Vertex {
    Vertex { digest: digest.to_owned(), name: name.to_owned(), ..Vertex::default() }
}

fn done(vertex: Vertex, cached: bool) -> Vertex {
    Vertex { completed: Some(Timestamp { seconds: 1, nanos: 0 }), cached, ..vertex }
}

fn log(digest: &str, text: &str) -> VertexLog {
    VertexLog { vertex: digest.to_owned(), msg: text.as_bytes().to_vec(), ..VertexLog::default() }
}

fn trace(status: &StatusResponse) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(status.encode_to_vec());
    serde_json::json!({"id": "moby.buildkit.trace", "aux": encoded}).to_string().into_bytes()
}

fn words(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| match event {
        Event::Progress { progress, .. } => {
            format!("{}/{} {}", progress.done, progress.total.unwrap_or(0), progress.detail)
        }
        Event::Output { line, .. } => format!("| {line}"),
        other => format!("{other:?}"),
    };
    events.iter().map(word).collect()
}

#[test]
fn steps_of_all_stages_are_counted_and_errands_are_not() {
    let mut told = Told::new("api");
    let first = StatusResponse {
        vertexes: vec![
            vertex("i", "[internal] load build definition"),
            done(vertex("a", "[build 1/2] FROM python:3"), true),
            vertex("b", "[build 2/2] RUN make"),
            vertex("c", "[stage-1 2/3] COPY . ."),
        ],
        ..StatusResponse::default()
    };
    assert_eq!(words(&told.hear(&Line::parse(&trace(&first)))), ["1/5 [stage-1 2/3] COPY . ."]);
    let second = StatusResponse {
        vertexes: vec![done(vertex("b", "[build 2/2] RUN make"), false)],
        statuses: vec![VertexStatus {
            id: "layer".to_owned(),
            vertex: "c".to_owned(),
            current: 1_500_000,
            total: 3_000_000,
            ..VertexStatus::default()
        }],
        logs: vec![log("b", "one\ntw"), log("b", "o\n")],
        ..StatusResponse::default()
    };
    assert_eq!(
        words(&told.hear(&Line::parse(&trace(&second)))),
        ["| one", "| two", "2/5 [stage-1 2/3] COPY . . (1.5 MB of 3.0 MB)"]
    );
    assert_eq!(told.built(), Built { steps: 3, cached: 1 });
}

#[test]
fn the_contexts_bytes_are_told_though_nobody_knows_how_many_there_will_be() {
    let mut told = Told::new("api");
    let status = StatusResponse {
        vertexes: vec![vertex("c", "[internal] load build context")],
        statuses: vec![VertexStatus {
            id: "transferring context:".to_owned(),
            vertex: "c".to_owned(),
            current: 1_900_000,
            ..VertexStatus::default()
        }],
        ..StatusResponse::default()
    };
    assert_eq!(words(&told.hear(&Line::parse(&trace(&status)))), ["0/0 [internal] load build context (1.9 MB)"]);
}

#[test]
fn the_failed_step_keeps_its_last_lines() {
    let mut told = Told::new("api");
    let lines = (1..=30).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n") + "\n";
    let failed = Vertex { error: "exit code: 1".to_owned(), ..vertex("b", "[2/2] RUN false") };
    let other = Vertex { error: "context canceled".to_owned(), ..vertex("a", "[x 2/2] RUN sleep") };
    let status = StatusResponse {
        vertexes: vec![other, failed],
        logs: vec![log("b", &lines), log("b", "no end")],
        ..StatusResponse::default()
    };
    told.hear(&Line::Status(status));
    let FailedStep { name, text, output: lines } = told.failed_step().unwrap();
    assert_eq!((name.as_str(), text.as_str()), ("[2/2] RUN false", "RUN false"));
    assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "line 12", "no end"));
}

#[test]
fn the_classic_builder_is_understood_too() {
    let mut told = Told::new("api");
    let say = |told: &mut Told, text: &str| {
        told.hear(&Line::parse(serde_json::json!({"stream": text}).to_string().as_bytes()))
    };
    assert_eq!(words(&say(&mut told, "Step 1/2 : FROM busybox\n")), ["0/2 FROM busybox"]);
    assert_eq!(words(&say(&mut told, " ---> Using cache\n")), Vec::<String>::new());
    assert_eq!(words(&say(&mut told, "Step 2/2 : RUN false\n")), ["1/2 RUN false"]);
    assert_eq!(words(&say(&mut told, "boom\n")), ["| boom"]);
    let error = br#"{"errorDetail":{"code":1,"message":"The command '/bin/sh -c false' returned a non-zero code: 1"},"error":"x"}"#;
    told.hear(&Line::parse(error));
    let failed = told.failed_step().unwrap();
    assert_eq!((failed.text.as_str(), failed.output), ("RUN false", vec!["boom".to_owned()]));
    assert_eq!(told.error(), Some("The command '/bin/sh -c false' returned a non-zero code: 1"));
    assert_eq!(told.built().cached, 1);
}
