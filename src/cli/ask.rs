//! Questions before something is lost. Without a terminal the answer is `--yes` or no.

use inquire::InquireError;

use super::args::Global;
use crate::error::{Classified, Failure, Kind};
use crate::session::Session;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("this needs a yes, and there is nobody to ask:\n{question}")]
    #[diagnostic(code(coracle::cli::not_confirmed), help("add `--yes` if that is what you want"))]
    NobodyToAsk { question: String },

    #[error("nothing was changed")]
    #[diagnostic(code(coracle::cli::declined))]
    Declined,
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// Returns when the user has agreed; anything else is the error.
pub(crate) async fn confirm(session: &Session, global: &Global, question: &str) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    if !session.surroundings.can_ask {
        return Err(Error::NobodyToAsk { question: question.to_owned() }.into());
    }
    let question = question.to_owned();
    let asked = tokio::task::spawn_blocking(move || inquire::Confirm::new(&question).with_default(false).prompt());
    match asked.await.expect("asking does not panic") {
        Ok(true) => Ok(()),
        Err(InquireError::OperationCanceled | InquireError::OperationInterrupted) => {
            Err(Failure::interrupted("nothing was changed"))
        }
        _ => Err(Error::Declined.into()),
    }
}
