use std::path::Path;
use std::time::Instant;

use super::*;

fn shell(script: &str) -> Command {
    Command {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: BTreeMap::new(),
        stdin: None,
        folder: None,
        deadline: Duration::from_secs(20),
    }
}

async fn run_it(command: &Command) -> Result<Output, Error> {
    run(command, &CancellationToken::new(), &mut |_| ()).await
}

/// Returns once `path` holds a process id, which is returned.
async fn process_in(path: &Path) -> rustix::process::Pid {
    loop {
        let raw = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = raw.and_then(rustix::process::Pid::from_raw) {
            return pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn dies(pid: rustix::process::Pid) -> bool {
    for _ in 0..200 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn output_code_and_lines_are_kept() {
    let mut command = shell("cat; echo \"$ADDED$HOME\"; printf 'one\\ntwo' >&2; exit 3");
    command.stdin = Some(b"fed\n".to_vec());
    command.env = [("ADDED".to_owned(), Some("x".to_owned())), ("HOME".to_owned(), None)].into();
    let mut lines = Vec::new();
    let output = run(&command, &CancellationToken::new(), &mut |line| lines.push(line.to_owned())).await.unwrap();
    assert_eq!(output.code, Some(3));
    assert_eq!(output.stdout, b"fed\nx\n");
    assert_eq!(lines, ["one", "two"]);
    let failed = Failed::new(&command, &output);
    assert!(failed.to_string().ends_with("exited with 3\none\ntwo"), "{failed}");
}

#[tokio::test]
async fn a_missing_program_is_told_with_its_mend() {
    let mut command = shell("");
    command.program = "coracle-no-such-program".to_owned();
    let error = run_it(&command).await.unwrap_err();
    assert_eq!(error.to_string(), "`coracle-no-such-program` is not on PATH");
    assert_eq!(error.help().unwrap().to_string(), "install `coracle-no-such-program`, or put its folder on PATH");
    assert_eq!(error.kind(), Kind::Absent);
}

#[test]
fn a_program_in_the_current_folder_is_refused() {
    // The tests run in the package's folder, so `.` on PATH is somebody's folder of sources.
    let here = tempfile::tempdir_in(".").unwrap();
    let program = here.path().join("fake-kind");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let relative = Path::new(".").join(here.path().file_name().unwrap());
    let error = find("fake-kind", Some(relative.to_str().unwrap())).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    let absolute = here.path().canonicalize().unwrap();
    assert!(find("fake-kind", Some(absolute.to_str().unwrap())).is_ok());
}

#[tokio::test]
async fn the_deadline_names_the_command() {
    let mut command = shell("sleep 30");
    command.deadline = Duration::from_millis(200);
    let start = Instant::now();
    let error = run_it(&command).await.unwrap_err();
    assert!(matches!(&error, Error::Deadline { command, .. } if command == "sh -c 'sleep 30'"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(4), "a polite process needs no grace");
}

#[tokio::test]
async fn cancellation_ends_grandchildren_too() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let command = shell(&format!("sleep 60 & echo $! > {}; wait", pid.display()));
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    let work = tokio::spawn(async move { run(&command, &token, &mut |_| ()).await });
    let grandchild = process_in(&pid).await;
    cancel.cancel();
    assert!(matches!(work.await.unwrap(), Err(Error::Cancelled { .. })));
    assert!(dies(grandchild).await);
}

#[tokio::test]
async fn work_that_is_dropped_leaves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let command = shell(&format!("sleep 60 & echo $! > {}; wait", pid.display()));
    let work = tokio::spawn(async move { run_it(&command).await.map(|_| ()) });
    let grandchild = process_in(&pid).await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    assert!(dies(grandchild).await);
}

#[tokio::test]
async fn who_ignores_the_polite_signal_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut command = shell(&format!("trap '' TERM; echo $$ > {}; while true; do sleep 0.1; done", pid.display()));
    command.deadline = Duration::from_millis(500);
    let start = Instant::now();
    assert!(matches!(run_it(&command).await, Err(Error::Deadline { .. })));
    assert!(start.elapsed() >= GRACE);
    assert!(dies(process_in(&pid).await).await);
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipe_does_not_hold_us() {
    let start = Instant::now();
    let output = run_it(&shell("sleep 8 & echo done")).await.unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_long_output_keeps_both_ends() {
    let mut kept = capture::Bounded::default();
    kept.push(&vec![b'a'; 300 * 1024]);
    kept.push(&vec![b'b'; 300 * 1024]);
    let text = String::from_utf8(kept.into_bytes()).unwrap();
    assert!(text.starts_with("aaa") && text.ends_with("bbb"));
    assert!(text.contains("\n… 90112 bytes left out …\n"), "{}", text.len());
}

#[test]
fn the_command_line_can_be_pasted() {
    let mut command = shell("");
    command.args = ["-f".to_owned(), "it's my file".to_owned(), String::new()].into();
    assert_eq!(command.line(), r"sh -f 'it'\''s my file' ''");
}

#[tokio::test]
async fn a_program_with_a_slash_is_of_the_commands_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("get.sh");
    std::fs::write(&path, "#!/bin/sh\necho \"$1 of $(basename \"$0\")\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command { program: "./get.sh".to_owned(), args: vec!["one".to_owned()], ..shell("") };
    assert!(matches!(run_it(&command).await, Err(Error::Missing { .. })), "this process' own folder is no place");
    command.folder = Some(folder.path().to_owned());
    assert_eq!(run_it(&command).await.unwrap().stdout, b"one of get.sh\n");
    command.program = "./other.sh".to_owned();
    let error = run_it(&command).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no program `./other.sh` in `{}`", folder.path().display()));
}

#[tokio::test]
async fn who_leaves_at_once_leaves_nobody() {
    // All that runs in this process is killed, so it happens in one of its own.
    const MARK: &str = "CORACLE_TEST_END_ALL";
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut command = shell("");
    if std::env::vars_os().any(|(name, _)| name == MARK) {
        let pid = std::env::vars_os().find(|(name, _)| name == MARK).map(|(_, path)| PathBuf::from(path)).unwrap();
        let command = shell(&format!("trap '' TERM; sleep 60 & echo $! > {}; wait", pid.display()));
        let work = tokio::spawn(async move { run_it(&command).await.map(|output| output.code) });
        let grandchild = process_in(&pid).await;
        end_all();
        assert!(dies(grandchild).await);
        assert_eq!(work.await.unwrap().unwrap(), None);
        return;
    }
    command.program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    command.args = ["--exact", "exec::tests::who_leaves_at_once_leaves_nobody"].map(str::to_owned).into();
    command.env.insert(MARK.to_owned(), Some(pid.to_string_lossy().into_owned()));
    let output = run_it(&command).await.unwrap();
    assert!(output.succeeded() && pid.exists(), "{}", String::from_utf8_lossy(&output.stdout));
}
