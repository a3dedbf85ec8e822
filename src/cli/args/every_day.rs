//! The arguments of the verbs for what runs: only types, and the reading of `web=3`.

use clap::Args;

use super::Waiting;

#[derive(Debug, Clone, Args)]
pub(crate) struct Events {
    /// Print these services' events only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Go on with what is said from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Top {
    /// Show these services only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Open {
    /// Open this service's URL, instead of the first there is
    pub(crate) service: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Test {
    /// Ask again every two seconds, and print what changed
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Exec {
    /// The service; one of its ready pods is chosen
    pub(crate) service: String,
    /// The command; without it, the shell that is there
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    /// Run it in this container of the pod, instead of the service's own
    #[arg(short, long, value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Debug {
    /// Run this image; it needs a shell, and `cat`
    #[arg(long, value_name = "IMAGE", default_value = "busybox:latest")]
    pub(crate) image: String,
    /// The command; without it, the shell that is there
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Restart {
    /// Restart these services only
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Scale {
    /// A service and how many pods it is to have, such as `web=3`
    #[arg(value_name = "SERVICE=N", required = true, value_parser = replicas)]
    pub(crate) wishes: Vec<(String, u32)>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Reads `web=3`.
fn replicas(text: &str) -> Result<(String, u32), String> {
    let wish = text.split_once('=').and_then(|(service, count)| Some((service.to_owned(), count.parse().ok()?)));
    wish.filter(|(service, _)| !service.is_empty())
        .ok_or_else(|| "it is written as SERVICE=N, such as `web=3`".to_owned())
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Explain {
    /// The code above an error, such as `coracle::load::node_full`, or its end; without it, all are listed
    pub(crate) code: Option<String>,
}
