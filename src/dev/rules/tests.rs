use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> SyncRule {
    let (pattern, path) = text.split_once(" -> ").unwrap();
    SyncRule { pattern: pattern.to_owned(), path: path.into(), restart: text.contains("restart"), run: None }
}

fn rules(texts: &[&str]) -> Rules {
    Rules::of_profile(&texts.iter().map(|text| rule(text)).collect::<Vec<_>>()).unwrap()
}

fn file() -> Node {
    Node { mode: 0o644, thing: Thing::File { digest: [0; 32], size: 0 } }
}

fn folder() -> Node {
    Node { mode: 0o755, thing: Thing::Folder }
}

fn targets(rules: &Rules, path: &str) -> String {
    let landings = rules.landings(Path::new(path), &file());
    landings.iter().map(|landing| landing.target.display().to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn paths_land_where_the_pattern_says() {
    for (text, path, target) in [
        ("**/*.py -> /workspace", "x/y.py", "/workspace/x/y.py"),
        ("**/*.py -> /workspace", "y.py", "/workspace/y.py"),
        ("**/*.py -> /workspace", "y.txt", ""),
        ("src/** -> /app/src", "src/a/b", "/app/src/a/b"),
        ("src/** -> /app/src", "src", ""),
        ("src/** -> /app/src", "other/src/a", ""),
        ("./src// -> /app/", "src/a", "/app/a"),
        ("templates -> /app/templates", "templates/a/b.html", "/app/templates/a/b.html"),
        ("templates -> /app/templates", "templates", "/app/templates"),
        ("app.py -> /app", "app.py", "/app/app.py"),
        ("app.py -> /app/app.py", "app.py", "/app/app.py"),
        ("src/app.py -> /app/", "src/app.py", "/app/app.py"),
        ("src/* -> /app", "src/a/b", "/app/a/b"),
        ("src/*/x.py -> /app", "src/a/x.py", "/app/a/x.py"),
        ("* -> /app", "a/b", "/app/a/b"),
        (". -> /app", "a/b", "/app/a/b"),
        ("** -> /", "a/b", "/a/b"),
        ("a[b-c].txt -> /x", "ab.txt", "/x/ab.txt"),
    ] {
        assert_eq!(targets(&rules(&[text]), path), target, "{text} on {path}");
    }
    assert_eq!(Rules::of_profile(&[rule("[a -> /x")]).unwrap_err(), "[a");
    assert_eq!(Rules::of_profile(&[rule("!a -> /x")]).unwrap_err(), "!a");
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let name = OsStr::from_bytes(b"a/\xff\xfe\n.py");
    let landings = rules(&["**/*.py -> /w"]).landings(Path::new(name), &file());
    assert_eq!(landings[0].target.as_os_str().as_bytes(), b"/w/a/\xff\xfe\n.py");
}

#[test]
fn each_rule_leads_to_its_target_and_the_first_decides_for_one() {
    let two = rules(&["shared/** -> /a/shared", "shared/** -> /b"]);
    assert_eq!(targets(&two, "shared/x"), "/a/shared/x /b/x");
    let restart = |texts: &[&str], path: &str| match rules(texts).verdict(Path::new(path), &file()) {
        Verdict::Sync { restart, .. } => restart,
        other => panic!("{other:?}"),
    };
    let mut special = vec![rule("tests/** -> /app/tests"), rule("** -> /app")];
    special[1].restart = true;
    let special = Rules::of_profile(&special).unwrap();
    assert!(
        matches!(special.verdict(Path::new("tests/a"), &file()), Verdict::Sync { restart: false, targets } if targets.len() == 1)
    );
    assert!(matches!(special.verdict(Path::new("a"), &file()), Verdict::Sync { restart: true, .. }));
    assert!(!restart(&["** -> /app"], "a"));
}

#[test]
fn what_nothing_matches_needs_a_new_image_but_a_folder_never_does() {
    let rules = rules(&["**/*.py -> /w"]);
    assert_eq!(
        rules.verdict(Path::new("a\u{1b}[31m.txt"), &file()),
        Verdict::Rebuild { reason: format!("no `sync` rule matches `{}`", sanitize::line("a\u{1b}[31m.txt")) }
    );
    assert!(matches!(rules.verdict(Path::new("a"), &folder()), Verdict::Nothing { .. }));
    let all = super::Rules { taken: Some(vec![Sources::parse("src", &[]).unwrap()]), ..Rules::default() };
    assert!(matches!(all.verdict(Path::new("src/x.go"), &file()), Verdict::Rebuild { .. }));
    assert_eq!(
        all.verdict(Path::new("README.md"), &file()),
        Verdict::Nothing { reason: "no `COPY` takes `README.md`".into() }
    );
}

#[test]
fn triggers_come_first_and_assets_are_spared() {
    let mut rules = rules(&["** -> /w"]);
    let sources = Sources::parse("requirements.txt", &[]).unwrap();
    rules.triggers.push(Trigger { sources, why: "is used by `RUN pip`".into() });
    rules.rules[0].restart = true;
    rules.rules[0].spares_assets = true;
    let verdict = |path: &str| match rules.verdict(Path::new(path), &file()) {
        Verdict::Sync { restart, .. } => format!("sync {restart}"),
        Verdict::Rebuild { reason } | Verdict::Nothing { reason } => reason,
    };
    assert_eq!(verdict("requirements.txt"), "`requirements.txt` is used by `RUN pip`");
    assert_eq!(verdict("app.py"), "sync true");
    assert_eq!(verdict("static/app.css"), "sync false");
    assert_eq!(verdict("templates/index.html"), "sync true");
}

#[test]
fn folders_on_the_way_are_named_on_both_sides() {
    let rules = rules(&["src/** -> /app"]);
    let landing = &rules.landings(Path::new("src/a/b/c"), &file())[0];
    let way: Vec<(PathBuf, PathBuf)> = vec![("src/a/b".into(), "/app/a/b".into()), ("src/a".into(), "/app/a".into())];
    assert_eq!(rules.on_the_way(landing, Path::new("src/a/b/c")), way);
}

proptest! {
    #[test]
    fn targets_stay_below_the_rule(pattern in "(\\*\\*/|src/|\\*/)?[ab*?]{1,2}", path in "(src/)?[ab]{1,2}(/[ab]{1,2}){0,3}") {
        let rules = rules(&[&format!("{pattern} -> /app/x")]);
        for landing in rules.landings(Path::new(&path), &file()) {
            prop_assert!(landing.target.starts_with("/app/x") && landing.target != Path::new("/app/x"));
            prop_assert!(Path::new(&path).ends_with(landing.target.strip_prefix("/app/x").unwrap()));
        }
    }
}
