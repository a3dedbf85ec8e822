//! What the user looks at, and what their keys mean. Pure.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::dev::shown::Wish;
use crate::ui::dev::board::Board;

/// The state of the screen that is not the board's.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) mode: Mode,
    /// Services whose log is not shown.
    pub(super) hidden: BTreeSet<String>,
    /// The number of the line at the bottom; none: the newest.
    pub(super) bottom: Option<u64>,
    /// The numbers of the lines that were drawn last, newest first.
    pub(super) drawn: Vec<u64>,
    /// Whether older lines than those have no room.
    pub(super) more: bool,
    /// No keys can be read.
    pub(super) deaf: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Watch,
    /// A digit says for which service.
    Choose(Act),
    /// Digits say whose logs are shown.
    Logs,
    /// The pods are shown in place of the logs.
    Pods,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Rebuild,
    Restart,
    Open,
}

/// What a key comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// It is to be drawn again.
    Changed,
    /// All of it, as somebody else has written on the terminal.
    Repaint,
    Wish(Wish),
    Suspend,
}

impl Act {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Rebuild => "rebuild",
            Self::Restart => "restart",
            Self::Open => "open",
        }
    }

    /// Returns the services that it can be done to.
    pub(super) fn services(self, board: &Board) -> Vec<&str> {
        let can = |urls: &[String]| self != Self::Open || !urls.is_empty();
        board.services.iter().filter(|row| can(&row.shown.urls)).map(|row| row.shown.service.as_str()).collect()
    }

    fn wish(self, service: Option<&str>) -> Wish {
        let service = service.map(str::to_owned);
        match self {
            Self::Rebuild => Wish::Rebuild(service),
            Self::Restart => Wish::Restart(service),
            Self::Open => Wish::Open(service),
        }
    }
}

impl View {
    pub(super) fn key(&mut self, key: KeyEvent, board: &Board) -> Heard {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Heard::Wish(Wish::Leave),
                KeyCode::Char('z') => Heard::Suspend,
                KeyCode::Char('l') => Heard::Repaint,
                _ => Heard::Nothing,
            };
        }
        if let Some(heard) = self.scroll(key.code, board) {
            return heard;
        }
        match (self.mode, key.code) {
            (_, KeyCode::Char('q')) => Heard::Wish(Wish::Leave),
            (Mode::Choose(act), code) => self.choose(act, code, board),
            (Mode::Logs, code) => self.toggle(code, board),
            (Mode::Pods, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('s')) => self.turn(Mode::Watch),
            (Mode::Watch | Mode::Pods, KeyCode::Char(key)) => self.command(key, board),
            _ => Heard::Nothing,
        }
    }

    fn command(&mut self, key: char, board: &Board) -> Heard {
        match key {
            'r' => self.act(Act::Rebuild, board),
            'R' => self.act(Act::Restart, board),
            'o' => self.act(Act::Open, board),
            'l' => self.turn(Mode::Logs),
            's' => {
                self.mode = Mode::Pods;
                Heard::Wish(Wish::Status)
            }
            'p' => Heard::Wish(Wish::Pause),
            _ => Heard::Nothing,
        }
    }

    /// Asks for which service, where there are several.
    fn act(&mut self, act: Act, board: &Board) -> Heard {
        match act.services(board).as_slice() {
            [] => Heard::Nothing,
            [service] => Heard::Wish(act.wish(Some(service))),
            _ => self.turn(Mode::Choose(act)),
        }
    }

    fn choose(&mut self, act: Act, code: KeyCode, board: &Board) -> Heard {
        let services = act.services(board);
        match code {
            KeyCode::Char('a') if act != Act::Open => {
                self.mode = Mode::Watch;
                Heard::Wish(act.wish(None))
            }
            KeyCode::Char(digit) => match index(digit).and_then(|index| services.get(index)) {
                Some(service) => {
                    self.mode = Mode::Watch;
                    Heard::Wish(act.wish(Some(service)))
                }
                None => Heard::Nothing,
            },
            KeyCode::Esc => self.turn(Mode::Watch),
            _ => Heard::Nothing,
        }
    }

    fn toggle(&mut self, code: KeyCode, board: &Board) -> Heard {
        match code {
            KeyCode::Char('a') => self.hidden.clear(),
            KeyCode::Char('l') | KeyCode::Esc | KeyCode::Enter => self.mode = Mode::Watch,
            KeyCode::Char(digit) => {
                let Some(row) = index(digit).and_then(|index| board.services.get(index)) else { return Heard::Nothing };
                if !self.hidden.remove(&row.shown.service) {
                    self.hidden.insert(row.shown.service.clone());
                }
            }
            _ => return Heard::Nothing,
        }
        Heard::Changed
    }

    fn turn(&mut self, mode: Mode) -> Heard {
        self.mode = mode;
        Heard::Changed
    }

    /// Moves through the log: a page begins where the one before ended.
    fn scroll(&mut self, code: KeyCode, board: &Board) -> Option<Heard> {
        let newest = board.lines.next().saturating_sub(1);
        let (top, bottom) = (self.drawn.last().copied(), self.drawn.first().copied());
        let later = |by: usize| {
            let shown = |line: &&crate::ui::dev::lines::Line| self.shows(line.service.as_deref());
            let from = bottom.map_or(newest, |bottom| bottom + 1);
            board.lines.since(from).filter(shown).take(by.max(1)).last().map(|line| line.number)
        };
        self.bottom = match code {
            KeyCode::PageUp if self.more => top,
            KeyCode::Up if self.more => self.drawn.get(1).copied(),
            KeyCode::PageUp | KeyCode::Up => self.bottom,
            KeyCode::Home => Some(board.lines.since(0).next().map_or(0, |line| line.number)),
            KeyCode::PageDown if self.bottom.is_some() => later(self.drawn.len()),
            KeyCode::Down if self.bottom.is_some() => later(1),
            KeyCode::End | KeyCode::PageDown | KeyCode::Down => None,
            _ => return None,
        };
        self.bottom = self.bottom.filter(|bottom| *bottom < newest);
        Some(Heard::Changed)
    }

    /// Whether the lines of a service are shown; those of none always are.
    pub(super) fn shows(&self, service: Option<&str>) -> bool {
        service.is_none_or(|service| !self.hidden.contains(service))
    }
}

