//! The supervisor as a process: what it runs, what it says, how it ends, and what `serve` sees
//! of it from outside.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "the tests start the program that they test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use coracle_helper::protocol::{Answer, Frames, Kind, Refusal, Request, encode};
use coracle_helper::serve::{Finder, serve};
use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);
const ID: &str = "fedcba9876543210";

struct Supervised {
    child: Child,
    /// Lines of both streams.
    lines: Receiver<String>,
    _input: Option<ChildStdin>,
}

impl Supervised {
    fn new(flags: &[&str], script: &str) -> Self {
        Self::program(flags, &["sh", "-c", script])
    }

    fn program(flags: &[&str], program: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coracle-helper"));
        command.arg("supervise").args(flags).arg("--").args(program);
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
            });
        }
        let input = child.stdin.take().unwrap();
        Self { child, lines, _input: Some(input) }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it says something")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn code(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Asks for a restart as the node's helper does.
    fn restart(&self) -> Answer {
        let places = tempfile::tempdir().unwrap();
        let (tasks, proc) = (places.path().join("tasks").join(ID), places.path().join("proc"));
        let own = proc.join(self.child.id().to_string());
        std::fs::create_dir_all(&tasks).unwrap();
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(tasks.join("init.pid"), self.child.id().to_string()).unwrap();
        std::fs::write(own.join("cgroup"), ID).unwrap();
        let real = Path::new("/proc").join(self.child.id().to_string());
        std::os::unix::fs::symlink(real.join("fd"), own.join("fd")).unwrap();
        let finder = Finder::at(places.path().join("tasks"), proc);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (answers, output) = std::io::pipe().unwrap();
        let serving = std::thread::spawn(move || serve(reader, output, &finder).unwrap());
        writer.write_all(&encode(1, &Request::Restart { container: ID.to_owned() })).unwrap();
        let answer = answer_to(1, answers);
        drop(writer);
        serving.join().unwrap();
        answer
    }
}

fn answer_to(wanted: u32, mut answers: impl Read) -> Answer {
    let (mut frames, mut buffer) = (Frames::default(), [0; 1000]);
    loop {
        let read = answers.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "it answers before it ends");
        frames.push(&buffer[..read]);
        while let Some((number, answer)) = frames.message().unwrap() {
            if number == wanted {
                return answer;
            }
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let id = self.child.id();
        let programs = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        // Ended already, where a test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for program in programs.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let _ = rustix::process::kill_process_group(program, Signal::KILL);
        }
    }
}

#[test]
fn the_stop_signal_is_passed_on_and_the_programs_code_is_its_own() {
    let mut supervised = Supervised::new(&[], "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done");
    assert_eq!(supervised.line(), "up");
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.line(), "bye");
    assert_eq!(supervised.code(), 7);

    let mut supervised = Supervised::new(&[], "echo up; exec sleep 1000");
    assert_eq!(supervised.line(), "up");
    supervised.signal(Signal::INT);
    assert_eq!(supervised.code(), 130);
}

#[test]
fn a_program_may_have_a_stop_signal_of_its_own_and_take_others_as_it_likes() {
    let script = "trap 'echo one' USR1; trap 'echo hup' HUP; trap 'exit 3' USR2; echo up; while :; do sleep 0.01; done";
    let mut supervised = Supervised::new(&["--stop-signal", "12"], script);
    assert_eq!(supervised.line(), "up");
    supervised.signal(Signal::USR1);
    assert_eq!(supervised.line(), "one");
    supervised.signal(Signal::HUP);
    assert_eq!(supervised.line(), "hup");
    supervised.signal(Signal::USR2);
    assert_eq!(supervised.code(), 3);
}

#[test]
fn a_restart_ends_the_program_and_starts_it_again() {
    let script = "trap 'echo bye; exit 0' TERM; echo up $$; while :; do sleep 0.01; done";
    let supervised = Supervised::new(&["--stop-signal", "15", "--grace-ms", "50000"], script);
    let first = supervised.line();
    let Answer::Found(found) = supervised.restart() else { panic!() };
    assert_eq!(supervised.line(), "bye");
    let second = supervised.line();
    assert_eq!(second, format!("up {}", found.pid));
    assert_ne!(second, first);
}

