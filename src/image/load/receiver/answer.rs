//! Answers, in the form of the OCI distribution specification 1.1.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};

pub(super) type Answer = Response<Full<Bytes>>;

/// Returns an answer without a word.
pub(super) fn plain(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

pub(super) fn with(mut answer: Answer, headers: &[(&'static str, &str)]) -> Answer {
    for (name, value) in headers {
        // What cannot be a header's value is something that the other side sent.
        if let Ok(value) = hyper::header::HeaderValue::from_str(value) {
            answer.headers_mut().insert(*name, value);
        }
    }
    answer
}

/// Returns an error in the specification's form.
pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    let mut answer = plain(status);
    *answer.body_mut() = Full::new(body.to_string().into());
    with(answer, &[(CONTENT_TYPE.as_str(), "application/json")])
}
