//! Random choices that can be repeated: the seed is printed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Small, seeded, and the same on every machine: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    /// From `CORACLE_E2E_SEED`, else the clock; printed, so that a failure can be repeated.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var_os("CORACLE_E2E_SEED").and_then(|seed| seed.to_str()?.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            u64::from(now.subsec_nanos())
        });
        eprintln!("CORACLE_E2E_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("usize is at most 64 bits");
        usize::try_from(self.next() % limit).expect("it is below a usize")
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Shorter than `limit`, in whole milliseconds.
    pub(crate) fn shorter_than(&mut self, limit: Duration) -> Duration {
        let milliseconds = usize::try_from(limit.as_millis()).expect("limits are short");
        Duration::from_millis(u64::try_from(self.below(milliseconds)).expect("limits are short"))
    }

    pub(crate) fn choice<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() {
            return None;
        }
        let index = self.below(all.len());
        all.get(index)
    }

    /// Bytes that no compression makes smaller.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
