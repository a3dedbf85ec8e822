//! Whether an answer is what a check expects. Pure.

use serde_json::Value;

use super::ask::Answer;
use crate::profile::Expect;
use crate::ui::sanitize;

/// Returns what is not as expected, a sentence each.
pub(super) fn wrong(expect: &Expect, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    if answer.status != expect.status {
        wrong.push(format!("expected status {}, and it is {}", expect.status, answer.status));
    }
    if let Some(wanted) = &expect.json {
        match serde_json::from_str(&answer.body) {
            Ok(body) => wrong.extend(lacking("", wanted, Some(&body))),
            Err(error) => wrong.push(format!("expected JSON, and it is none: {error}")),
        }
    }
    if let Some(text) = expect.text.as_ref().filter(|text| !answer.body.contains(text.as_str())) {
        wrong.push(format!("expected the text `{}`, and it is not there", sanitize::line(text)));
    }
    for (name, value) in &expect.headers {
        let found = answer.headers.get(&name.to_lowercase());
        if found != Some(value) {
            let found = found.map_or("absent".to_owned(), |found| format!("`{}`", sanitize::line(found)));
            wrong.push(format!("expected the header `{name}: {value}`, and it is {found}"));
        }
    }
    wrong
}

/// Returns where the answer has not at least what is wanted; lists are compared as a whole.
fn lacking(path: &str, wanted: &Value, found: Option<&Value>) -> Vec<String> {
    if let (Value::Object(wanted), Some(Value::Object(found))) = (wanted, found) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        return wanted.iter().flat_map(|(key, value)| lacking(&below(key), value, found.get(key))).collect();
    }
    if Some(wanted) == found {
        return Vec::new();
    }
    let at = if path.is_empty() { String::new() } else { format!("with {}: ", sanitize::line(path)) };
    let found = found.map_or("not there".to_owned(), |found| sanitize::line(&found.to_string()));
    vec![format!("expected JSON {at}{}, and it is {found}", sanitize::line(&wanted.to_string()))]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(body: &Value) -> Answer {
        let headers = [("x-version".to_owned(), "2".to_owned())].into();
        Answer { status: 200, headers, body: body.to_string() }
    }

    fn expect(json: Value) -> Expect {
        Expect { status: 200, json: Some(json), text: None, headers: [].into() }
    }

    #[test]
    fn an_answer_may_have_more_keys_but_no_other_values() {
        let answer = answer(&json!({"id": 123, "in": {"a": 1, "b": [2]}}));
        assert_eq!(wrong(&expect(json!({"in": {"b": [2]}})), &answer), Vec::<String>::new());
        assert_eq!(wrong(&expect(json!({"in": {"a": 2}})), &answer), ["expected JSON with in.a: 2, and it is 1"]);
        assert_eq!(wrong(&expect(json!({"x": null})), &answer), ["expected JSON with x: null, and it is not there"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let wanted = Expect {
            status: 201,
            json: None,
            text: Some("hello".into()),
            headers: [("X-Version".to_owned(), "3".to_owned())].into(),
        };
        assert_eq!(
            wrong(&wanted, &answer(&json!(null))),
            [
                "expected status 201, and it is 200",
                "expected the text `hello`, and it is not there",
                "expected the header `X-Version: 3`, and it is `2`",
            ]
        );
    }
}
