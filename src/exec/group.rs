//! A child's process group: signalled as one, and never left behind.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

/// The leaders of all groups that are held, for the end in a hurry.
static LIVE: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Kills all groups that are held.
pub(super) fn kill_all() {
    let live = std::mem::take(&mut *LIVE.lock().unwrap_or_else(PoisonError::into_inner));
    for leader in live.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// The group that a child leads. Dropped while it is held (the work was dropped), all of it is
/// killed.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    pub(super) fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            LIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(leader.as_raw_nonzero().get());
        }
        Self { leader }
    }

    /// The leader ended by itself: its number may soon be somebody else's.
    pub(super) fn let_go(&mut self) {
        if let Some(leader) = self.leader.take() {
            LIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&leader.as_raw_nonzero().get());
        }
    }

    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills what is left of the group.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.let_go();
    }

    /// Waits until nobody of the group is left, at most `time`.
    pub(super) async fn gone(&self, time: Duration) {
        let Some(leader) = self.leader else { return };
        let end = tokio::time::Instant::now() + time;
        while test_kill_process_group(leader).is_ok() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // A group that is gone already is what was wanted.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
