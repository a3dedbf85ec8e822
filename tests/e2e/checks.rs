//! A profile's own `checks:`, read and asked here without the code under test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::http::{Answer, request};

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Check {
    pub(crate) service: String,
    get: Option<String>,
    post: Option<String>,
    json: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
struct Expect {
    status: u16,
    json: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Returns the checks of the profile in `folder`.
pub(crate) fn of_profile(folder: &Path) -> Vec<Check> {
    let text = fs::read_to_string(folder.join("coracle.yaml")).unwrap();
    serde_saphyr::from_str::<Profile>(&text).unwrap().checks
}

impl Check {
    /// Asks once, at the service's URL; panics with request and answer if it is not as expected.
    #[track_caller]
    pub(crate) fn run(&self, url: &str) {
        let (method, path) = match (&self.get, &self.post) {
            (Some(path), None) => ("GET", path),
            (None, Some(path)) => ("POST", path),
            _ => panic!("neither get nor post, or both: {self:?}"),
        };
        let url = format!("{}{path}", url.trim_end_matches('/'));
        let mut headers = self.headers.clone();
        let body = self.json.as_ref().map(Value::to_string);
        if body.is_some() {
            headers.insert("Content-Type".to_owned(), "application/json".to_owned());
        }
        let answer = request(method, &url, &headers, body.as_deref());
        let answer = answer.unwrap_or_else(|error| panic!("{method} {url} {body:?}: {error}"));
        assert!(self.expect.is_met_by(&answer), "{method} {url} {body:?}\nexpected {:?}\ngot {answer:?}", self.expect);
    }
}

impl Expect {
    fn is_met_by(&self, answer: &Answer) -> bool {
        let json = |wanted| serde_json::from_str(&answer.body).is_ok_and(|body| contains(&body, wanted));
        self.status == answer.status
            && self.json.as_ref().is_none_or(json)
            && self.text.as_ref().is_none_or(|text| answer.body.contains(text))
            && self.headers.iter().all(|(name, value)| answer.headers.get(&name.to_lowercase()) == Some(value))
    }
}

/// Whether `whole` has at least what `part` has.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|have| contains(have, value)))
        }
        _ => whole == part,
    }
}

#[test]
fn every_profile_has_checks() {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut seen = 0;
    for entry in fs::read_dir(profiles).unwrap() {
        let folder = entry.unwrap().path();
        assert!(!of_profile(&folder).is_empty(), "{} has no checks", folder.display());
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn contained_json_may_have_more_keys_but_no_other_values() {
    let whole = serde_json::json!({"id": 123, "url": "x", "in": {"a": 1, "b": 2}});
    assert!(contains(&whole, &serde_json::json!({"id": 123, "in": {"b": 2}})));
    assert!(!contains(&whole, &serde_json::json!({"id": 124})));
    assert!(!contains(&whole, &serde_json::json!({"other": null})));
}
