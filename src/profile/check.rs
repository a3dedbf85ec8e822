//! The profile's own checks.

use serde_json::{Map, Value as Json};

use super::file::{CheckFile, Text};
use super::resolve::{At, Resolver};
use super::service::texts;
use super::{Check, CheckBody, Expect};

impl Resolver<'_> {
    pub(super) fn checks(&mut self, sound: &Map<String, Json>) -> Vec<Check> {
        let at = At::of(&["checks"]);
        let written = sound.get("checks").and_then(Json::as_array).cloned().unwrap_or_default();
        let mut checks = Vec::new();
        for (index, mut value) in written.into_iter().enumerate() {
            let at = at.key(index);
            let service = value.get("service").and_then(Json::as_str).map(str::to_owned);
            self.interpolate(&mut value, &at, service.as_deref());
            if let Some(file) = self.typed::<CheckFile>(&at, value) {
                checks.extend(self.check(&at, file));
            }
        }
        checks
    }

    fn check(&mut self, at: &At, file: CheckFile) -> Option<Check> {
        if !self.known.contains(&file.service) {
            let known = self.known.clone();
            let said = format!("there is no service `{}`", file.service);
            self.unknown(&at.key("service"), &said, &file.service, known.iter().map(String::as_str));
        }
        let ways = [
            ("GET", file.get),
            ("POST", file.post),
            ("PUT", file.put),
            ("DELETE", file.delete),
            ("PATCH", file.patch),
            ("HEAD", file.head),
        ];
        let mut ways: Vec<(&str, String)> =
            ways.into_iter().filter_map(|(method, path)| Some((method, path?))).collect();
        if ways.len() != 1 {
            let said = if ways.is_empty() { "this check asks nothing" } else { "this check asks in two ways" };
            self.wrong_help(
                &at.key("service"),
                said,
                "exactly one of `get`, `post`, `put`, `delete`, `patch` and `head`, with a path",
            );
        }
        let (method, path) = ways.pop()?;
        if !path.starts_with('/') {
            let said = format!("the path `{path}` does not begin with `/`");
            self.wrong_help(&at.key(method.to_lowercase()), said, format!("did you mean `/{path}`?"));
        }
        let body = match (file.json, file.text.or(file.body)) {
            (Some(_), Some(_)) => {
                self.wrong(&at.key("json"), "a request has one body: `json` or `text`");
                CheckBody::None
            }
            (Some(json), None) => CheckBody::Json(json),
            (None, Some(Text(text))) => CheckBody::Text(text),
            (None, None) => CheckBody::None,
        };
        let expect = file.expect.unwrap_or_default();
        Some(Check {
            service: file.service,
            method: method.to_owned(),
            path,
            headers: texts(file.headers.as_ref()),
            body,
            expect: Expect {
                status: expect.status.unwrap_or(200),
                json: expect.json,
                text: expect.text.map(|text| text.0),
                headers: texts(expect.headers.as_ref()),
            },
        })
    }
}
