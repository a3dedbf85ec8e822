//! Figures, by hand: `cargo test --release -- --ignored --nocapture dev::watch::tests::measure`.

use super::*;

fn project(files: usize) -> Vec<(String, String)> {
    let file = |at: usize| (format!("src/{}/{}/file{at}.py", at % 40, at % 25), format!("print({at})\n").repeat(20));
    let all = (0..files)
        .map(file)
        .chain([("Dockerfile".to_owned(), String::new()), (".dockerignore".to_owned(), ".git\n".to_owned())]);
    all.collect()
}

fn bench(files: usize) -> Bench {
    let files = project(files);
    let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    Bench::with(&files, &[], Limits::default())
}

fn ticks(of: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/self/{of}")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[ignore = "figures"]
fn from_close_to_seen() {
    let mut bench = bench(12_000);
    let mut took = Vec::new();
    for round in 0..200 {
        while bench.step(Duration::from_millis(20)) {}
        let path = bench.at(&format!("src/{}/{}/file{round}.py", round % 40, round % 25));
        fs::write(&path, format!("{round}")).unwrap();
        let began = Instant::now();
        let seen = bench.recv(DEADLINE).unwrap();
        let seen_after = began.elapsed();
        let Seen::Context { hints, .. } = seen else { panic!("{seen:?}") };
        let began = Instant::now();
        let scanned = bench.scanner.scan(&hints).unwrap();
        took.push((seen_after, began.elapsed()));
        assert_eq!(scanned.found.len(), 1);
    }
    let mut seen: Vec<_> = took.iter().map(|took| took.0).collect();
    let mut scanned: Vec<_> = took.iter().map(|took| took.1).collect();
    seen.sort();
    scanned.sort();
    println!("close → seen: p50 {:?}, p90 {:?}, most {:?}", seen[100], seen[180], seen[199]);
    println!("scan of one file: p50 {:?}, p90 {:?}, most {:?}", scanned[100], scanned[180], scanned[199]);
}

#[test]
#[ignore = "figures"]
fn idle() {
    let began = Instant::now();
    let bench = bench(12_000);
    println!("made, watched and scanned in {:?}", began.elapsed());
    let before = ticks("stat");
    std::thread::sleep(Duration::from_secs(20));
    println!("idle for 20 s: {} ms of CPU", (ticks("stat") - before) * 10);
    drop(bench);
}

#[test]
#[ignore = "figures"]
#[expect(clippy::disallowed_methods, reason = "a real git makes the storm")]
fn checkouts() {
    for files in [1_000, 10_000] {
        let mut bench = bench(files);
        let root = bench.root.clone();
        let git = |arguments: &[&str]| {
            let mut command = std::process::Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"]).arg(&root).args(arguments);
            assert!(command.output().unwrap().status.success());
        };
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-qm", "one"]);
        for (path, content) in project(files).iter().filter(|(path, _)| path.starts_with("src")) {
            fs::write(root.join(path), format!("{content}# two\n")).unwrap();
        }
        git(&["commit", "-qam", "two"]);
        bench.settle();
        while bench.step(Duration::from_millis(600)) {}
        let scan_began = Instant::now();
        bench.scanner.scan(&Hints::All).unwrap();
        println!("{files} files: a scan of all that reads nothing {:?}", scan_began.elapsed());
        for (to, round) in ["HEAD~1", "-"].iter().cycle().zip(0..4) {
            let ended = std::thread::scope(|scope| {
                let git = scope.spawn(|| {
                    git(&["checkout", "-q", to]);
                    Instant::now()
                });
                while !git.is_finished() {
                    bench.step(Duration::from_millis(1));
                }
                git.join().unwrap()
            });
            let (mut messages, mut last) = (0, Instant::now());
            while bench.step(Duration::from_millis(600)) {
                (messages, last) = (messages + 1, Instant::now());
            }
            assert_eq!(bench.disk().unwrap(), bench.tree);
            println!(
                "{files} files, checkout {round}: complete {:?} after its end, {messages} messages",
                last.saturating_duration_since(ended)
            );
        }
        let paths = bench.tree.keys().filter(|path| bench.root.join(path).is_file()).take(1000).cloned().collect();
        for path in &paths {
            fs::write(root.join(path), "again").unwrap();
        }
        let began = Instant::now();
        bench.scanner.scan(&Hints::Paths(paths)).unwrap();
        println!("a scan of 1000 changed files: {:?}", began.elapsed());
    }
}
