use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dev::rules::Rules;
use crate::dev::tree::{Node, Thing, Tree};
use crate::profile::SyncRule;

fn node(content: u8) -> Node {
    Node { mode: 0o644, thing: Thing::File { digest: [content; 32], size: u64::from(content) } }
}

fn tree(files: &[(&str, u8)]) -> Tree {
    files.iter().map(|(path, content)| (PathBuf::from(path), node(*content))).collect()
}

/// A machine with one service `web`, and what it did as text.
/// An image's name and the files in it.
type Image<'a> = (&'a str, &'a [(&'a str, u8)]);

struct Play {
    machine: Machine,
    held: Tree,
    text: String,
}

impl Play {
    fn new(restart: bool, files: &[(&str, u8)]) -> Self {
        let rule = SyncRule { pattern: "**/*.py".into(), path: "/app".into(), restart, run: None };
        let rules = Rules::of_profile(&[rule]).unwrap();
        let spec = Spec { rules, supervised: true, recipes: BTreeSet::new(), inputs: String::new() };
        let built = Built { image: "web:1".into(), tree: Arc::new(tree(files)), inputs: String::new() };
        let machine = Machine::new([("web".to_owned(), (spec, built))].into(), Duration::ZERO);
        let mut play = Self { machine, held: tree(files), text: String::new() };
        play.take(0, Input::Tick);
        play.wait(15);
        play.found(20, "", files);
        play.containers(30, "c1", "web:1");
        play.text.clear();
        play
    }

    fn containers(&mut self, at: u64, id: &str, image: &str) {
        let is = Container { id: id.into(), pod: "web-1".into(), node: "n".into(), image: image.into() };
        self.take(at, Input::Containers { service: "web".into(), running: vec![is], wanted: 1 });
        let held =
            self.held.iter().map(|(path, node)| (PathBuf::from("/app").join(path), Some(node.clone()))).collect();
        self.take(at, Input::Looked { container: id.into(), result: Ok(held) });
    }

    fn take(&mut self, at: u64, input: Input) {
        for effect in self.machine.take(Duration::from_millis(at), input) {
            let said = match effect {
                Effect::Send { batch, ops, .. } => {
                    format!("send {batch}: {}", ops.iter().map(op).collect::<Vec<_>>().join(", "))
                }
                Effect::Look { targets, .. } => format!("look at {targets:?}"),
                Effect::Scan { hints, .. } => format!("scan {hints:?}"),
                Effect::Restart { container, .. } => format!("restart {container}"),
                Effect::Tell(told) => format!("tell {told:?}"),
                other => format!("{other:?}"),
            };
            let _written = writeln!(self.text, "{at:>5} {said}");
        }
    }

    fn hint(&mut self, at: u64, paths: &[&str]) {
        let hints = Hints::Paths(paths.iter().map(PathBuf::from).collect());
        self.take(at, Input::Hinted { service: "web".into(), hints });
    }

    fn found(&mut self, at: u64, root: &str, files: &[(&str, u8)]) {
        let found = vec![Found { root: root.into(), entries: tree(files) }];
        self.take(at, Input::Scanned { service: "web".into(), found, torn: BTreeSet::new() });
    }

    fn sent(&mut self, at: u64, batch: u64, result: Result<(), Fault>) {
        self.take(at, Input::Sent { container: "c1".into(), batch, result });
    }

    fn converged(&mut self, at: u64, result: Result<Image<'_>, &str>) {
        let (mut built, specs) = (BTreeMap::new(), BTreeMap::new());
        let result = result.map_err(|why| Some(why.to_owned())).map(|(image, files)| {
            let image = Built { image: image.into(), tree: Arc::new(tree(files)), inputs: String::new() };
            built.insert("web".to_owned(), image);
        });
        self.take(at, Input::Converged { built, specs, result });
    }

    /// Ticks whenever the machine asks for it, until `at`.
    fn wait(&mut self, at: u64) {
        while let Some(wake) = self.machine.wake().filter(|wake| *wake <= Duration::from_millis(at)) {
            self.take(u64::try_from(wake.as_millis()).unwrap(), Input::Tick);
        }
    }
}

fn op(op: &Op) -> String {
    match op {
        Op::Put { target, .. } => format!("put {}", target.display()),
        Op::Remove { target } => format!("remove {}", target.display()),
    }
}

#[test]
fn a_saved_file_is_scanned_and_sent_at_once() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.hint(1000, &["a.py"]);
    play.found(1001, "a.py", &[("a.py", 2)]);
    // Meanwhile, again.
    play.hint(1001, &["a.py"]);
    play.found(1002, "a.py", &[("a.py", 3)]);
    play.sent(1003, 1, Ok(()));
    play.sent(1004, 2, Ok(()));
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.py"})
    1001 send 1: put /app/a.py
    1001 scan Paths({"a.py"})
    1003 send 2: put /app/a.py
    1004 tell Updated { service: "web", how: Sync, paths: ["a.py"], files: 1, took: 4ms, replicas: (1, 1) }
    "#);
}

