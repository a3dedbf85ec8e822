//! What rounds still owe: a deploy that never ended well, an attempt when what was away is back.

use std::time::{Duration, Instant};

use crate::error::Failure;

/// How long to wait for what cannot be reached, doubled each time up to the other.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(5);
/// So often in a row a context may change under its build before that is a failure.
const TORN: u32 = 5;

#[derive(Debug)]
pub(super) struct Owed {
    /// What is prepared was never deployed to its end.
    pub(super) deploy: bool,
    /// All was applied, and something in it did not become ready: nobody has seen it well yet.
    pub(super) rollout: bool,
    /// When to try again.
    pub(super) again: Option<Instant>,
    tries: u32,
    torn: u32,
}

impl Owed {
    pub(super) fn new() -> Self {
        Self { deploy: true, rollout: false, again: None, tries: 0, torn: 0 }
    }

    /// Everything was deployed, as far as it is not the user's to mend.
    pub(super) fn settled(&mut self) {
        *self = Self { deploy: false, ..Self::new() };
    }

    /// Whether what failed last was an attempt to reach again what was away.
    pub(super) fn is_trying_again(&self) -> bool {
        self.tries > 0
    }

    pub(super) fn try_again(&mut self, now: Instant) {
        self.again = Some(now + (FIRST * 2u32.pow(self.tries.min(3))).min(MOST));
        self.tries += 1;
        self.deploy = true;
    }

    /// Whether somebody wrote into a context while it was read: the next round sees the rest.
    pub(super) fn is_torn(&mut self, failure: &Failure) -> bool {
        let code = failure.report.code().map(|code| code.to_string());
        let is_torn = code.as_deref() == Some("coracle::image::context_changed");
        self.torn = if is_torn { self.torn + 1 } else { 0 };
        is_torn && self.torn <= TORN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_away_is_tried_again_each_few_seconds_for_as_long_as_it_takes() {
        let (mut owed, now) = (Owed::new(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..6 {
            owed.try_again(now);
            waits.push(owed.again.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 5, 5, 5]);
        assert!(owed.deploy && owed.is_trying_again());
        owed.settled();
        assert!(!owed.deploy && owed.again.is_none() && !owed.is_trying_again());
    }
}
