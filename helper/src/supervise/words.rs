//! What a supervisor says.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use super::child::Ended;

/// Returns the exit code that shells and Docker have for a program that could not be started.
pub(super) fn code(error: &Error) -> u8 {
    if error.kind() == ErrorKind::NotFound { 127 } else { 126 }
}

/// Returns why a program could not be started, in the words that a container's user knows.
pub(super) fn not_started(program: &OsStr, error: &Error) -> String {
    let name = program.to_string_lossy();
    let reason = match error.kind() {
        ErrorKind::NotFound if !name.contains('/') => "executable file not found in $PATH".to_owned(),
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        // ENOEXEC
        _ if error.raw_os_error() == Some(8) => "exec format error".to_owned(),
        _ => error.to_string(),
    };
    format!("exec: {name:?}: {reason}")
}

pub(super) fn ended(ended: &Ended) -> String {
    match ended.signal() {
        Some(signal) => format!("the process was ended by signal {signal}"),
        None => format!("the process ended with code {}", ended.code()),
    }
}

pub(super) fn pause(what: &str, pause: Duration) -> String {
    let pause = if pause < Duration::from_secs(1) {
        format!("{} ms", pause.as_millis())
    } else {
        format!("{} s", pause.as_secs())
    };
    format!("{what}; it is started again in {pause}, or with the next change")
}
