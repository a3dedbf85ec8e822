//! Text that is not ours, made harmless for a terminal.
//!
//! Build output, log lines, server messages and file names may hold escape sequences that
//! move the cursor, retitle the window or answer for the user, and bidirectional controls
//! that show one text and mean another. Both are removed here, with the sequence's own
//! parameters, so that no `[31m` is left behind. It does not judge visible characters.

/// Returns `text` on one line: without terminal escapes, control characters and
/// bidirectional controls. Tabs stay; each line break becomes a space.
pub(crate) fn line(text: &str) -> String {
    clean(text, ' ')
}

/// Returns several lines, each sanitised; `\r\n` becomes `\n`.
pub(crate) fn block(text: &str) -> String {
    clean(text, '\n')
}

/// Where the scan is in an escape sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC, and after the intermediate bytes that may follow it.
    Escape,
    /// In a control sequence: parameters until a final byte.
    Control,
    /// In a string (title, device control, …) until its terminator. A line break ends it
    /// too: an unterminated one must not swallow the rest of a log.
    String,
}

fn clean(text: &str, line_break: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut state = State::Text;
    for character in text.chars() {
        state = match (state, character) {
            (_, '\u{1b}') | (State::Escape, ' '..='/') => State::Escape,
            (_, '\u{9b}') | (State::Escape, '[') | (State::Control, ' '..='?') => State::Control,
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}')
            | (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
            // ESC and one more character are a whole sequence; ESC before something that
            // cannot end one is dropped alone.
            (State::Escape, '0'..='~') | (State::Control, '@'..='~') | (State::String, '\u{7}' | '\u{9c}') => {
                State::Text
            }
            (State::String, other) if !is_line_break(other) => State::String,
            (_, other) => {
                if is_line_break(other) {
                    out.push(line_break);
                } else if !is_dropped(other) {
                    out.push(other);
                }
                State::Text
            }
        };
    }
    out
}

fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\u{2028}' | '\u{2029}')
}

fn is_dropped(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_go_with_their_parameters() {
        for (raw, clean) in [
            ("plain ütf-8 → 🛶", "plain ütf-8 → 🛶"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;owned\u{7}title", "title"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}P$q\u{1b}\\dcs", "dcs"),
            ("\u{9b}31mc1 csi\u{9d}2;t\u{9c}!", "c1 csi!"),
            ("a\u{1b}(Bb\u{1b}7c", "abc"),
            ("cut \u{1b}", "cut "),
            ("cut \u{1b}[31", "cut "),
            ("\u{1b}[31\u{1b}[0mtwo", "two"),
            ("\u{1b}[3é", "é"),
            ("bell\u{7} back\u{8} nul\0 del\u{7f}", "bell back nul del"),
            ("tab\tstays", "tab\tstays"),
            ("\u{202e}gpj.exe\u{2066}\u{200f}", "gpj.exe"),
        ] {
            assert_eq!(line(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn line_breaks_stay_only_in_a_block() {
        assert_eq!(line("a\r\nb\u{2028}c"), "a b c");
        assert_eq!(block("a\r\nb\nc\u{1b}[2K"), "a\nb\nc");
        assert_eq!(block("\u{1b}]0;never ended\nnext line"), "\nnext line");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>(), junk in "[\u{1b}\u{9b}\\[\\]P;0-9a-m\u{7}\n\r\t ]{0,40}") {
            let text = format!("{junk}{text}{junk}");
            prop_assert!(line(&text).chars().all(|c| c == '\t' || !c.is_control()));
            prop_assert!(block(&text).chars().all(|c| c == '\t' || c == '\n' || !c.is_control()));
            prop_assert_eq!(line(&line(&text)), line(&text));
        }

        #[test]
        fn harmless_text_is_untouched(text in "[a-zA-Z0-9äöü .,;:/→\t\\[\\]()-]{0,60}") {
            prop_assert_eq!(line(&text), text);
        }
    }
}
