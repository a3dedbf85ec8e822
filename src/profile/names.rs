//! The small grammars that a profile's words follow: DNS labels, quantities, durations,
//! commands. Pure functions, each with what to say when a word does not fit.

use std::time::Duration;

/// The longest DNS label, in characters.
pub(crate) const LABEL_LIMIT: usize = 63;

/// Returns why a text is no DNS label, or nothing.
pub(crate) fn label_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("is empty".into());
    }
    if text.len() > LABEL_LIMIT {
        return Some(format!("is {} characters long; names have at most {LABEL_LIMIT}", text.chars().count()));
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.bytes().all(fits) {
        return Some("may only have the characters a-z, 0-9 and `-`".into());
    }
    (text.starts_with('-') || text.ends_with('-')).then(|| "begins or ends with `-`".into())
}

/// Returns why a text cannot name a Service object: a DNS label that begins with a letter.
pub(crate) fn service_fault(text: &str) -> Option<String> {
    label_fault(text)
        .or_else(|| text.starts_with(|first: char| first.is_ascii_digit()).then(|| "begins with a digit".into()))
}

/// Makes a DNS label of any text: `Über Projekt` → `ueber-projekt`. Empty where nothing is left.
pub(crate) fn dns_label(text: &str) -> String {
    let mut label = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        match transliterate(character) {
            "" if !label.is_empty() && !label.ends_with('-') => label.push('-'),
            "" => {}
            letters => label.push_str(letters),
        }
    }
    label.truncate(LABEL_LIMIT);
    label.trim_matches('-').to_owned()
}

/// Returns the legal name that is nearest to one that is not; empty where there is none.
pub(crate) fn near_label(text: &str) -> String {
    if text.len() > LABEL_LIMIT { String::new() } else { dns_label(text) }
}

/// The same for a Service, whose name begins with a letter.
pub(crate) fn near_service(text: &str) -> String {
    let near = near_label(text);
    if near.starts_with(|first: char| first.is_ascii_digit()) && near.len() + 4 <= LABEL_LIMIT {
        return format!("app-{near}");
    }
    near
}

/// Returns a lower-case character in a-z and 0-9, or nothing.
fn transliterate(character: char) -> &'static str {
    const PLAIN: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    if let Some(at) = PLAIN.find(character) {
        return &PLAIN[at..=at];
    }
    match character {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' | 'ø' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ą' | 'ă' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        // A combining mark belongs to the letter before it (macOS writes `u` + U+0308).
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | '\u{308}' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ő' => "o",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ť' | 'ţ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ž' | 'ż' => "z",
        _ => "",
    }
}

const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Checks a quantity of Kubernetes; the error is what was most likely meant.
pub(crate) fn quantity(text: &str) -> Result<(), Option<String>> {
    let split = text.find(|character: char| !(character.is_ascii_digit() || character == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let counts = number.parse::<f64>().is_ok() && !number.ends_with('.');
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|digits| digits.parse::<i8>().is_ok());
    if counts && (SUFFIXES.contains(&suffix) || exponent) {
        return Ok(());
    }
    let guess = match suffix.trim().to_lowercase().trim_end_matches("ytes").trim_end_matches('b') {
        "k" | "ki" => "Ki",
        "m" | "mi" => "Mi",
        "g" | "gi" => "Gi",
        "t" | "ti" => "Ti",
        "" => "",
        _ => return Err(None),
    };
    Err(counts.then(|| format!("{number}{guess}")))
}

/// Reads a duration: `10`, `90s`, `500ms`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok().filter(|number| *number <= 1_000_000)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        "h" => Some(Duration::from_secs(number * 3600)),
        _ => None,
    }
}

/// Returns whether a text is `1` or `25%`.
pub(crate) fn is_count_or_percent(text: &str) -> bool {
    text.strip_suffix('%').unwrap_or(text).parse::<u32>().is_ok_and(|number| number <= 1000)
}

/// Splits a command at blanks, as a shell would: quotes and backslashes count, nothing else.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Returns why a text cannot be a port's name.
pub(crate) fn port_name_fault(text: &str) -> Option<String> {
    if text.len() > 15 {
        return Some("is longer than 15 characters".into());
    }
    label_fault(text).or_else(|| {
        let letters = text.bytes().any(|byte| byte.is_ascii_lowercase());
        (!letters || text.contains("--")).then(|| "needs a letter and no `--`".into())
    })
}

/// Returns why a pair cannot be a label.
pub(crate) fn label_pair_fault(key: &str, value: &str) -> Option<String> {
    if let Some(fault) = label_key_fault(key) {
        return Some(fault);
    }
    let fault = value.len() > LABEL_LIMIT || (!value.is_empty() && !is_qualified(value));
    fault.then(|| {
        format!("the value `{value}` is no label: at most {LABEL_LIMIT} of a-z, A-Z, 0-9, `-`, `_` and `.`, the ends letters or digits")
    })
}

/// Returns why a text cannot be the key of a label or annotation.
pub(crate) fn label_key_fault(key: &str) -> Option<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefixed =
        prefix.is_none_or(|prefix| prefix.len() < 254 && prefix.split('.').all(|part| label_fault(part).is_none()));
    let fits = prefixed && name.len() <= LABEL_LIMIT && is_qualified(name);
    if !fits {
        return Some(format!("`{key}` cannot be a key here: `name` or `domain.example/name`"));
    }
    prefix.is_some_and(|prefix| prefix == "coracle.dev").then(|| format!("`{key}` is one of Coracle's own"))
}

fn is_qualified(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.bytes().all(inner) && ends(text.bytes().next()) && ends(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folders_become_labels() {
        for (folder, label) in [
            ("Über Projekt", "ueber-projekt"),
            ("u\u{308}ber", "ueber"),
            ("My_App (2)", "my-app-2"),
            ("straße", "strasse"),
            ("--x--", "x"),
            ("日本", ""),
        ] {
            assert_eq!(dns_label(folder), label, "{folder}");
        }
    }

    #[test]
    fn quantities_are_checked_and_guessed() {
        for good in ["1", "500m", "1.5", "1Gi", "1G", "1e3"] {
            assert_eq!(quantity(good), Ok(()), "{good}");
        }
        for (bad, guess) in
            [("1 GB", Some("1Gi")), ("1GB", Some("1Gi")), ("256MiB", Some("256Mi")), ("1 Gi", Some("1Gi"))]
        {
            assert_eq!(quantity(bad), Err(guess.map(str::to_owned)), "{bad}");
        }
        for bad in ["", "x", "-1", "1.", "1 apple"] {
            assert_eq!(quantity(bad), Err(None), "{bad}");
        }
    }

    #[test]
    fn durations_and_commands_are_read() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("10"), Some(Duration::from_secs(10)));
        assert_eq!(duration("soon"), None);
        assert_eq!(duration("-1s"), None);
        assert_eq!(words(r#"sh -c "a 'b' \" c" '' d\ e"#).unwrap(), ["sh", "-c", "a 'b' \" c", "", "d e"]);
        assert_eq!(words("a 'b"), None);
    }

    proptest! {
        #[test]
        fn any_text_makes_a_label_or_nothing(text in any::<String>()) {
            let label = dns_label(&text);
            prop_assert!(label.is_empty() || label_fault(&label).is_none(), "{}", label);
        }

        #[test]
        fn no_text_upsets_a_grammar(text in any::<String>()) {
            let _ = (quantity(&text), duration(&text), words(&text), label_pair_fault(&text, &text), port_name_fault(&text));
        }
    }
}
