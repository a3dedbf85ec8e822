//! `coracle top`: what the services' pods use now.

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::top;
use crate::error::Failure;
use crate::session::Session;
use crate::ui;

pub(crate) async fn top(session: &Session, global: &Global, flags: &args::Top) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let client = target::running(session, &profile).await?.client;
    let mut pods = top::observe(&client, &profile).await?;
    pods.retain(|pod| flags.services.is_empty() || flags.services.contains(&pod.service));
    let row = |pod: &top::Usage| {
        vec![pod.service.clone(), pod.pod.clone(), format!("{}m", pod.milli_cpu), ui::humane::bytes(pod.memory)]
    };
    let rows: Vec<Vec<String>> = pods.iter().map(row).collect();
    Ok(Answer { text: ui::table::table(&["SERVICE", "POD", "CPU", "MEMORY"], &rows), json: json!({"pods": pods}) })
}
