//! Two at once.

use crate::profiles::run_checks;
use crate::sandbox::Sandbox;

#[test]
#[ignore = "needs docker and kind"]
fn of_two_ups_at_once_one_waits_or_says_who_holds_it() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-twice");
    let first = sandbox.start(&folder, &["up"]);
    let second = sandbox.start(&folder, &["up"]);
    let outcomes = [first(), second()];
    assert!(outcomes.iter().any(|outcome| outcome.code == Some(0)), "{}\n{}", outcomes[0], outcomes[1]);
    for outcome in outcomes {
        if outcome.code != Some(0) {
            outcome.exits(4).says(&["e2e-twice", "help:"]);
        }
    }
    run_checks(&sandbox, &folder);
    sandbox.coracle(&folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn the_same_name_from_another_folder_is_refused() {
    let sandbox = Sandbox::shared();
    let first = sandbox.renamed_profile("timber", "e2e-same");
    sandbox.coracle(&first, &["up"]).exits(0);
    let before = sandbox.settled_objects("e2e-same");
    let dockerfile = std::fs::read_to_string(first.join("Dockerfile")).unwrap();
    let profile = std::fs::read_to_string(first.join("coracle.yaml")).unwrap();
    let files = [("coracle.yaml", profile.as_str()), ("Dockerfile", &dockerfile), ("app.py", "pass"), ("why.txt", "")];
    let other = sandbox.folder("elsewhere", &files);
    sandbox.coracle(&other, &["up"]).exits(4).reports("same_name_from_another_folder");
    assert_eq!(before, sandbox.settled_objects("e2e-same"), "a refused `up` wrote something");
    sandbox.coracle(&first, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn two_first_ups_of_different_profiles_get_different_ports() {
    let sandbox = Sandbox::shared();
    let folders = ["e2e-port-left", "e2e-port-right"].map(|name| sandbox.renamed_profile("timber", name));
    // The cluster and the images are there, so that both come to the Services at the same time.
    for folder in &folders {
        sandbox.coracle(folder, &["cluster", "create", "--yes"]);
        sandbox.coracle(folder, &["load"]).exits(0);
    }
    let ups = folders.each_ref().map(|folder| sandbox.start(folder, &["up"]));
    for outcome in ups.map(|end| end()) {
        outcome.exits(0);
    }
    for folder in &folders {
        run_checks(&sandbox, folder);
        sandbox.coracle(folder, &["down"]).exits(0);
    }
}
