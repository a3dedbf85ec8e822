//! What reaches standard output and standard error as text.
//!
//! The answer (a table, a plan, JSON) is standard output's alone; narration is standard
//! error's. Both go through `anstream`, which drops colour where nobody can see it. A
//! reader that went away (`coracle logs | head`) is no failure.

use std::io::{self, ErrorKind, Write};

/// Turns colour off for good (`--no-color`); otherwise the terminal and `NO_COLOR` decide.
pub(crate) fn choose_color(no_color: bool) {
    if no_color {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Returns whether standard error shows colour.
pub(crate) fn narrates_in_color() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Returns whether standard output shows colour.
pub(crate) fn answers_in_color() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Returns texts as lines, each with its line break.
pub(crate) fn lines<T: std::fmt::Display>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().fold(String::new(), |all, text| all + &text.to_string() + "\n")
}

/// Writes the answer, with a line break at its end, to standard output.
/// Returns whether anybody still reads: false once the reader has gone, which whoever follows a log ends at.
pub(crate) fn print(text: &str) -> io::Result<bool> {
    write(&mut anstream::stdout().lock(), text)
}

/// Writes narration, with a line break at its end, to standard error.
/// Where that fails there is nowhere left to say so.
pub(crate) fn narrate(text: &str) {
    drop(write(&mut anstream::stderr().lock(), text));
}

fn write(stream: &mut impl Write, text: &str) -> io::Result<bool> {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let result = write!(stream, "{text}{end}").and_then(|()| stream.flush());
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_one_line_break() {
        for (text, written) in [("url", "url\n"), ("a\nb\n", "a\nb\n"), ("", "")] {
            let mut stream = Vec::new();
            assert!(write(&mut stream, text).unwrap());
            assert_eq!(String::from_utf8(stream).unwrap(), written);
        }
    }

    #[test]
    fn a_reader_that_went_away_is_quiet() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert!(!write(&mut writer, "late").unwrap());
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write(&mut full, "answer").unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
