//! Docker's credential store: who the user is at a registry.
//!
//! Reads config.json and asks its helpers; no configuration means an anonymous user.
//! Never writes, and nothing here reaches a message but the names of helper and registry.

use std::collections::BTreeMap;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::endpoint::config_folder;
use super::error::Cause;
use super::reference::registry_key;
use crate::exec;
use crate::session::Surroundings;

/// How long a credential helper may take; one that asks in a window of its own hangs.
const HELPER_PATIENCE: Duration = Duration::from_secs(15);

/// Who the user is at one registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Account {
    Anonymous,
    Password { user: String, password: String },
    Token(String),
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.described())
    }
}

impl Account {
    /// Docker names a token's user so.
    fn of(user: String, password: String) -> Self {
        if user == "<token>" { Self::Token(password) } else { Self::Password { user, password } }
    }

    /// Returns who it is, for messages: never the secret.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Anonymous => "nobody is logged in".to_owned(),
            Self::Password { user, .. } => format!("logged in as `{}`", crate::ui::sanitize::line(user)),
            Self::Token(_) => "logged in with a token".to_owned(),
        }
    }

    /// Returns it as bollard wants it; none where nobody is logged in.
    pub(crate) fn for_bollard(&self, registry: &str) -> Option<bollard::auth::DockerCredentials> {
        let mut credentials = bollard::auth::DockerCredentials {
            serveraddress: Some(registry_key(registry).to_owned()),
            ..bollard::auth::DockerCredentials::default()
        };
        match self {
            Self::Anonymous => return None,
            Self::Password { user, password } => {
                credentials.username = Some(user.clone());
                credentials.password = Some(password.clone());
            }
            Self::Token(token) => credentials.identitytoken = Some(token.clone()),
        }
        Some(credentials)
    }
}

/// Returns who the user is at `registry` (`docker.io`, `ghcr.io`, `registry-1.docker.io`).
pub(crate) async fn lookup(surroundings: &Surroundings, registry: &str) -> Result<Account, Error> {
    lookup_within(surroundings, registry, HELPER_PATIENCE).await
}

async fn lookup_within(surroundings: &Surroundings, registry: &str, patience: Duration) -> Result<Account, Error> {
    let path = config_folder(surroundings).join("config.json");
    let login = format!("log in again: `docker login {registry}`");
    let failed = |mend: String, cause: &str| Error::Credentials {
        registry: registry.to_owned(),
        mend,
        cause: Cause::new(cause),
    };
    let text = match tokio::fs::read(&path).await {
        Ok(text) if text.iter().all(u8::is_ascii_whitespace) => return Ok(Account::Anonymous),
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Account::Anonymous),
        Err(error) => return Err(failed(format!("make `{}` readable", path.display()), &error.to_string())),
    };
    let unclear =
        |cause: &dyn std::fmt::Display| failed(format!("mend `{}`, or {login}", path.display()), &cause.to_string());
    let config: Config = serde_json::from_slice(&text).map_err(|error| unclear(&error))?;
    let key = registry_key(registry);
    if let Some(name) = config.helper(key) {
        match ask(surroundings, &name, key, patience).await {
            Ok(Some(account)) => return Ok(account),
            Ok(None) => {}
            Err(Unanswered::Missing) => {
                let mend = format!("install `{name}`, or remove `credsStore`/`credHelpers` from {}", path.display());
                return Err(failed(mend, &format!("the credential helper `{name}` could not be run")));
            }
            Err(Unanswered::Late) => {
                let cause = format!("the credential helper `{name}` did not answer within {} s", patience.as_secs());
                return Err(failed(format!("run `{name} list` to see what it waits for, or {login}"), &cause));
            }
            Err(Unanswered::Failed(words)) => {
                return Err(failed(login, &format!("the credential helper `{name}` failed: {words}")));
            }
        }
    }
    // Without the helpers, which are ours to run.
    let kept = serde_json::json!({"auths": config.auths}).to_string();
    match docker_credential::get_credential_from_reader(kept.as_bytes(), key) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Account::Token(token)),
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Account::of(user, password)),
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => {
            Ok(Account::Anonymous)
        }
        Err(error) => Err(unclear(&error)),
    }
}

/// What of config.json is about credentials.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: serde_json::Map<String, serde_json::Value>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

impl Config {
    /// Returns the helper program that config.json names for a registry's key.
    fn helper(&self, key: &str) -> Option<String> {
        let named = self.cred_helpers.get(key).or(self.creds_store.as_ref()).filter(|name| !name.is_empty())?;
        Some(format!("docker-credential-{}", crate::ui::sanitize::line(named)))
    }
}

