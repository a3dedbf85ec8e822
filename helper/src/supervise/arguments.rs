//! The arguments of `supervise`.

use std::ffi::OsString;
use std::time::Duration;

use rustix::process::Signal;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    /// Ends the program.
    pub(super) stop: Signal,
    /// How long it may take for that.
    pub(super) grace: Duration,
    /// Between the end of a program that ended by itself and its next start.
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    /// Its name, then its arguments; never empty.
    pub(super) program: Vec<OsString>,
}

impl Arguments {
    /// Parses `--stop-signal N --grace-ms N -- PROGRAM ARG …`. The pauses can be set as well,
    /// for whoever does not want to wait.
    pub(super) fn parse(words: Vec<OsString>) -> Result<Self, String> {
        let mut parsed = Self {
            stop: Signal::TERM,
            grace: Duration::from_secs(2),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            program: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let flag = word.to_str().unwrap_or_default();
            if flag == "--" {
                parsed.program = words.by_ref().collect();
                break;
            }
            let value = words.next().and_then(|value| value.to_str()?.parse::<u32>().ok());
            let value = value.ok_or_else(|| format!("`{flag}` takes a number"))?;
            let time = Duration::from_millis(value.into());
            match flag {
                // A signal without a name (a real-time one) is none that we can send.
                "--stop-signal" => parsed.stop = Signal::from_named_raw(value.cast_signed()).unwrap_or(Signal::TERM),
                "--grace-ms" => parsed.grace = time,
                "--first-pause-ms" => parsed.first_pause = time,
                "--longest-pause-ms" => parsed.longest_pause = time,
                _ => return Err(format!("`supervise` has no flag `{flag}`")),
            }
        }
        if parsed.program.is_empty() { Err("`supervise` needs `--` and a program".to_owned()) } else { Ok(parsed) }
    }
}
