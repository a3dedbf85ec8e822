//! The command line as it is typed, and the help as it is read.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("coracle").chain(line.split_whitespace()))
}

#[test]
fn clap_finds_no_contradiction() {
    Cli::command().debug_assert();
}

#[test]
fn flags_may_stand_before_and_after_the_verb() {
    for line in ["-p shop -o json --yes up --no-cache", "up --no-cache --yes -o json -p shop"] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.global.profile.as_deref(), Some(std::path::Path::new("shop")));
        assert_eq!((cli.global.output, cli.global.yes), (Format::Json, true));
        assert!(matches!(cli.verb, Verb::Up(Up { building: Building { no_cache: true, pull: false }, .. })), "{cli:?}");
    }
}

#[test]
fn every_verb_takes_what_is_promised() {
    let lines = [
        "up --pull --timeout 90s",
        "down --volumes",
        "status web api --wide",
        "url",
        "url web",
        "logs web api -f --since 1h30m --tail 20",
        "logs --previous",
        "events web -f",
        "top web",
        "open web",
        "test --watch --timeout 5s",
        "exec web",
        "exec web -c proxy -- ls -l --color",
        "debug --image busybox:1 -- wget -qO- http://web",
        "restart web api --timeout 90s",
        "scale web=3 api=0",
        "explain coracle::load::node_full",
        "build web --no-cache --pull",
        "load --progress plain",
        "deploy --dry-run",
        "render --split out",
        "diff -v --no-color",
        "cluster create",
        "cluster delete spare --yes",
        "cluster start",
        "cluster stop spare",
        "cluster list -o json",
        "kubeconfig --merge",
        "schema --markdown",
        "completions zsh",
    ];
    for line in lines {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let Verb::Logs(logs) = parse("logs -f --since 1h30m").unwrap().verb else { panic!("not logs") };
    assert_eq!(logs.since, Some(Duration::from_secs(5400)));
}

#[test]
fn a_wrong_line_is_a_wrong_request() {
    let lines = [
        "",
        "deev",
        "dev web",
        "up web",
        "url web api",
        "logs -f --previous",
        "logs --since 5",
        "logs --tail -1",
        "exec",
        "exec web ls",
        "scale",
        "scale web",
        "scale web=many",
        "cluster",
        "cluster list spare",
        "completions tcsh",
        "--progress loud up",
        "-o yaml up",
    ];
    for line in lines {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(parse("--help").unwrap_err().exit_code(), 0);
    assert_eq!(parse("-V").unwrap_err().kind(), ErrorKind::DisplayVersion);
}

#[test]
fn a_duration_without_a_unit_is_told_so() {
    let error = parse("logs --since 5").unwrap_err().to_string();
    assert!(error.contains("did you mean `5s`?"), "{error}");
}

#[test]
fn the_grouped_help_has_each_verb_once_in_its_own_words() {
    let command = Cli::command();
    let listed: Vec<_> = TEMPLATE.lines().filter(|line| line.starts_with("  ")).collect();
    let mut verbs = Vec::new();
    for verb in command.get_subcommands() {
        let about = verb.get_about().expect("every verb has help").to_string();
        verbs.push(format!("  {:<12} {about}", verb.get_name()));
    }
    assert_eq!(listed, verbs);
}

#[test]
fn the_help_as_it_is_read() {
    let help = Cli::command().term_width(80).render_help().to_string();
    let (_, options) = help.split_once("For editors and shells:").unwrap();
    assert_eq!(
        options,
        "
  schema       Print the JSON Schema of a profile
  completions  Print a shell's completion script

Options:
  -p, --profile <PATH>   Use this profile: a file, or a folder with
                         `coracle.yaml` or a Dockerfile
  -o, --output <FORMAT>  Answer as `text` or as `json`, with narration as JSON
                         lines
      --progress <HOW>   Show progress as `auto`, `tty`, `plain` or `quiet` does
      --dry-run          Print what would be done, and touch nothing
      --yes              Answer every question with yes
      --no-color         Show no colour
  -v, --verbose          Show details, and the output of builds
  -h, --help             Print help
  -V, --version          Print version

Example:
  cd any-folder-with-a-Dockerfile
  coracle up             build it, run it on a local cluster, print its URL
  coracle dev            and bring every file that you save to where it runs
  coracle logs -f        watch what it writes
  coracle down           remove it again
"
    );
}
