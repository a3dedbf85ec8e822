//! Environments: checked from the first day, so that `promote` meets no surprise in the file.

use serde_json::{Map, Value as Json};

use super::file::{EnvironmentFile, PullSecretSource, RegistryFile};
use super::interpolate::{Form, Piece, pieces};
use super::names;
use super::resolve::{At, Resolver, did_you_mean};
use super::values;

impl Resolver<'_> {
    pub(super) fn environments(&mut self, sound: &Map<String, Json>, merged: &[(String, Json)]) {
        let Some(environments) = sound.get("environments").and_then(Json::as_object) else { return };
        for (name, value) in environments {
            let at = At::of(&["environments", name]);
            if let Some(fault) = names::label_fault(name) {
                self.wrong_help(
                    &at,
                    format!("the environment's name `{name}` {fault}"),
                    did_you_mean(&names::near_label(name)),
                );
            }
            if name == "local" {
                self.wrong(&at, "`local` is the laptop itself: an environment needs another name");
            }
            let Some(file) = self.typed::<EnvironmentFile>(&at, value.clone()) else { continue };
            self.environment(&at, &file);
            let overlays = value.get("services").and_then(Json::as_object);
            for (key, overlay) in overlays.into_iter().flatten() {
                self.overlay(&at.key("services").key(key), key, overlay, merged);
            }
        }
    }

    fn environment(&mut self, at: &At, file: &EnvironmentFile) {
        if file.context.is_none() && file.kubeconfig.is_none() {
            self.wrong_help(
                at,
                "this environment names no cluster",
                "`context:` of your kubeconfig, or `kubeconfig:` with a file",
            );
        }
        if let Some(namespace) = file.namespace.as_ref().filter(|namespace| !namespace.contains('{'))
            && let Some(fault) = names::label_fault(namespace)
        {
            self.wrong_help(
                &at.key("namespace"),
                format!("the namespace `{namespace}` {fault}"),
                did_you_mean(&names::near_label(namespace)),
            );
        }
        if let Some(platform) = &file.platform {
            self.platform(&at.key("platform"), platform);
        }
        let host = match &file.registry {
            Some(RegistryFile::Reference(reference)) => Some((at.key("registry"), reference)),
            Some(RegistryFile::Parts(parts)) => Some((at.key("registry").key("host"), &parts.host)),
            None => None,
        };
        if let Some((at, host)) = host.filter(|(_, host)| host.contains("://")) {
            let bare = host.split_once("://").map_or(host.as_str(), |(_, bare)| bare);
            self.wrong_help(
                &at,
                format!("the registry `{host}` is written without a scheme"),
                format!("did you mean `{bare}`?"),
            );
        }
        if let Some(bind) = file.bind.as_ref().filter(|bind| !bind.starts_with("sha256:")) {
            self.wrong_help(
                &at.key("bind"),
                format!("`{bind}` is no fingerprint"),
                "`sha256:` and what `coracle doctor` shows",
            );
        }
        if let Some(secret) = &file.pull_secret {
            let at = at.key("pull-secret");
            let missing = match secret.from {
                Some(PullSecretSource::Env) if secret.env.is_none() => Some("env"),
                Some(PullSecretSource::File) if secret.file.is_none() => Some("file"),
                Some(PullSecretSource::Command) if secret.command.is_none() => Some("command"),
                _ => None,
            };
            if let Some(missing) = missing {
                self.wrong(&at.key("from"), format!("`from: {missing}` needs the key `{missing}`"));
            }
            self.command(&at.key("command"), secret.command.as_ref());
        }
        let plain = |key: &&String| !key.contains('{');
        for (key, value) in file.labels.iter().flatten().filter(|(key, value)| plain(key) && plain(&&value.0)) {
            if let Some(fault) = names::label_pair_fault(key, &value.0) {
                self.wrong(&at.key("labels").key(key), fault);
            }
        }
    }

    /// Checks a service as it would be there: what the overlay says must fit what is below.
    fn overlay(&mut self, at: &At, key: &str, overlay: &Json, merged: &[(String, Json)]) {
        if !self.known.iter().any(|known| known == key) {
            let known = self.known.clone();
            self.unknown(at, &format!("there is no service `{key}`"), key, known.iter().map(String::as_str));
            return;
        }
        let Some((_, Json::Object(base))) = merged.iter().find(|(name, _)| name == key) else { return };
        let Json::Object(over) = overlay else { return };
        // Without an image below, that is the one problem, and it is told there.
        if !["build", "image"].iter().any(|way| base.contains_key(*way)) {
            return;
        }
        let built = ["build", "image"]
            .into_iter()
            .find(|way| over.contains_key(*way) && (*way == "build" || base.contains_key("build")));
        if let Some(way) = built {
            let said = format!("an environment cannot change what is built, so `{way}` has no place here");
            self.wrong(&at.key(way), said);
            return;
        }
        // The variables of another machine need not be set here.
        if self.unset(overlay) {
            return;
        }
        let warnings = self.warnings.len();
        let both = Json::Object(values::over(base, over));
        let _ = self.service(at, key, both);
        self.warnings.truncate(warnings);
    }

    fn unset(&self, value: &Json) -> bool {
        match value {
            Json::String(text) => pieces(text).iter().any(|piece| match piece {
                Piece::Form(Form::Variable(name)) => !self.surroundings.variables.contains_key(*name),
                _ => false,
            }),
            Json::Array(items) => items.iter().any(|item| self.unset(item)),
            Json::Object(map) => map.values().any(|item| self.unset(item)),
            _ => false,
        }
    }
}
