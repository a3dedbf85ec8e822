//! Values before they have a type: what defaults and overlays put below and above each
//! other, and the `{…}` in every text.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::interpolate::{Attribute, Form, Piece, pieces, written};
use super::names;
use super::resolve::{At, Resolver, did_you_mean};

/// Sections that are merged key by key; anything else is replaced whole.
const MERGED: [&str; 8] = ["env", "secrets", "files", "labels", "annotations", "node-selector", "resources", "rollout"];

/// What other services may ask of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) service_name: String,
    /// The Service's first port; absent where the image decides, or where there is none.
    pub(super) port: Option<u16>,
}

/// Lays `over` over `under`.
pub(super) fn over(under: &Map<String, Json>, over: &Map<String, Json>) -> Map<String, Json> {
    let mut result = under.clone();
    for (key, value) in over {
        match (result.get_mut(key), value) {
            (Some(Json::Object(below)), Json::Object(above)) if MERGED.contains(&key.as_str()) => {
                below.extend(above.clone());
            }
            _ => {
                result.insert(key.clone(), value.clone());
            }
        }
    }
    result
}

/// Lays a service over the defaults. Where it says how it gets its image, or how its health
/// is seen, the defaults' other ways do not count.
pub(super) fn over_defaults(defaults: &Map<String, Json>, service: &Map<String, Json>) -> Map<String, Json> {
    let mut defaults = defaults.clone();
    for ways in [["build", "image"], ["health", "readiness"]] {
        if ways.iter().any(|way| service.contains_key(*way)) {
            defaults.retain(|key, _| !ways.contains(&key.as_str()));
        }
    }
    over(&defaults, service)
}

/// Fills a template in which nothing can be wrong any more.
pub(super) fn fill_plainly(template: &str, service: &str, namespace: &str, user: &str) -> String {
    pieces(template)
        .into_iter()
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_owned(),
            Piece::Form(Form::Service) => service.to_owned(),
            Piece::Form(Form::Namespace) => namespace.to_owned(),
            // A user's name becomes part of an object's name.
            Piece::Form(Form::User) => names::dns_label(user),
            Piece::Form(Form::Environment) => "local".to_owned(),
            Piece::Form(form) => written(form),
        })
        .collect()
}

impl Resolver<'_> {
    /// Works out the names and first ports of all services, which any of them may ask for.
    pub(super) fn facts(&mut self, merged: &[(String, Json)], template: &str) {
        let at = At::of(&["name-template"]);
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let user = self.surroundings.user.clone();
        for (key, value) in merged {
            let plain = fill_plainly(template, key, &self.namespace, &user);
            let name = self.fill(&plain, &at, Some(key));
            if let Some(fault) = names::service_fault(&name).filter(|_| name != *key) {
                self.wrong(&at, format!("the name `{name}` that `name-template` gives to `{key}` {fault}"));
            }
            if let Some(other) = owners.insert(name.clone(), key.clone()) {
                self.wrong_help(
                    &at,
                    format!("`{other}` and `{key}` are both named `{name}`"),
                    "put `{service}` into the template",
                );
            }
            let own = value.get("service-name").and_then(Json::as_str);
            let place = At::of(&["services", key, "service-name"]);
            let service_name = own.map_or(name.clone(), |own| self.fill(own, &place, Some(key)));
            if let Some(fault) = names::service_fault(&service_name).filter(|_| own.is_some()) {
                let near = did_you_mean(&names::near_service(&service_name));
                self.wrong_help(&place, format!("the name `{service_name}` {fault}"), near);
            }
            let port = value.get("ports").and_then(|ports| ports.get(0)).and_then(first_port);
            self.facts.insert(key.clone(), Facts { name, service_name, port });
        }
    }

    /// Replaces the `{…}` in every text below a value.
    pub(super) fn interpolate(&mut self, value: &mut Json, at: &At, service: Option<&str>) {
        match value {
            Json::String(text) if text.contains('{') => *text = self.fill(text, at, service),
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.interpolate(item, &at.key(index), service);
                }
            }
            Json::Object(map) => {
                for (key, item) in map.iter_mut() {
                    self.interpolate(item, &at.key(key), service);
                }
            }
            _ => {}
        }
    }

    /// Replaces the `{…}` in a text; one that cannot be known is a problem.
    pub(super) fn fill(&mut self, text: &str, at: &At, service: Option<&str>) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Literal(literal) => filled.push_str(literal),
                Piece::Form(form) => filled.push_str(&self.form(form, at, service)),
            }
        }
        filled
    }

    fn form(&mut self, form: Form<'_>, at: &At, service: Option<&str>) -> String {
        match form {
            Form::Service => {
                if service.is_none() {
                    self.wrong(at, "`{service}` means something in a service only");
                }
                service.unwrap_or("service").to_owned()
            }
            Form::Namespace => self.namespace.clone(),
            Form::User => self.surroundings.user.clone(),
            Form::Environment => "local".to_owned(),
            Form::Variable(name) => self.surroundings.variables.get(name).cloned().unwrap_or_else(|| {
                let said = format!("the variable `{name}` is not set, so `{}` has no value", written(form));
                let help = format!("`export {name}=…` before coracle, or write the value into the profile");
                self.wrong_help(at, said, help);
                "unset".to_owned()
            }),
            Form::Of(other, attribute) => self.of_service(form, other, attribute, at),
        }
    }

    fn of_service(&mut self, form: Form<'_>, other: &str, attribute: Attribute, at: &At) -> String {
        if !self.known.iter().any(|known| known == other) {
            let known = self.known.clone();
            self.unknown(
                at,
                &format!("there is no service `{other}`, so `{}` has no value", written(form)),
                other,
                known.iter().map(String::as_str),
            );
            return "unknown".to_owned();
        }
        // One that is not sound has its own problem already.
        let Some(facts) = self.facts.get(other).cloned() else { return other.to_owned() };
        let ported = facts.port.is_some() || !matches!(attribute, Attribute::Port | Attribute::Url);
        if !ported && self.keys(&At::of(&["services", other])).iter().all(|key| key != "ports") {
            let said = format!("`{}` has no value: the profile does not say which ports `{other}` has", written(form));
            self.wrong_help(at, said, format!("give `{other}` its `ports:`"));
        }
        let port = facts.port.unwrap_or(80);
        match attribute {
            Attribute::Host => facts.service_name,
            Attribute::Port => port.to_string(),
            Attribute::Url if port == 80 => format!("http://{}", facts.service_name),
            Attribute::Url => format!("http://{}:{port}", facts.service_name),
            Attribute::Image => {
                if !takes_image(&at.0) {
                    let said = format!("`{}` has no value here", written(form));
                    self.wrong_help(at, said, "an image's name stands in `env` and in `build: {args: …}`");
                }
                written(form)
            }
        }
    }
}

/// The places that are filled in once the images are known.
fn takes_image(path: &[String]) -> bool {
    let inside = path.iter().position(|step| step == "services").map_or(path, |at| &path[at + 1..]);
    matches!(inside, [_, env, _, ..] if env == "env")
        || matches!(inside, [_, build, args, _, ..] if build == "build" && args == "args")
}

fn first_port(port: &Json) -> Option<u16> {
    match port {
        Json::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Json::String(text) => text.split([':', '/']).next()?.trim().parse().ok(),
        Json::Object(section) => section.get("port")?.as_u64().and_then(|number| u16::try_from(number).ok()),
        _ => None,
    }
}
