//! How to see that a service is well, and how a new version of it rolls out.

use std::time::Duration;

use super::error::Problem;
use super::file::{ProbeFile, ProbeSection, RolloutFile, ServiceFile, StrategyFile, Text};
use super::resolve::{At, Resolver};
use super::{Port, Probe, ProbeCheck, Protocol, Rollout, Strategy, WorkloadKind, names};

const PERIOD: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a workload may take to become ready, if the profile does not say.
const DEADLINE: Duration = Duration::from_secs(180);

type Probes = (Option<Probe>, Option<Probe>, Option<Probe>);

impl Resolver<'_> {
    /// Returns readiness, liveness and startup. A port of 0 is the first of those that the
    /// image will give (`ports::fill_ports`).
    pub(super) fn probes(
        &mut self,
        at: &At,
        file: &ServiceFile,
        ports: &[Port],
        kind: &WorkloadKind,
        deadline: Duration,
    ) -> Probes {
        let first = ports.iter().find(|port| port.protocol == Protocol::Tcp).map(|port| port.target);
        let first = first.or_else(|| (file.ports.is_none() && file.build.is_some()).then_some(0));
        if let (Some(_), Some(_)) = (&file.health, &file.readiness) {
            self.wrong_help(&at.key("readiness"), "`health` and `readiness` are the same", "keep one");
        }
        let mut read = |key: &str, written: &Option<ProbeFile>| {
            written.as_ref().and_then(|written| self.probe(&at.key(key), key, written, first))
        };
        let readiness = read("health", &file.health).or(read("readiness", &file.readiness));
        let liveness = read("liveness", &file.liveness);
        let startup = read("startup", &file.startup);
        let serves = matches!(kind, WorkloadKind::Deployment | WorkloadKind::Stateful);
        let stated = file.health.is_some() || file.readiness.is_some();
        let standard = || first.filter(|_| serves).map(|port| with_defaults(ProbeCheck::Tcp { port }));
        let readiness = if stated { readiness } else { standard() };
        let startup = startup.or_else(|| liveness.as_ref().map(|liveness| until(liveness, deadline)));
        for (key, probe) in [("health", &readiness), ("liveness", &liveness), ("startup", &startup)] {
            self.stray_port(at, key, probe.as_ref(), ports);
        }
        (readiness, liveness, startup)
    }

    /// A probe of a port that the profile does not name is most likely a slip.
    fn stray_port(&mut self, at: &At, key: &str, probe: Option<&Probe>, ports: &[Port]) {
        let port = match probe.map(|probe| &probe.check) {
            Some(ProbeCheck::Http { port, .. } | ProbeCheck::Tcp { port } | ProbeCheck::Grpc { port }) => *port,
            _ => return,
        };
        if port == 0 || ports.is_empty() || ports.iter().any(|known| known.target == port) {
            return;
        }
        let listed: Vec<String> = ports.iter().map(|port| port.target.to_string()).collect();
        let service = at.0.last().cloned().unwrap_or_default();
        let said =
            format!("`{key}` of `{service}` asks port {port}, but the container's ports are {}", listed.join(", "));
        self.warnings.push(said);
    }

    fn probe(&mut self, at: &At, key: &str, written: &ProbeFile, first: Option<u16>) -> Option<Probe> {
        let section = match written {
            ProbeFile::Section(section) => (**section).clone(),
            ProbeFile::Word(word) => match word.as_str() {
                "none" => return None,
                "tcp" => ProbeSection { tcp: Some(true), ..ProbeSection::default() },
                "grpc" => ProbeSection { grpc: Some(true), ..ProbeSection::default() },
                path if path.starts_with('/') => {
                    ProbeSection { path: Some(path.to_owned()), ..ProbeSection::default() }
                }
                other => {
                    let said = format!(
                        "`{key}` is a path such as `/{other}`, `tcp`, `grpc`, `none` or a section, not `{other}`"
                    );
                    let known = ["tcp", "grpc", "none"];
                    let near = super::error::closest(other, known).map_or(format!("/{other}"), str::to_owned);
                    self.wrong_help(at, said, format!("did you mean `{near}`?"));
                    return None;
                }
            },
        };
        let check = self.probe_check(at, key, &section, first)?;
        let standard = with_defaults(check);
        let mut read =
            |key: &str, text: &Option<Text>| text.as_ref().and_then(|text| self.duration(&at.key(key), text));
        Some(Probe {
            period: read("period", &section.period).map_or(standard.period, whole_seconds),
            timeout: read("timeout", &section.timeout).map_or(standard.timeout, whole_seconds),
            delay: read("delay", &section.delay).unwrap_or(standard.delay),
            failures: section.failures.unwrap_or(standard.failures),
            successes: self.successes(at, key, section.successes),
            check: standard.check,
        })
    }

    fn successes(&mut self, at: &At, key: &str, successes: Option<u32>) -> u32 {
        let successes = successes.unwrap_or(1);
        if successes != 1 && matches!(key, "liveness" | "startup") {
            self.wrong(
                &at.key("successes"),
                format!("one success is enough for `{key}`: Kubernetes takes nothing else"),
            );
        }
        successes
    }

    fn probe_check(&mut self, at: &At, key: &str, section: &ProbeSection, first: Option<u16>) -> Option<ProbeCheck> {
        let ways =
            [section.path.is_some(), section.tcp == Some(true), section.grpc == Some(true), section.exec.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            self.wrong(at, format!("`{key}` has more than one of `path`, `tcp`, `grpc` and `exec`"));
            return None;
        }
        if let Some(command) = &section.exec {
            let command = self.command(&at.key("exec"), Some(command))?;
            if command.is_empty() {
                self.wrong(&at.key("exec"), format!("the command of `{key}` is empty"));
            }
            return Some(ProbeCheck::Exec { command });
        }
        let Some(port) = section.port.or(first) else {
            let place = self.key_place(at);
            let said = format!("`{key}` asks a port, but the service has none");
            self.problems.push(Problem::new(place, said).help("add `ports:`, or a `port:` to it"));
            return None;
        };
        match &section.path {
            Some(path) => {
                if !path.starts_with('/') {
                    self.wrong_help(
                        &at.key("path"),
                        format!("the path `{path}` does not begin with `/`"),
                        format!("did you mean `/{path}`?"),
                    );
                }
                Some(ProbeCheck::Http { path: path.clone(), port })
            }
            None if section.grpc == Some(true) => Some(ProbeCheck::Grpc { port }),
            None => Some(ProbeCheck::Tcp { port }),
        }
    }

    pub(super) fn rollout(&mut self, at: &At, file: Option<&RolloutFile>) -> Rollout {
        let at = at.key("rollout");
        let file = file.cloned().unwrap_or_default();
        for (key, value) in [("max-surge", &file.max_surge), ("max-unavailable", &file.max_unavailable)] {
            if let Some(Text(value)) = value
                && !names::is_count_or_percent(value)
            {
                self.wrong(&at.key(key), format!("`{key}` is a number or a percentage such as `25%`, not `{value}`"));
            }
        }
        let zero = |value: &Option<Text>| value.as_ref().is_some_and(|value| value.0.trim_end_matches('%') == "0");
        if zero(&file.max_surge) && (zero(&file.max_unavailable) || file.max_unavailable.is_none()) {
            let said = "with `max-surge: 0` and `max-unavailable: 0` nothing could ever be replaced";
            self.wrong_help(&at.key("max-surge"), said, "set `max-unavailable: 1`, or `strategy: recreate`");
        }
        let strategy = file.strategy.map(|strategy| match strategy {
            StrategyFile::Rolling => Strategy::Rolling,
            StrategyFile::Recreate => Strategy::Recreate,
        });
        let deadline =
            file.deadline.as_ref().and_then(|text| self.duration(&at.key("deadline"), text)).unwrap_or(DEADLINE);
        let text = |value: Option<Text>| value.map(|value| value.0);
        let deadline = whole_seconds(deadline);
        Rollout { strategy, max_surge: text(file.max_surge), max_unavailable: text(file.max_unavailable), deadline }
    }
}

/// Kubernetes counts in whole seconds, from 1.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs().max(1))
}

fn with_defaults(check: ProbeCheck) -> Probe {
    Probe { check, period: PERIOD, timeout: TIMEOUT, delay: Duration::ZERO, failures: 3, successes: 1 }
}

/// The same check, failing for as long as a start may take.
fn until(liveness: &Probe, deadline: Duration) -> Probe {
    let period = liveness.period.as_secs().max(1);
    let failures = u32::try_from(deadline.as_secs().div_ceil(period)).unwrap_or(u32::MAX).max(1);
    Probe { failures, delay: Duration::ZERO, ..liveness.clone() }
}