/// Why a helper gave no answer.
enum Unanswered {
    Missing,
    Late,
    Failed(String),
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper; none where it knows nobody at this registry. Dropping it ends the helper.
async fn ask(
    surroundings: &Surroundings,
    helper: &str,
    key: &str,
    patience: Duration,
) -> Result<Option<Account>, Unanswered> {
    let path = surroundings.variable("PATH").map(|path| ("PATH".to_owned(), Some(path.to_owned())));
    let command = exec::Command {
        program: helper.to_owned(),
        args: vec!["get".to_owned()],
        env: path.into_iter().collect(),
        stdin: Some(key.as_bytes().to_vec()),
        folder: None,
        deadline: patience,
    };
    let output = match exec::run(&command, &CancellationToken::new(), &mut |_| ()).await {
        Ok(output) => output,
        Err(exec::Error::Deadline { .. }) => return Err(Unanswered::Late),
        Err(_) => return Err(Unanswered::Missing),
    };
    if output.succeeded() {
        // The parser's own words could quote the secret.
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| Unanswered::Failed("its answer cannot be understood".to_owned()))?;
        return Ok(Some(Account::of(answer.username, answer.secret)));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let words = format!("{}{}", text(&output.stdout), text(&output.stderr));
    if words.contains("credentials not found") { Ok(None) } else { Err(Unanswered::Failed(words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(config: Option<&str>) -> (tempfile::TempDir, Surroundings) {
        let home = tempfile::tempdir().unwrap();
        if let Some(config) = config {
            std::fs::create_dir(home.path().join(".docker")).unwrap();
            std::fs::write(home.path().join(".docker/config.json"), config).unwrap();
        }
        let surroundings = Surroundings { home: home.path().to_owned(), ..Surroundings::default() };
        (home, surroundings)
    }

    #[tokio::test]
    async fn without_a_configuration_nobody_is_logged_in() {
        let (_home, surroundings) = surroundings(None);
        assert_eq!(lookup(&surroundings, "ghcr.io").await.unwrap(), Account::Anonymous);
    }

    #[tokio::test]
    async fn docker_hub_is_kept_under_its_old_address() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOnMzY3JldA=="}}}"#;
        let (_home, surroundings) = surroundings(Some(config));
        let account = lookup(&surroundings, "registry-1.docker.io").await.unwrap();
        assert_eq!(account, Account::Password { user: "ann".to_owned(), password: "s3cret".to_owned() });
        assert_eq!(format!("{account:?}"), "logged in as `ann`");
        assert_eq!(lookup(&surroundings, "ghcr.io").await.unwrap(), Account::Anonymous);
    }

    #[tokio::test]
    async fn a_missing_helper_is_named_with_its_registry() {
        let (_home, surroundings) = surroundings(Some(r#"{"credHelpers":{"ghcr.io":"coracle-none"}}"#));
        let error = lookup(&surroundings, "ghcr.io").await.unwrap_err();
        assert_eq!(error.to_string(), "the credentials for registry `ghcr.io` could not be read");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the credential helper `docker-credential-coracle-none` could not be run");
    }

    /// Returns surroundings in which `docker-credential-fake` runs `script`.
    fn with_helper(script: &str) -> (tempfile::TempDir, Surroundings) {
        use std::os::unix::fs::PermissionsExt;
        let (home, mut surroundings) = surroundings(Some(r#"{"credsStore":"fake"}"#));
        let helper = home.path().join("docker-credential-fake");
        std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700)).unwrap();
        let path = format!("{}:/usr/bin:/bin", home.path().display());
        surroundings.variables.insert("PATH".to_owned(), path);
        (home, surroundings)
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_the_registry() {
        let script = r#"read key; test "$1" = get && echo "{\"Username\":\"<token>\",\"Secret\":\"of $key\"}""#;
        let (_home, surroundings) = with_helper(script);
        assert_eq!(lookup(&surroundings, "ghcr.io").await.unwrap(), Account::Token("of ghcr.io".to_owned()));
        let (_home, surroundings) = with_helper("echo credentials not found in native keychain; exit 1");
        assert_eq!(lookup(&surroundings, "ghcr.io").await.unwrap(), Account::Anonymous);
        let (_home, surroundings) = with_helper("echo the keychain is locked >&2; exit 1");
        let error = lookup(&surroundings, "ghcr.io").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the credential helper `docker-credential-fake` failed: the keychain is locked");
    }

    #[tokio::test]
    async fn a_helper_that_hangs_does_not_survive() {
        let (home, surroundings) = with_helper("echo $$ > \"$(dirname \"$0\")/pid\"; exec sleep 60");
        let error = lookup_within(&surroundings, "ghcr.io", Duration::from_secs(1)).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the credential helper `docker-credential-fake` did not answer within 1 s");
        let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "it was ended");
    }
}
