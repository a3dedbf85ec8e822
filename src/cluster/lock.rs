//! Kernel file locks: who works on an instance (or makes a cluster) at this moment.
//!
//! The kernel drops a lock when its process dies, so there is nothing to clean up and no
//! stale lock. The file stays: what is in it only tells who the holder is. A lock taken with
//! [`take_for_child`] outlives a killed holder as long as a child of its does: a `kind` that
//! goes on by itself must end before the next one may begin.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::Error;
use crate::session::Session;

/// How often a held lock is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Held as long as it lives; the kernel drops it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Absent only in tests, which close it as a killed process does.
    file: Option<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not be enough where a child has inherited the file.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

/// Takes the lock called `name` (`instance-…`, `cluster-…`), waiting at most `patience`; says
/// once who holds it (verb, process id, since when). `verb` is what the next one is told.
pub(crate) async fn take(session: &Session, name: &str, verb: &str, patience: Duration) -> Result<Lock, Error> {
    let path = session.surroundings.state.join("locks").join(format!("{name}.lock"));
    let mut file = open(&path).map_err(Error::state("opened", &path))?;
    let end = tokio::time::Instant::now() + patience;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(Error::state("locked", &path)(source)),
        }
        if tokio::time::Instant::now() >= end {
            let holder = holder(&mut file);
            return Err(Error::Held { name: name.to_owned(), holder, seconds: patience.as_secs() });
        }
        if !told {
            told = true;
            session.events.info(format!("waits for {}", holder(&mut file)));
        }
        tokio::select! {
            () = session.cancel.cancelled() => {
                return Err(Error::Interrupted { stands: format!("waited for {}; nothing was changed", holder(&mut file)) });
            }
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
    sign(&mut file, verb).map_err(Error::state("written", &path))?;
    Ok(Lock { file: Some(file) })
}

/// Does as [`take`] does, and lets the processes inherit the lock that are started while it is
/// held: where this process is killed, the lock stays taken until they have ended too.
pub(crate) async fn take_for_child(
    session: &Session,
    name: &str,
    verb: &str,
    patience: Duration,
) -> Result<Lock, Error> {
    let lock = take(session, name, verb, patience).await?;
    if let Some(file) = &lock.file {
        let path = session.surroundings.state.join("locks").join(format!("{name}.lock"));
        let passed_on = rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty());
        passed_on.map_err(|error| Error::state("locked", &path)(error.into()))?;
    }
    Ok(lock)
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        super::private_folder(folder)?;
    }
    File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Writes who holds the lock: process, start, verb.
fn sign(file: &mut File, verb: &str) -> std::io::Result<()> {
    let text = format!("{}\n{}\n{verb}\n", std::process::id(), jiff::Timestamp::now());
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

/// Returns who holds the lock: "`coracle up` (process 123, since 14:02:11)".
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    read.ok().and_then(|_| told(&text, &jiff::tz::TimeZone::system(), is_alive)).unwrap_or_else(|| {
        // It has just taken the lock and has not written yet.
        "another `coracle`".to_owned()
    })
}

fn is_alive(process: i32) -> bool {
    let gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    rustix::process::Pid::from_raw(process).is_some_and(|pid| !gone(pid))
}

