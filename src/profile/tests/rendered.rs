//! Whole reports, as they are printed.

use std::path::Path;

use super::super::error::Error;
use super::{Sandbox, report};

#[test]
fn several_problems_are_one_report() {
    let text = "name: My App
services:
  web:
    build: .
    prots: [80]
    volumes: [{size: 1 GB, path: /data}]
";
    assert_eq!(
        report(text),
        "coracle::profile::invalid

  × coracle.yaml has 3 problems
  help: `coracle schema --markdown` lists every key

Error:
  × the name `My App` may only have the characters a-z, 0-9 and `-`
   ╭─[coracle.yaml:1:7]
 1 │ name: My App
   ·       ──────
 2 │ services:
   ╰────
  help: did you mean `my-app`?

Error:
  × there is no key `prots` in `web`
   ╭─[coracle.yaml:5:5]
 4 │     build: .
 5 │     prots: [80]
   ·     ─────
 6 │     volumes: [{size: 1 GB, path: /data}]
   ╰────
  help: did you mean `ports`?

Error:
  × `size` is a quantity, not `1 GB`
   ╭─[coracle.yaml:6:22]
 5 │     prots: [80]
 6 │     volumes: [{size: 1 GB, path: /data}]
   ·                      ────
   ╰────
  help: did you mean `1Gi`?"
    );
}

#[test]
fn a_broken_text_is_one_problem() {
    assert_eq!(
        report("name: a\nservices:\n\tweb: x\n"),
        "coracle::profile::invalid

  × coracle.yaml has a problem
  help: `coracle schema --markdown` lists every key

Error:
  × this is not YAML that can be read: tabs disallowed within this context
  │ (block indentation)
   ╭─[coracle.yaml:3:2]
 2 │ services:
 3 │     web: x
   ·     ▲
   ╰────
  help: YAML is indented with spaces, never with tabs"
    );
}

#[test]
fn a_file_that_is_no_profile_is_named() {
    let sandbox = Sandbox::new(&[]);
    let path = Path::new("/srv/coracle.yaml").to_path_buf();
    for (error, said) in [
        (
            Error::Absent { path: "/srv/x".into() },
            "coracle::profile::absent

  × there is no profile at /srv/x
  help: `-p` takes a file, or a folder with a coracle.yaml or a Dockerfile",
        ),
        (
            Error::Unreadable { path: path.clone(), source: std::io::Error::other("permission denied") },
            "coracle::profile::unreadable

  × /srv/coracle.yaml could not be read
  ╰─▶ permission denied",
        ),
        (
            Error::TooLarge { path: path.clone(), size: 2_000_000, limit: 1_048_576 },
            "coracle::profile::too_large

  × /srv/coracle.yaml is 2000000 bytes long; a profile has at most 1048576
  help: is it really a profile? `-p` names another file",
        ),
        (
            Error::Encoding { path, at: 11, line: 2 },
            "coracle::profile::encoding

  × /srv/coracle.yaml is not UTF-8 text: byte 11 (line 2) begins no character
  help: save it as UTF-8",
        ),
        (
            Error::Unnameable { name: "日本".into() },
            "coracle::profile::unnameable

  × the folder's name `日本` leaves nothing of which a name could be made
  help: looked for coracle.yaml here and in every folder above, and for a
        Dockerfile here. A profile is a file coracle.yaml such as

        name: my-app
        services:
          web: {build: ., ports: [\"80:5000\"]}",
        ),
    ] {
        assert_eq!(sandbox.render(&error), said);
    }
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let report = report("name: \"\u{9b}31m\\e[31mred\"\nservices: {a: {image: x}}\n");
    assert!(report.chars().all(|character| character == '\n' || !character.is_control()), "{report:?}");
}
