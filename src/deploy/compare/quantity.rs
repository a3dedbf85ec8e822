//! Quantities of Kubernetes: `500m`, `1Gi`, `0.5`, `1e3`.

use serde_json::Value;

/// Returns a quantity in billionths; `None` for what is none.
pub(in crate::deploy) fn parse(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse_text(text.trim()),
        Value::Number(number) => parse_text(&number.to_string()),
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let negative = number.starts_with('-');
    let digits = number.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Nine places are as fine as a quantity gets.
    let fraction: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let billionths = whole.checked_mul(1_000_000_000)?.checked_add(fraction)?;
    let scaled = scale(billionths, suffix)?;
    Some(if negative { -scaled } else { scaled })
}

fn scale(billionths: i128, suffix: &str) -> Option<i128> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(power) = (1_u32..).zip(binary).find_map(|(power, unit)| (unit == suffix).then_some(power)) {
        return billionths.checked_mul(1024_i128.checked_pow(power)?);
    }
    let exponent = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    let factor = 10_i128.checked_pow(i32::unsigned_abs(exponent))?;
    if exponent < 0 { Some(billionths / factor) } else { billionths.checked_mul(factor) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_quantities_are_equal_however_written() {
        for (one, other) in [
            (json!("1024Mi"), json!("1Gi")),
            (json!("1000m"), json!("1")),
            (json!("0.5"), json!("500m")),
            (json!(2), json!("2")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("1e3"), json!("1k")),
            (json!("1E"), json!("1e18")),
            (json!("-1"), json!("-1000m")),
        ] {
            assert!(parse(&one).is_some(), "{one}");
            assert_eq!(parse(&one), parse(&other), "{one} {other}");
        }
    }

    #[test]
    fn others_are_not() {
        assert_ne!(parse(&json!("1G")), parse(&json!("1Gi")));
        assert!(parse(&json!("1Gi")) > parse(&json!("1G")));
        for text in ["", "Gi", "1 Gi", "1x", "1e", "é"] {
            assert_eq!(parse(&json!(text)), None, "{text}");
        }
    }
}
