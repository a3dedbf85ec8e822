//! `coracle schema`: the profile's JSON Schema, or its reference page.

use super::Answer;
use super::args;
use crate::profile::schema;

pub(crate) fn schema(flags: &args::Schema) -> Answer {
    let json = schema::json();
    let text = if flags.markdown { schema::markdown() } else { format!("{json:#}\n") };
    Answer { text, json }
}