#[test]
fn a_touch_does_nothing() {
    let mut play = Play::new(true, &[("a.py", 1)]);
    play.hint(1000, &["a.py", ".a.py.swp"]);
    play.found(1001, "a.py", &[("a.py", 1)]);
    play.wait(9000);
    insta::assert_snapshot!(play.text, @r#"
     1000 scan Paths({".a.py.swp", "a.py"})
    "#);
}

#[test]
fn a_restart_waits_for_rest_and_comes_once() {
    let mut play = Play::new(true, &[("a.py", 1)]);
    play.hint(1000, &["a.py"]);
    play.found(1001, "a.py", &[("a.py", 2)]);
    play.sent(1003, 1, Ok(()));
    play.hint(1050, &["b.py"]);
    play.found(1051, "b.py", &[("b.py", 2)]);
    play.sent(1052, 2, Ok(()));
    play.wait(2000);
    play.take(1200, Input::Restarted { container: "c1".into(), result: Ok(()) });
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.py"})
    1001 send 1: put /app/a.py
    1050 scan Paths({"b.py"})
    1051 send 2: put /app/b.py
    1151 restart c1
    1200 tell Updated { service: "web", how: Restart, paths: ["a.py", "b.py"], files: 2, took: 200ms, replicas: (1, 1) }
    "#);
}

#[test]
fn what_no_rule_carries_is_built_and_a_newer_change_overtakes() {
    let mut play = Play::new(false, &[("a.txt", 1)]);
    play.hint(1000, &["a.txt"]);
    play.found(1001, "a.txt", &[("a.txt", 2)]);
    play.wait(2000);
    play.hint(2000, &["a.txt"]);
    play.found(2001, "a.txt", &[("a.txt", 3)]);
    play.wait(3000);
    play.converged(3000, Err("cancelled"));
    play.wait(3000);
    play.converged(4000, Ok(("web:2", &[("a.txt", 3)])));
    play.wait(9000);
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.txt"})
    1101 tell Began { service: "web", how: Rebuild, reason: "no `sync` rule matches `a.txt`" }
    1101 Converge { rebuild: {"web": "no `sync` rule matches `a.txt`"} }
    2000 scan Paths({"a.txt"})
    2101 CancelConverge
    3000 tell Began { service: "web", how: Rebuild, reason: "no `sync` rule matches `a.txt`" }
    3000 Converge { rebuild: {"web": "no `sync` rule matches `a.txt`"} }
    4000 tell Updated { service: "web", how: Rebuild, paths: ["a.txt"], files: 1, took: 1.999s, replicas: (1, 1) }
    4000 tell InSync { service: "web", replicas: (0, 1) }
    "#);
}

#[test]
fn a_failed_build_waits_for_the_next_change_and_what_is_taken_back_needs_none() {
    let mut play = Play::new(false, &[("a.txt", 1)]);
    play.hint(1000, &["a.txt"]);
    play.found(1001, "a.txt", &[("a.txt", 2)]);
    play.wait(2000);
    play.converged(2000, Err("exit 1"));
    play.wait(9000);
    play.hint(9000, &["a.txt"]);
    play.found(9001, "a.txt", &[("a.txt", 1)]);
    play.wait(20_000);
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.txt"})
    1101 tell Began { service: "web", how: Rebuild, reason: "no `sync` rule matches `a.txt`" }
    1101 Converge { rebuild: {"web": "no `sync` rule matches `a.txt`"} }
    2000 tell Behind { service: "web", reason: Some("exit 1") }
    9000 scan Paths({"a.txt"})
    9001 tell Behind { service: "web", reason: None }
    "#);
}

#[test]
fn a_build_that_feeds_itself_is_stopped() {
    let mut play = Play::new(false, &[("a.txt", 1)]);
    play.hint(1000, &["a.txt"]);
    play.found(1001, "a.txt", &[("a.txt", 2)]);
    for round in 0..3_u8 {
        let at = 2000 * (u64::from(round) + 1);
        play.wait(at);
        play.converged(at, Ok(("web:2", &[("a.txt", 2), ("out.bin", round)])));
        play.found(at + 10, "out.bin", &[("out.bin", round)]);
        play.wait(at + 499);
        play.hint(at + 500, &["out.bin"]);
        play.found(at + 501, "out.bin", &[("out.bin", round + 1)]);
    }
    play.wait(60_000);
    assert_eq!(play.text.matches("Converge {").count(), 3, "{}", play.text);
    assert!(play.text.contains("each build changes `out.bin` in its own context"), "{}", play.text);
    play.take(60_000, Input::Rebuild { service: None });
    assert_eq!(play.text.matches("Converge {").count(), 4);
}

#[test]
fn what_is_refused_is_built_once() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.hint(1000, &["a.py"]);
    play.found(1001, "a.py", &[("a.py", 2)]);
    play.sent(1003, 1, Err(Fault::Refused("`/app` is read-only".into())));
    play.wait(3000);
    play.converged(3000, Ok(("web:2", &[("a.py", 2)])));
    // The new one is not as its image should be, and takes nothing either.
    play.containers(3010, "c2", "web:2");
    play.take(3020, Input::Sent { container: "c2".into(), batch: 3, result: Err(Fault::Refused("read-only".into())) });
    play.wait(60_000);
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.py"})
    1001 send 1: put /app/a.py
    1003 tell InSync { service: "web", replicas: (0, 1) }
    1101 tell Began { service: "web", how: Rebuild, reason: "`web-1` does not take the change: `/app` is read-only" }
    1101 Converge { rebuild: {"web": "`web-1` does not take the change: `/app` is read-only"} }
    3000 tell Updated { service: "web", how: Rebuild, paths: [], files: 0, took: 1.997s, replicas: (1, 1) }
    3000 send 2: put /app/a.py
    3010 look at ["/app/a.py"]
    3010 send 3: put /app/a.py
    3020 tell Warning { service: "web", text: "`web-1` cannot be kept in sync, and a new image does not help: read-only" }
    "#);
}

