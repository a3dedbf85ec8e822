//! Durations as people type them: `90s`, `5m`, `1h30m`. Pure.

use std::time::Duration;

/// Returns the duration; the error says what one looks like.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like `90s`, `5m` or `1h30m`");
    if !text.is_empty() && text.chars().all(|character| character.is_ascii_digit()) {
        return Err(format!("`{text}` has no unit; did you mean `{text}s`?"));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    // Each unit comes once, the larger before the smaller.
    let mut units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)].into_iter();
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let (count, after) = rest.split_at(digits);
        let letters = after.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, milliseconds) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let part = count.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        let cases = [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1m500ms", 60_500),
            ("0s", 0),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_what_one_looks_like() {
        for text in
            ["", "s", "5x", "1.5h", "-5s", "30m1h", "5m5m", "5 m", "99999999999999999999s", "18446744073709551615d"]
        {
            let error = parse(text).unwrap_err();
            assert_eq!(error, format!("`{text}` is no duration; write it like `90s`, `5m` or `1h30m`"));
        }
        assert_eq!(parse("90"), Err("`90` has no unit; did you mean `90s`?".to_owned()));
    }
}
