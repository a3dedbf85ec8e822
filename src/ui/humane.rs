//! Durations, ages and sizes as people say them. Pure.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// Returns how long something took: `40ms`, `3.1s`, `31s`, `2m10s`, `1h05m`, `5d3h`.
pub(crate) fn duration(took: Duration) -> String {
    let milliseconds = took.as_millis();
    let tenths = (milliseconds + 50) / 100;
    if milliseconds < 95 {
        format!("{milliseconds}ms")
    } else if tenths < 100 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        clock(Duration::from_secs(rounded_seconds(took)))
    }
}

/// Returns a time that is still running, in whole units, so that it does not flicker: `0s`, `31s`, `2m10s`.
pub(crate) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h{:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{}d{}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// Returns how old something is, in its largest unit, as `kubectl get` does: `45s`, `12m`, `3h`, `5d`, `2y`.
pub(crate) fn age(old: Duration) -> String {
    let seconds = old.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7200 => (seconds / MINUTE, "m"),
        7200..172_800 => (seconds / HOUR, "h"),
        _ if seconds < 2 * YEAR => (seconds / DAY, "d"),
        _ => (seconds / YEAR, "y"),
    };
    format!("{count}{unit}")
}

/// Returns a size in decimal units: `512 B`, `12.4 MB`, `1.0 GB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut divisor = 1000_u128;
    let mut units = UNITS.iter().peekable();
    loop {
        let unit = units.next().expect("the last unit returns");
        let tenths = (u128::from(count) * 10 + divisor / 2) / divisor;
        // The next unit begins where rounding would show 1000.0.
        if tenths < 10_000 || units.peek().is_none() {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        divisor *= 1000;
    }
}

fn rounded_seconds(took: Duration) -> u64 {
    took.as_secs() + u64::from(took.subsec_millis() >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            (0, "0ms"),
            (94, "94ms"),
            (95, "0.1s"),
            (3_123, "3.1s"),
            (9_949, "9.9s"),
            (9_950, "10s"),
            (59_499, "59s"),
            (59_500, "1m00s"),
            (130_000, "2m10s"),
            (3_900_000, "1h05m"),
            (442_800_000, "5d3h"),
        ];
        for (milliseconds, said) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), said);
        }
        assert_eq!(clock(Duration::from_millis(900)), "0s");
        assert_eq!(clock(Duration::from_millis(59_999)), "59s");
    }

    #[test]
    fn ages() {
        let cases =
            [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d"), (432_000, "5d"), (63_072_000, "2y")];
        for (seconds, said) in cases {
            assert_eq!(age(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (12_400_000, "12.4 MB"),
            (999_949, "999.9 kB"),
            (999_960, "1.0 MB"),
            (1_000_000_000, "1.0 GB"),
            (5_500_000_000_000_000, "5500.0 TB"),
            (u64::MAX, "18446744.1 TB"),
        ];
        for (count, said) in cases {
            assert_eq!(bytes(count), said);
        }
    }
}
