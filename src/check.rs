//! The profile's own checks: asks the real URLs, and judges the answers.
//!
//! A service that has just started may refuse connections or answer 502, 503 or 504 for a moment;
//! then the same is asked again until the deadline. Any other answer counts at once: a
//! request that changes something is not to be sent twice.

mod ask;
mod judge;

use std::time::{Duration, Instant};

use crate::profile::Check;
use crate::ui::sanitize;

/// How much of an answer that was not expected is shown, in characters.
const SHOWN: usize = 600;
const AGAIN: Duration = Duration::from_millis(300);

/// How one check went. All text is sanitised.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Outcome {
    pub(crate) service: String,
    pub(crate) method: String,
    pub(crate) url: String,
    /// What was sent, for people.
    pub(crate) request: Option<String>,
    /// Of the last answer, if there was one.
    pub(crate) status: Option<u16>,
    /// The beginning of the last answer's body, of one that was not expected.
    pub(crate) body: Option<String>,
    /// What was not as expected; empty: all was.
    pub(crate) wrong: Vec<String>,
    /// Milliseconds of the last request.
    pub(crate) took: u64,
}

impl Outcome {
    pub(crate) fn ok(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Returns the check that could not be asked at all.
    pub(crate) fn unasked(check: &Check, why: &str) -> Self {
        Self { wrong: vec![why.to_owned()], url: check.path.clone(), ..Self::new(check, "") }
    }

    fn new(check: &Check, origin: &str) -> Self {
        Self {
            service: check.service.clone(),
            method: check.method.clone(),
            url: sanitize::line(&format!("{origin}{}", check.path)),
            request: ask::body(check).map(|body| shown(&body)),
            status: None,
            body: None,
            wrong: Vec::new(),
            took: 0,
        }
    }
}

/// Asks at a service's URL until it answers, or the deadline is over.
pub(crate) async fn run(check: &Check, url: &str, deadline: Instant) -> Outcome {
    let origin = origin(url);
    loop {
        let mut outcome = Outcome::new(check, origin);
        let start = Instant::now();
        let answer = ask::ask(check, origin).await;
        outcome.took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let starting = match &answer {
            Ok(answer) => matches!(answer.status, 502..=504) && answer.status != check.expect.status,
            Err(ask::Error::Connection(_)) => true,
            Err(ask::Error::Request(_)) => false,
        };
        if starting && Instant::now() + AGAIN < deadline {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        match answer {
            Ok(answer) => {
                outcome.status = Some(answer.status);
                outcome.wrong = judge::wrong(&check.expect, &answer);
                outcome.body = (!outcome.wrong.is_empty()).then(|| shown(&answer.body));
            }
            Err(ask::Error::Connection(why) | ask::Error::Request(why)) => outcome.wrong = vec![sanitize::line(&why)],
        }
        return outcome;
    }
}

/// Returns `http://HOST:PORT` of a URL: the check has its own path.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    url[begin..].find('/').map_or(url, |at| &url[..begin + at])
}

/// Returns the beginning of somebody else's text.
fn shown(text: &str) -> String {
    let clean = sanitize::block(text.trim());
    match clean.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &clean[..end], text.len()),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::profile::{CheckBody, Expect};

    fn check(way: &str, path: &str, expect: Expect) -> Check {
        Check {
            service: "web".into(),
            method: way.into(),
            path: path.into(),
            headers: BTreeMap::new(),
            body: CheckBody::None,
            expect,
        }
    }

    fn expect(status: u16, json: Option<serde_json::Value>, text: Option<&str>) -> Expect {
        Expect { status, json, text: text.map(str::to_owned), headers: BTreeMap::new() }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[tokio::test]
    async fn a_request_is_what_the_profile_says_and_its_answer_is_judged() {
        let server = MockServer::start().await;
        let asked = Mock::given(method("POST")).and(path("/projects/")).and(body_json(json!({"title": "x"})));
        let asked = asked.and(header("content-type", "application/json")).and(header("x-team", "lab"));
        asked
            .respond_with(ResponseTemplate::new(201).set_body_json(json!({"id": 123, "more": [1]})))
            .mount(&server)
            .await;
        let mut check = check("POST", "/projects/", expect(201, Some(json!({"id": 123})), None));
        check.body = CheckBody::Json(json!({"title": "x"}));
        check.headers.insert("X-Team".into(), "lab".into());
        let outcome = run(&check, &format!("{}/its/own/path", server.uri()), soon()).await;
        assert_eq!((outcome.ok(), outcome.status, outcome.body), (true, Some(201), None));
        check.expect.json = Some(json!({"id": 124}));
        let outcome = run(&check, &server.uri(), soon()).await;
        assert_eq!(outcome.wrong, ["expected JSON with id: 124, and it is 123"]);
        assert_eq!(outcome.body.as_deref(), Some(r#"{"id":123,"more":[1]}"#));
    }

    #[tokio::test]
    async fn what_has_just_started_is_asked_again_and_a_fault_is_not() {
        let server = MockServer::start().await;
        let starting = Mock::given(path("/")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1);
        starting.expect(1).mount(&server).await;
        Mock::given(path("/")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        Mock::given(path("/fault")).respond_with(ResponseTemplate::new(500)).expect(1).mount(&server).await;
        assert!(run(&check("GET", "/", expect(200, None, None)), &server.uri(), soon()).await.ok());
        let outcome = run(&check("GET", "/fault", expect(200, None, None)), &server.uri(), soon()).await;
        assert_eq!(outcome.wrong, ["expected status 200, and it is 500"]);
    }

    #[tokio::test]
    async fn nobody_there_is_said_at_the_deadline() {
        let check = check("GET", "/", expect(200, None, None));
        let outcome = run(&check, "http://127.0.0.1:9/", Instant::now()).await;
        assert!(!outcome.ok() && outcome.wrong[0].contains("refused"), "{outcome:?}");
    }

    #[test]
    fn a_long_answer_is_cut_and_made_harmless() {
        let long = format!("\u{1b}[31m{}", "ä".repeat(2000));
        let shown = shown(&long);
        assert!(shown.starts_with('ä') && shown.ends_with("bytes)"), "{shown}");
        assert!(shown.chars().count() < SHOWN + 30);
    }
}
