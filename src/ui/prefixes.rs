//! The services' names before their log lines. Pure.

use anstyle::{AnsiColor, Style};

const COLORS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Green, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::Red];

/// The services' names as prefixes of equal width, each in a colour of its own.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    width: usize,
    services: Vec<String>,
}

impl Prefixes {
    pub(crate) fn new(services: impl IntoIterator<Item = String>) -> Self {
        let services: Vec<String> = services.into_iter().collect();
        let width = services.iter().map(String::len).max().unwrap_or_default();
        Self { width, services }
    }

    /// Adds a service that was not known; the others keep their colours.
    pub(crate) fn learn(&mut self, service: &str) {
        if !self.services.iter().any(|known| known == service) {
            self.width = self.width.max(service.len());
            self.services.push(service.to_owned());
        }
    }

    /// Returns a service's colour; one that is not known has the first.
    pub(crate) fn color(&self, service: &str) -> AnsiColor {
        let at = self.services.iter().position(|known| known == service).unwrap_or_default();
        COLORS[at % COLORS.len()]
    }

    /// Returns `web │ text`, with its prefix coloured; what prints it drops the colour where it must.
    pub(crate) fn line(&self, service: &str, text: &str) -> String {
        let style = Style::new().fg_color(Some(self.color(service).into()));
        format!("{style}{service:width$} │{style:#} {text}", width = self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned_and_keep_their_colours() {
        let mut prefixes = Prefixes::default();
        prefixes.learn("api");
        assert_eq!(prefixes.line("api", "up"), "\u{1b}[36mapi │\u{1b}[0m up");
        prefixes.learn("worker");
        prefixes.learn("api");
        assert_eq!(prefixes.line("api", "up"), "\u{1b}[36mapi    │\u{1b}[0m up");
        assert_eq!(prefixes.line("worker", "up"), "\u{1b}[35mworker │\u{1b}[0m up");
    }
}