#[test]
fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let script = "trap '' TERM; sleep 1000 & echo up $$ $!; while :; do sleep 0.01; done";
    let supervised = Supervised::new(&["--grace-ms", "50"], script);
    let first = supervised.line();
    assert!(matches!(supervised.restart(), Answer::Found(_)));
    assert!(supervised.line().starts_with("up "));
    for pid in first.split_whitespace().skip(1) {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} of {first}");
    }
}

#[test]
fn a_program_that_ends_is_started_again_later_each_time_and_at_once_with_a_change() {
    let flags = ["--first-pause-ms", "1", "--longest-pause-ms", "3000000"];
    let supervised = Supervised::new(&flags, "exit 4");
    let said = |pause: &str| {
        format!("coracle: the process ended with code 4; it is started again in {pause}, or with the next change")
    };
    for pause in ["1 ms", "2 ms", "4 ms", "8 ms"] {
        assert_eq!(supervised.line(), said(pause));
    }

    let flags = ["--first-pause-ms", "2000000"];
    let mut supervised = Supervised::new(&flags, "echo up >&2; kill -9 $$");
    for _ in 0..3 {
        assert_eq!(supervised.line(), "up");
        let line = supervised.line();
        assert!(line.starts_with("coracle: the process was ended by signal 9; it is started again in 30 s"), "{line}");
        assert!(matches!(supervised.restart(), Answer::Found(_)));
    }
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.code(), 137);
}

#[test]
fn a_program_that_cannot_be_started_is_said_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    let name = program.to_str().unwrap();
    let mut supervised = Supervised::program(&["--first-pause-ms", "1000000"], &[name]);
    let line = supervised.line();
    assert!(line.starts_with(&format!("coracle: exec: {name:?}: no such file or directory; ")), "{line}");
    let Answer::Refused(Refusal { kind: Kind::Other, words, .. }) = supervised.restart() else { panic!() };
    assert!(words.starts_with("the program could not be started: No such file"), "{words}");
    supervised.line();
    std::fs::write(&program, "#!/bin/sh\necho up\nsleep 1000\n").unwrap();
    let Answer::Refused(Refusal { words, .. }) = supervised.restart() else { panic!() };
    assert!(words.contains("Permission denied"), "{words}");
    assert!(supervised.line().contains(": permission denied; "));
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(matches!(supervised.restart(), Answer::Found(_)));
    assert_eq!(supervised.line(), "up");

    supervised = Supervised::program(&[], &["no-such-program-anywhere"]);
    assert!(supervised.line().contains("\"no-such-program-anywhere\": executable file not found in $PATH"));
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.code(), 127);
}

#[test]
fn orphans_are_reaped() {
    let script = "sh -c 'sleep 0.05 & echo $!'; while :; do sleep 0.01; done";
    let supervised = Supervised::new(&[], script);
    let orphan = supervised.line();
    let begin = std::time::Instant::now();
    // A zombie would stay there for as long as the supervisor lives.
    while Path::new("/proc").join(&orphan).exists() {
        assert!(begin.elapsed() < PATIENCE, "{orphan} was not reaped");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_program_finds_signals_files_and_folder_as_if_it_ran_alone() {
    let script = "grep -E '^Sig(Blk|Ign):' /proc/self/status; ls /proc/$$/fd; pwd; echo end; sleep 1000";
    let said = |supervised: Supervised| -> Vec<String> {
        std::iter::from_fn(|| Some(supervised.line()).filter(|line| line != "end")).collect()
    };
    let alone = said(Supervised::of(Command::new("sh").args(["-c", script])));
    assert_eq!(said(Supervised::new(&[], script)), alone);
}

#[test]
fn any_other_process_is_no_supervisor() {
    let child = Command::new("sleep").arg("1000").stdin(Stdio::piped()).spawn().unwrap();
    let (_, lines) = mpsc::channel();
    let mut other = Supervised { child, lines, _input: None };
    assert!(matches!(other.restart(), Answer::Refused(Refusal { kind: Kind::NotSupervised, .. })));
    assert!(other.child.try_wait().unwrap().is_none(), "and it was sent no signal");
}
