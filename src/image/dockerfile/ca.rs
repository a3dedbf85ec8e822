//! A private certificate authority that RUN steps trust, and no layer keeps.
//!
//! Each RUN mounts the certificates as a build secret at [`CA_PATH`], and the variables
//! that tools look at name that file. Where the step runs no package manager, the same
//! file also covers the system's own bundle, for tools that look at no variable; a package
//! manager may have to replace that bundle, which a mount would forbid. `env=` of a secret
//! needs Docker's front end 1.10 or newer, so an older `# syntax=` line says so itself.

use parse_dockerfile::Instruction;

use super::source::locate;
use super::{Dockerfile, instructions};

/// The secret that holds the certificates, PEM.
pub(crate) const CA_SECRET: &str = "coracle-ca";

/// The secret whose value is [`CA_PATH`]: only a secret can set a variable for one RUN.
pub(crate) const CA_PATH_SECRET: &str = "coracle-ca-path";

/// Where RUN steps find the certificates.
pub(crate) const CA_PATH: &str = "/run/secrets/coracle-ca.crt";

const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

const VARIABLES: [&str; 6] =
    ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"];

const PACKAGE_MANAGERS: [&str; 14] = [
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "apk",
    "dnf",
    "yum",
    "microdnf",
    "rpm",
    "zypper",
    "pacman",
    "update-ca-certificates",
    "update-ca-trust",
    "ca-certificates",
];

impl Dockerfile {
    /// Returns the text with each RUN trusting the certificates of the secret [`CA_SECRET`].
    /// Lines keep their numbers.
    pub(crate) fn with_ca(&self) -> String {
        let instructions = instructions(&self.text).unwrap_or_default();
        let mut text = self.text.clone();
        // From the end, so that the places before stay true.
        for located in locate(&self.text, &instructions).iter().rev() {
            if let Instruction::Run(run) = located.instruction {
                text.insert_str(run.run.span.end, &flags(&located.rest));
            }
        }
        text
    }
}

fn flags(command: &str) -> String {
    let mut words = command.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mut targets = vec![CA_PATH];
    if !words.any(|word| PACKAGE_MANAGERS.contains(&word)) {
        targets.push(SYSTEM_BUNDLE);
    }
    let files = targets
        .iter()
        .map(|target| format!(" --mount=type=secret,id={CA_SECRET},target={target},mode=0444,required=true"));
    let variables = VARIABLES.iter().map(|name| format!(" --mount=type=secret,id={CA_PATH_SECRET},env={name}"));
    files.chain(variables).collect()
}
