//! How large the terminal is.

use std::io::IsTerminal;
use std::os::fd::AsFd;

/// What is assumed where nothing is known.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Returns the size of the terminal on standard error, or the usual 80 × 24.
pub(crate) fn narration() -> Size {
    size(&std::io::stderr()).unwrap_or(USUAL)
}

/// Returns the size of the terminal on standard output; none when it is piped.
pub(crate) fn answer() -> Option<Size> {
    let stdout = std::io::stdout();
    stdout.is_terminal().then(|| size(&stdout).unwrap_or(USUAL))
}

fn size(stream: &impl AsFd) -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    // A terminal over a serial line says 0 × 0.
    (size.ws_col > 0 && size.ws_row > 0).then(|| Size { columns: size.ws_col.into(), rows: size.ws_row.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_has_no_size() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(size(&reader), None);
    }
}
