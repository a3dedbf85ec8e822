use std::io;

use tokio::process::Child;
use tokio_util::io::ReaderStream;

use super::*;

/// Starts the loop in a shell of this machine, with pipes as an engine gives them.
fn start(program: &str) -> (Shell, Child) {
    #[expect(clippy::disallowed_methods, reason = "the shell's pipes themselves are what is tested")]
    let mut command = tokio::process::Command::new(program);
    let pipe = std::process::Stdio::piped;
    let mut child =
        command.args(["-c", LOOP]).stdin(pipe()).stdout(pipe()).stderr(pipe()).kill_on_drop(true).spawn().unwrap();
    let words = |error: io::Error| error.to_string();
    let out = ReaderStream::new(child.stdout.take().unwrap())
        .map(move |item| item.map(|message| LogOutput::StdOut { message }).map_err(words));
    let err = ReaderStream::new(child.stderr.take().unwrap())
        .map(move |item| item.map(|message| LogOutput::StdErr { message }).map_err(words));
    let output = futures_util::stream::select(out, err);
    (Shell::new(Box::pin(child.stdin.take().unwrap()), Box::pin(output)), child)
}

/// Dash is what nodes have; the loop must not depend on it.
fn shells() -> impl Iterator<Item = (Shell, Child)> {
    let found = ["sh", "dash", "bash"].into_iter().filter(|name| which::which(name).is_ok());
    found.map(start)
}

fn ran(code: i64, out: &str, words: &str) -> Ran {
    Ran { code, out: out.as_bytes().to_vec(), words: words.to_owned() }
}

#[tokio::test]
async fn every_command_has_its_own_output_and_code() {
    for (mut shell, _child) in shells() {
        assert_eq!(shell.run("echo one").await.unwrap(), ran(0, "one\n", ""));
        assert_eq!(shell.run("printf 'no newline'").await.unwrap(), ran(0, "no newline", ""));
        assert_eq!(shell.run("true").await.unwrap(), ran(0, "", ""));
        assert_eq!(shell.run("echo why >&2; echo what; false").await.unwrap(), ran(1, "what\n", "why\n"));
        assert_eq!(shell.run("cd /\nprintf '%s' \"$PWD\"\nexit 7").await.unwrap(), ran(7, "/", ""));
        // What a script does to itself, it does not do to the next.
        assert_eq!(shell.run("kill -9 $(sh -c 'echo $PPID')").await.unwrap().code, 137);
        let broken = shell.run("if true; then (").await.unwrap();
        assert!(broken.code != 0 && !broken.words.is_empty(), "{broken:?}");
        assert_eq!(shell.run(r"printf '%s' 'a\nb  c'").await.unwrap(), ran(0, r"a\nb  c", ""));
        let much = shell.run("head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2").await.unwrap();
        assert_eq!((much.out.len(), much.words.len()), (3_000_000, 16 * 1024 - 39), "{}", much.words.len());
    }
}

async fn give(shell: &mut Shell, script: &str, size: u64, pieces: Vec<Result<Bytes, String>>) -> Result<Ran, Broken> {
    let (sender, feed) = mpsc::channel(64);
    for piece in pieces {
        sender.send(piece).await.unwrap();
    }
    drop(sender);
    shell.feed(script, size, feed).await
}

#[tokio::test]
async fn a_command_gets_what_it_is_fed_and_the_next_one_nothing_of_it() {
    for (mut shell, _child) in shells() {
        let pieces: Vec<_> = (0..8).map(|_| Ok(Bytes::from(vec![b'\n'; 100_000]))).collect();
        let taken = give(&mut shell, "head -c 800000 | wc -c | tr -d ' '", 800_000, pieces.clone()).await.unwrap();
        assert_eq!(taken, ran(0, "800000\n", ""));
        assert_eq!(shell.run("echo next").await.unwrap(), ran(0, "next\n", ""));
        // One that fails before it has read all: the rest is still taken.
        let early = "head -c 800000 | { head -c 10 >/dev/null; c=5; cat >/dev/null; exit $c; } || exit 92";
        assert_eq!(give(&mut shell, early, 800_000, pieces).await.unwrap(), ran(92, "", ""));
        assert_eq!(shell.run("echo next").await.unwrap(), ran(0, "next\n", ""));
    }
}

#[tokio::test]
async fn a_feed_that_ends_early_or_late_is_told() {
    let piece = || vec![Ok(Bytes::from_static(b"ten bytes!"))];
    let (mut shell, _child) = start("sh");
    assert!(matches!(give(&mut shell, "head -c 20", 20, piece()).await, Err(Broken::Cut(_))));
    let (mut shell, _child) = start("sh");
    assert!(matches!(give(&mut shell, "head -c 5", 5, piece()).await, Err(Broken::Cut(_))));
    let (mut shell, _child) = start("sh");
    let cut = give(&mut shell, "head -c 20", 20, vec![Err("the layer is gone".to_owned())]).await;
    assert!(matches!(cut, Err(Broken::Cut(words)) if words == "the layer is gone"));
}

#[tokio::test]
async fn a_dead_shell_is_noticed() {
    for (mut shell, mut child) in shells() {
        shell.run("true").await.unwrap();
        child.kill().await.unwrap();
        assert!(matches!(shell.run("echo one").await, Err(Broken::Dead { said: false, .. })));
    }
    for (mut shell, _child) in shells() {
        let killed = shell.run("echo half; kill -9 $$; sleep 1").await;
        assert!(matches!(killed, Err(Broken::Dead { said: true, .. })), "{killed:?}");
    }
}

#[tokio::test]
async fn the_shell_ends_with_its_input() {
    for (shell, mut child) in shells() {
        drop(shell);
        assert!(child.wait().await.unwrap().success());
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_nothing_is_given_up() {
    let (_reads_nothing, ours) = tokio::io::duplex(64);
    let mut shell = Shell::new(Box::pin(ours), Box::pin(futures_util::stream::pending()));
    let given = give(&mut shell, "cat", 1000, vec![Ok(Bytes::from(vec![0; 1000]))]);
    let given = tokio::time::timeout(STALLED * 2, given).await;
    // The head alone fills the pipe.
    assert!(given.is_err() || matches!(given, Ok(Err(Broken::Silent(_)))));
}

#[test]
fn a_message_names_the_command_not_the_script() {
    assert_eq!(summary(super::super::inventory::SCRIPT), "ctr snapshots ls");
    assert_eq!(
        summary("head -c 5 | { ctr --namespace=k8s.io images import -; }"),
        "ctr --namespace=k8s.io images import -"
    );
    assert_eq!(summary("date"), "date");
}
