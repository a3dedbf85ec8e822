//! The pauses of a watch that breaks: short at first, and never so long that somebody who waits
//! for a cluster to come back would wonder.

use std::time::Duration;

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(4);

/// Doubles from 0.2 s to 4 s; begins again once the watch gets on.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        Some(now)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_tried_again_within_four_seconds_for_ever() {
        let mut pauses = Pauses::default();
        let first: Vec<u64> = pauses.by_ref().take(7).map(|pause| u64::try_from(pause.as_millis()).unwrap()).collect();
        assert_eq!(first, [200, 400, 800, 1600, 3200, 4000, 4000]);
        pauses.reset();
        assert_eq!(pauses.next(), Some(FIRST));
    }
}