/// Returns the index that a digit from 1 to 9 means.
fn index(digit: char) -> Option<usize> {
    digit.to_digit(10)?.checked_sub(1).and_then(|index| usize::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::shown::State;
    use crate::ui::dev::script;

    fn board(services: &[&str]) -> Board {
        let mut board = Board::new(false);
        for service in services {
            board.hear(&script::service(service, State::Ready, 1, 1, None), "");
        }
        board
    }

    fn press(view: &mut View, board: &Board, key: char) -> Heard {
        view.key(KeyEvent::from(KeyCode::Char(key)), board)
    }

    #[test]
    fn one_service_is_not_asked_for() {
        let (mut view, board) = (View::default(), board(&["web"]));
        assert_eq!(press(&mut view, &board, 'r'), Heard::Wish(Wish::Rebuild(Some("web".into()))));
        assert_eq!(press(&mut view, &board, 'o'), Heard::Wish(Wish::Open(Some("web".into()))));
    }

    #[test]
    fn one_of_several_is_chosen() {
        let (mut view, board) = (View::default(), board(&["web", "api"]));
        assert_eq!(press(&mut view, &board, 'R'), Heard::Changed);
        assert_eq!(press(&mut view, &board, '3'), Heard::Nothing);
        assert_eq!(press(&mut view, &board, '0'), Heard::Nothing);
        assert_eq!(press(&mut view, &board, '2'), Heard::Wish(Wish::Restart(Some("api".into()))));
        assert_eq!(view.mode, Mode::Watch);
        press(&mut view, &board, 'r');
        assert_eq!(press(&mut view, &board, 'a'), Heard::Wish(Wish::Rebuild(None)));
        press(&mut view, &board, 'r');
        assert_eq!(view.key(KeyEvent::from(KeyCode::Esc), &board), Heard::Changed);
        assert_eq!(view.mode, Mode::Watch);
    }

    #[test]
    fn logs_are_chosen() {
        let (mut view, board) = (View::default(), board(&["web", "api"]));
        press(&mut view, &board, 'l');
        press(&mut view, &board, '1');
        assert!(!view.shows(Some("web")) && view.shows(Some("api")) && view.shows(None));
        press(&mut view, &board, '1');
        assert!(view.shows(Some("web")));
    }

    #[test]
    fn there_is_always_a_way_out() {
        let board = board(&["web", "api"]);
        for mode in [Mode::Watch, Mode::Choose(Act::Open), Mode::Logs, Mode::Pods] {
            let mut view = View { mode, ..View::default() };
            assert_eq!(press(&mut view, &board, 'q'), Heard::Wish(Wish::Leave));
            let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(view.key(interrupt, &board), Heard::Wish(Wish::Leave));
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let mut board = Board::new(false);
        (0..100).for_each(|_| board.hear(&script::log("web", "x"), ""));
        let drawn = |view: &mut View| {
            let bottom = view.bottom.unwrap_or(99);
            view.drawn = (0..10).filter_map(|back| bottom.checked_sub(back)).collect();
            view.more = view.drawn.last() != Some(&0);
        };
        let mut view = View::default();
        let press = |view: &mut View, code| {
            drawn(view);
            view.key(KeyEvent::from(code), &board);
            view.bottom
        };
        assert_eq!(press(&mut view, KeyCode::PageUp), Some(90));
        assert_eq!(press(&mut view, KeyCode::PageUp), Some(81));
        assert_eq!(press(&mut view, KeyCode::Up), Some(80));
        assert_eq!(press(&mut view, KeyCode::Down), Some(81));
        assert_eq!(press(&mut view, KeyCode::PageDown), Some(91));
        assert_eq!(press(&mut view, KeyCode::PageDown), None);
        assert_eq!(press(&mut view, KeyCode::Home), Some(0));
        assert_eq!(press(&mut view, KeyCode::PageUp), Some(0));
        assert_eq!(press(&mut view, KeyCode::End), None);
    }
}
