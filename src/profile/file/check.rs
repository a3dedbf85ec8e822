//! `checks:` — requests that show whether the application works.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;

/// One request and what it must answer. Exactly one of `get`, `post`, `put`, `delete`,
/// `patch` and `head` names the path.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "check")]
pub(crate) struct CheckFile {
    /// The service that is asked.
    pub(crate) service: String,
    /// The path of a GET.
    pub(crate) get: Option<String>,
    /// The path of a POST.
    pub(crate) post: Option<String>,
    /// The path of a PUT.
    pub(crate) put: Option<String>,
    /// The path of a DELETE.
    pub(crate) delete: Option<String>,
    /// The path of a PATCH.
    pub(crate) patch: Option<String>,
    /// The path of a HEAD.
    pub(crate) head: Option<String>,
    /// The request's body, sent as JSON.
    pub(crate) json: Option<serde_json::Value>,
    /// The request's body, sent as it is.
    pub(crate) text: Option<Text>,
    /// The same as `text`.
    pub(crate) body: Option<Text>,
    /// The request's headers.
    pub(crate) headers: Option<BTreeMap<String, Text>>,
    /// What the answer must be.
    pub(crate) expect: Option<ExpectFile>,
}

/// What an answer must be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "expect")]
pub(crate) struct ExpectFile {
    /// The status.
    #[schemars(range(min = 100, max = 599), extend("default" = 200))]
    pub(crate) status: Option<u16>,
    /// The answer's JSON contains at least this.
    pub(crate) json: Option<serde_json::Value>,
    /// The answer's text contains this.
    pub(crate) text: Option<Text>,
    /// The answer has these headers.
    pub(crate) headers: Option<BTreeMap<String, Text>>,
}