#[test]
fn a_way_that_broke_is_looked_at_again() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.hint(1000, &["a.py"]);
    play.found(1001, "a.py", &[("a.py", 2)]);
    play.sent(1003, 1, Err(Fault::Cut("broken pipe".into())));
    play.wait(1500);
    play.take(1500, Input::Looked { container: "c1".into(), result: Ok([("/app/a.py".into(), Some(node(2)))].into()) });
    insta::assert_snapshot!(play.text, @r#"
    1000 scan Paths({"a.py"})
    1001 send 1: put /app/a.py
    1053 look at ["/app/a.py"]
    1500 tell Updated { service: "web", how: Sync, paths: ["a.py"], files: 1, took: 500ms, replicas: (1, 1) }
    "#);
}

#[test]
fn paused_nothing_happens_and_then_all_of_it() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.take(1000, Input::Pause(true));
    play.hint(1001, &["a.py"]);
    play.wait(5000);
    assert_eq!(play.text, "");
    play.take(5000, Input::Pause(false));
    insta::assert_snapshot!(play.text, @r#"
     5000 scan Paths({"a.py"})
    "#);
}

#[test]
fn modes_that_the_build_gave_are_kept() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.held.get_mut(std::path::Path::new("a.py")).unwrap().mode = 0o755;
    play.containers(900, "c1", "web:1");
    play.containers(901, "c3", "web:1");
    assert!(!play.text.contains("send"), "{}", play.text);
    play.hint(1000, &["a.py"]);
    let found = vec![Found { root: "a.py".into(), entries: tree(&[("a.py", 2)]) }];
    let input = Input::Scanned { service: "web".into(), found, torn: BTreeSet::new() };
    let effects = play.machine.take(Duration::from_millis(1001), input);
    assert!(
        matches!(&effects[0], Effect::Send { ops, .. } if matches!(&ops[0], Op::Put { node, .. } if node.mode == 0o755))
    );
}

#[test]
fn a_round_that_was_cut_short_is_deployed_again_though_nothing_is_to_be_built() {
    let mut play = Play::new(false, &[("a.py", 1), ("a.txt", 1)]);
    play.hint(1000, &["a.txt"]);
    play.found(1001, "a.txt", &[("a.txt", 2)]);
    play.wait(1200);
    // Taken back while it is built.
    play.take(1300, Input::Rebuild { service: Some("web".into()) });
    play.text.clear();
    play.hint(1400, &["a.txt"]);
    play.found(1401, "a.txt", &[("a.txt", 1)]);
    play.converged(1500, Err("a newer change came"));
    assert!(play.text.contains("Converge"), "{}", play.text);
}

#[test]
fn what_failed_for_want_of_the_engine_is_tried_again() {
    let mut play = Play::new(false, &[("a.py", 1), ("a.txt", 1)]);
    play.hint(1000, &["a.txt"]);
    play.found(1001, "a.txt", &[("a.txt", 2)]);
    play.wait(1200);
    play.converged(1300, Err("the engine does not answer"));
    play.wait(5000);
    play.text.clear();
    play.take(6000, Input::Retry);
    assert!(play.text.contains("Converge"), "{}", play.text);
}

#[test]
fn what_a_build_read_of_its_inputs_is_not_built_again() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.take(1000, Input::Rebuild { service: None });
    let mut spec = play.machine.services["web"].spec.clone();
    spec.inputs = "another Dockerfile".into();
    let image = Built { image: "web:2".into(), tree: Arc::new(tree(&[("a.py", 1)])), inputs: spec.inputs.clone() };
    play.text.clear();
    let (built, specs) = ([("web".to_owned(), image)].into(), [("web".to_owned(), spec)].into());
    play.take(2000, Input::Converged { built, specs, result: Ok(()) });
    play.found(2100, "", &[("a.py", 1)]);
    play.wait(9000);
    assert!(!play.text.contains("Converge"), "{}", play.text);
}

#[test]
fn a_container_that_seemed_gone_is_asked_again_until_the_cluster_says_so() {
    let mut play = Play::new(false, &[("a.py", 1)]);
    play.hint(1000, &["a.py"]);
    play.found(1001, "a.py", &[("a.py", 2)]);
    play.sent(1002, 1, Err(Fault::Gone));
    play.text.clear();
    play.wait(2000);
    assert!(play.text.contains("look at"), "{}", play.text);
}
