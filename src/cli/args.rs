//! What may be typed: the verbs, their flags, and the help that tells of them.
//!
//! Only types; nothing here acts. A wrong command line ends in clap, with exit code 2.

mod every_day;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::every_day::{Debug, Events, Exec, Explain, Open, Restart, Scale, Test, Top};
use super::span;
use crate::ui::ProgressFlag;

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(name = "coracle", version, about, help_template = TEMPLATE, after_help = EXAMPLE)]
#[command(styles = STYLES, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The flags of every verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Use this profile: a file, or a folder with `coracle.yaml` or a Dockerfile
    #[arg(short, long, global = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) profile: Option<PathBuf>,
    /// Answer as `text` or as `json`, with narration as JSON lines
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) output: Format,
    /// Show progress as `auto`, `tty`, `plain` or `quiet` does
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) progress: ProgressFlag,
    /// Print what would be done, and touch nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Answer every question with yes
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Show no colour
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Show details, and the output of builds
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

impl Global {
    /// Whether the answer is for a program.
    pub(crate) fn json(&self) -> bool {
        self.output == Format::Json
    }
}

/// The form of the answer on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// What is to be done.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Write a profile from Dockerfiles, a compose file or manifests
    Init(Init),
    /// Write a small application to start from
    New(New),
    /// Build, load and deploy everything, wait for it and print its URLs
    Up(Up),
    /// Bring everything up, then every saved file to where it runs
    Dev(Dev),
    /// Remove what the profile made; volumes stay
    Down(Down),
    /// Show each service: ready or not, why not, and where
    Status(Status),
    /// Print where services are reached
    Url(Url),
    /// Print what services write
    Logs(Logs),
    /// Print what the cluster said about services
    Events(Events),
    /// Show what the pods of services use, where the cluster measures it
    Top(Top),
    /// Open a service's URL in the browser
    Open(Open),
    /// Ask the profile's checks of what runs
    Test(Test),
    /// Run a command, or a shell, in a service
    Exec(Exec),
    /// Run a command, or a shell, in a throw-away pod beside the services
    Debug(Debug),
    /// Replace the pods of services one by one
    Restart(Restart),
    /// Set how many pods services have, until the next `up`
    Scale(Scale),
    /// Build the images
    Build(Build),
    /// Load the images into every node
    Load,
    /// Apply the profile's objects and wait until they are ready
    Deploy(Deploy),
    /// Print the manifests
    Render(Render),
    /// Show what `up` would change, field by field
    Diff,
    /// Create, delete, start, stop or list local clusters
    Cluster {
        #[command(subcommand)]
        verb: ClusterVerb,
    },
    /// Remove images and caches of Coracle that nothing uses, after a question
    Prune(Prune),
    /// Print where the local cluster's kubeconfig is
    Kubeconfig(Kubeconfig),
    /// Tell what an error means, why it happens and what mends it
    Explain(Explain),
    /// Print the JSON Schema of a profile
    Schema(Schema),
    /// Print a shell's completion script
    Completions(Completions),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) building: Building,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// The flags of `dev`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Dev {
    /// Remove what the profile made when you leave; volumes stay
    #[arg(long)]
    pub(crate) down_on_exit: bool,
    /// Serve a page with the same, for this machine's browsers only, and print its address
    #[arg(long)]
    pub(crate) ui: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

impl Dev {
    /// Returns the `up` that `dev` begins with.
    pub(crate) fn as_up(&self) -> Up {
        Up { building: Building::default(), waiting: self.waiting }
    }
}

/// How images are built.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Building {
    /// Build without the cache, also what is up to date
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Ask registries for newer base images
    #[arg(long)]
    pub(crate) pull: bool,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Waiting {
    /// Give a rollout at most this long, such as 90s or 5m
    #[arg(long, value_name = "DURATION", value_parser = span::parse)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Down {
    /// Delete the volumes and their data too, after a question
    #[arg(long)]
    pub(crate) volumes: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Show these services only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Show more columns
    #[arg(long)]
    pub(crate) wide: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Url {
    /// Print this service's URL only
    pub(crate) service: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Logs {
    /// Print these services only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Go on with what is written from now on
    #[arg(short, long, conflicts_with = "previous")]
    pub(crate) follow: bool,
    /// Print what the containers before the last restart wrote
    #[arg(long)]
    pub(crate) previous: bool,
    /// Leave out what is older, such as 90s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", value_parser = span::parse)]
    pub(crate) since: Option<Duration>,
    /// Print at most this many of the last lines of each container
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u32>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Build {
    /// Build these services only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) building: Building,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Render {
    /// Write one file per object into this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) split: Option<PathBuf>,
}

/// What is to be done with a local cluster; without a name it is the profile's.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Create the cluster, or make it ready if it is there
    Create(ClusterName),
    /// Delete the cluster and everything in it
    Delete(ClusterName),
    /// Start a stopped cluster
    Start(ClusterName),
    /// Stop the cluster; everything in it stays
    Stop(ClusterName),
    /// List the clusters that Coracle made
    List,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterName {
    /// The cluster's name, instead of the profile's
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Prune {
    /// Keep only what is used, not the last two images of each service too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Kubeconfig {
    /// Add it to your own kubeconfig; its current context stays
    #[arg(long)]
    pub(crate) merge: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// The folder to read, instead of this one
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct New {
    /// What to start from; without it, the templates are listed
    pub(crate) template: Option<String>,
    /// The folder to write, instead of one named like the template
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Schema {
    /// Print the profile's reference as Markdown instead
    #[arg(long)]
    pub(crate) markdown: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Headings are plain, as ours in [`TEMPLATE`] are.
const STYLES: Styles = Styles::styled().header(anstyle::Style::new()).usage(anstyle::Style::new());

/// clap lists verbs in one column; a newcomer reads them by what they are for. A test holds this to the verbs' own help.
const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

To begin with:
  init         Write a profile from Dockerfiles, a compose file or manifests
  new          Write a small application to start from

The whole way:
  up           Build, load and deploy everything, wait for it and print its URLs
  dev          Bring everything up, then every saved file to where it runs
  down         Remove what the profile made; volumes stay

What is there:
  status       Show each service: ready or not, why not, and where
  url          Print where services are reached
  logs         Print what services write
  events       Print what the cluster said about services
  top          Show what the pods of services use, where the cluster measures it

While it runs:
  open         Open a service's URL in the browser
  test         Ask the profile's checks of what runs
  exec         Run a command, or a shell, in a service
  debug        Run a command, or a shell, in a throw-away pod beside the services
  restart      Replace the pods of services one by one
  scale        Set how many pods services have, until the next `up`

Step by step:
  build        Build the images
  load         Load the images into every node
  deploy       Apply the profile's objects and wait until they are ready
  render       Print the manifests
  diff         Show what `up` would change, field by field

The cluster:
  cluster      Create, delete, start, stop or list local clusters
  prune        Remove images and caches of Coracle that nothing uses, after a question
  kubeconfig   Print where the local cluster's kubeconfig is

When something fails:
  explain      Tell what an error means, why it happens and what mends it

For editors and shells:
  schema       Print the JSON Schema of a profile
  completions  Print a shell's completion script

Options:
{options}{after-help}";

const EXAMPLE: &str = "\
Example:
  cd any-folder-with-a-Dockerfile
  coracle up             build it, run it on a local cluster, print its URL
  coracle dev            and bring every file that you save to where it runs
  coracle logs -f        watch what it writes
  coracle down           remove it again";

#[cfg(test)]
mod tests;