fn told(text: &str, zone: &jiff::tz::TimeZone, is_alive: impl Fn(i32) -> bool) -> Option<String> {
    let mut lines = text.lines();
    let process: i32 = lines.next()?.parse().ok()?;
    let since: jiff::Timestamp = lines.next()?.parse().ok()?;
    let verb = crate::ui::sanitize::line(lines.next()?);
    let since = since.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
    let holder = format!("`coracle {verb}` (process {process}, since {since})");
    Some(if is_alive(process) { holder } else { format!("what {holder} left running") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tests::session;
    use crate::event::Event;

    #[test]
    fn the_holder_is_told() {
        let text = "123\n2026-03-01T14:02:11.5Z\nup\n";
        let told = |text: &str, alive: bool| told(text, &jiff::tz::TimeZone::UTC, |_| alive);
        assert_eq!(told(text, true).as_deref(), Some("`coracle up` (process 123, since 14:02:11)"));
        let left = told(text, false);
        assert_eq!(left.as_deref(), Some("what `coracle up` (process 123, since 14:02:11) left running"));
        assert_eq!(told("123\n", true), None);
    }

    #[tokio::test]
    async fn the_second_one_waits_says_so_once_and_gets_it() {
        let state = tempfile::tempdir().unwrap();
        let (session, mut events) = session(state.path());
        let first = take(&session, "instance-x", "up", Duration::ZERO).await.unwrap();
        let waiting = {
            let session = session.clone();
            tokio::spawn(async move { take(&session, "instance-x", "down", Duration::from_secs(20)).await })
        };
        let Some(Event::Notice { text, .. }) = events.recv().await else { panic!("a notice") };
        assert!(text.starts_with(&format!("waits for `coracle up` (process {}, since ", std::process::id())), "{text}");
        drop(first);
        waiting.await.unwrap().unwrap();
        assert!(events.try_recv().is_err(), "it was said once");
    }

    #[tokio::test]
    async fn patience_ends() {
        let state = tempfile::tempdir().unwrap();
        let (session, _events) = session(state.path());
        let _held = take(&session, "instance-x", "dev", Duration::ZERO).await.unwrap();
        let error = take(&session, "instance-x", "up", Duration::from_millis(200)).await.unwrap_err();
        assert!(
            matches!(&error, Error::Held { holder, .. } if holder.starts_with("`coracle dev` (process")),
            "{error}"
        );
        take(&session, "instance-y", "up", Duration::ZERO).await.expect("another instance is free");
    }

    #[tokio::test]
    async fn waiting_can_be_interrupted() {
        let state = tempfile::tempdir().unwrap();
        let (session, _events) = session(state.path());
        let _held = take(&session, "instance-x", "dev", Duration::ZERO).await.unwrap();
        session.cancel.cancel();
        let result = take(&session, "instance-x", "up", Duration::from_secs(20)).await;
        assert!(matches!(result, Err(Error::Interrupted { .. })));
    }

    /// A killed `coracle` closes its file without a word; its child goes on.
    #[tokio::test]
    async fn a_child_that_goes_on_keeps_the_lock() {
        let state = tempfile::tempdir().unwrap();
        let (session, _events) = session(state.path());
        let mut lock = take_for_child(&session, "cluster-x", "cluster create", Duration::ZERO).await.unwrap();
        let command = crate::exec::Command {
            program: "sh".to_owned(),
            args: ["-c", "echo begun >&2; sleep 1"].map(str::to_owned).into(),
            env: std::collections::BTreeMap::new(),
            stdin: None,
            folder: None,
            deadline: Duration::from_secs(60),
        };
        let (cancel, begun) = (session.cancel.clone(), tokio_util::sync::CancellationToken::new());
        let seen = begun.clone();
        let child = tokio::spawn(async move { crate::exec::run(&command, &cancel, &mut |_| seen.cancel()).await });
        begun.cancelled().await;
        drop(lock.file.take());
        take(&session, "cluster-x", "up", Duration::from_millis(200)).await.unwrap_err();
        child.await.unwrap().unwrap();
        let again = take_for_child(&session, "cluster-x", "up", Duration::from_secs(20)).await.unwrap();
        drop(again);
        take(&session, "cluster-x", "up", Duration::ZERO).await.expect("who ends in order leaves no lock");
    }

    /// The kernel drops what a killed process held: `flock` stands for another Coracle.
    #[tokio::test]
    async fn a_killed_process_holds_nothing() {
        let state = tempfile::tempdir().unwrap();
        let (session, _events) = session(state.path());
        drop(take(&session, "instance-x", "up", Duration::ZERO).await.unwrap());
        let path = state.path().join("locks/instance-x.lock");
        let command = crate::exec::Command {
            program: "flock".to_owned(),
            args: [path.to_str().unwrap(), "-c", "echo held >&2; exec sleep 60"].map(str::to_owned).into(),
            env: std::collections::BTreeMap::new(),
            stdin: None,
            folder: None,
            deadline: Duration::from_secs(60),
        };
        let (cancel, held) = (session.cancel.child_token(), tokio_util::sync::CancellationToken::new());
        let (token, seen) = (cancel.clone(), held.clone());
        let process =
            tokio::spawn(async move { crate::exec::run(&command, &token, &mut |_| seen.cancel()).await.map(|_| ()) });
        held.cancelled().await;
        take(&session, "instance-x", "up", Duration::from_millis(200)).await.unwrap_err();
        cancel.cancel();
        process.await.unwrap().unwrap_err();
        take(&session, "instance-x", "up", Duration::from_secs(10)).await.unwrap();
    }
}
