use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::dev::shown::State;
use crate::ui::dev::script;

/// Returns the screen as text, after so many events of the session.
fn screen(width: u16, height: u16, events: usize, view: &mut View) -> String {
    let mut board = Board::new(false);
    for (_, event) in script::session().iter().take(events) {
        board.hear(event, "2026-01-02T14:02:15.000+01:00");
    }
    drawn(width, height, &board, view)
}

fn drawn(width: u16, height: u16, board: &Board, view: &mut View) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, board, view, false)).unwrap();
    terminal.backend().to_string()
}

/// The event at which the build has failed and its report is shown.
const BROKEN: usize = 20;

#[test]
fn the_usual_terminal() {
    insta::assert_snapshot!("wide", screen(80, 24, usize::MAX, &mut View::default()));
    insta::assert_snapshot!("wide-building", screen(80, 24, 17, &mut View::default()));
    insta::assert_snapshot!("wide-broken", screen(80, 24, BROKEN, &mut View::default()));
}

#[test]
fn a_narrow_terminal() {
    insta::assert_snapshot!("narrow", screen(40, 10, usize::MAX, &mut View::default()));
    insta::assert_snapshot!("narrow-broken", screen(40, 10, BROKEN, &mut View::default()));
}

#[test]
fn questions_and_panels() {
    let footer = |mode| {
        let mut view = View { mode, ..View::default() };
        view.hidden.insert("api".to_owned());
        let screen = screen(80, 24, usize::MAX, &mut view);
        screen.lines().last().unwrap().trim_matches(['"', ' ']).to_owned()
    };
    assert_eq!(footer(Mode::Choose(Act::Rebuild)), "rebuild: 1 web  2 api  a all  esc no");
    assert_eq!(footer(Mode::Logs), "logs: 1 [x] web  2 [ ] api  a all  esc done");
    insta::assert_snapshot!("pods", screen(80, 12, usize::MAX, &mut View { mode: Mode::Pods, ..View::default() }));
}

#[test]
fn more_services_than_rows() {
    let mut board = Board::new(false);
    for number in 0..20 {
        let state = if number == 17 { State::Failing } else { State::Ready };
        board.hear(&script::service(&format!("service-{number}"), state, 1, 1, Some("exit 1")), "");
    }
    insta::assert_snapshot!("many", drawn(80, 12, &board, &mut View::default()));
}

#[test]
fn no_size_is_too_small() {
    for width in [1, 2, 3, 7, 20] {
        for height in [1, 2, 3, 4, 5] {
            for mode in [Mode::Watch, Mode::Pods, Mode::Logs] {
                screen(width, height, BROKEN, &mut View { mode, ..View::default() });
            }
        }
    }
}

#[test]
fn hidden_logs_are_not_drawn() {
    let mut view = View::default();
    view.hidden.insert("web".to_owned());
    let screen = screen(80, 24, usize::MAX, &mut view);
    assert!(!screen.contains("Running on") && screen.contains("Traceback"), "{screen}");
}

#[test]
fn texts_are_cut_and_wrapped_by_their_width() {
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abcd", 3), "ab…");
    assert_eq!(cut("日本語", 5), "日本…");
    assert_eq!(cut("日本語", 4), "日…");
    assert_eq!(cut("abc", 0), "");
    assert_eq!(wrapped("日本語x", 4), ["日本", "語x"]);
    assert_eq!(wrapped("\tx", 3), ["   ", " x"]);
    assert_eq!(wrapped("", 3), [""]);
}
