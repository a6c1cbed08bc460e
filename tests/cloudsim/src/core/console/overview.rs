//! The first page: what is wrong, what exists, what goes on.

use askama::Template;
use serde::Serialize;

use super::{
    frame::Frame,
    look::Look,
    operations::Row,
    requests::Line,
    topology::{self, Block},
    trouble::{self, Trouble},
};
use crate::core::Call;

/// How many of the newest requests the first page shows.
const NEWEST: usize = 8;

#[derive(Template, Serialize)]
#[template(path = "console/overview.html")]
pub(super) struct Overview {
    #[serde(skip)]
    frame: Frame,
    troubles: Vec<Trouble>,
    clouds: Vec<Block>,
    running: Vec<Row>,
    newest: Vec<Line>,
    requests: usize,
}

pub(super) fn page(look: &Look, call: &Call) -> Overview {
    let running = look
        .operations
        .iter()
        .filter(|operation| operation.running());
    Overview {
        frame: Frame::new(look, call, "Overview"),
        troubles: trouble::all(look),
        clouds: topology::blocks(look),
        running: running
            .map(|operation| Row::alone(look, operation))
            .collect(),
        newest: look
            .entries
            .iter()
            .rev()
            .take(NEWEST)
            .map(Line::new)
            .collect(),
        requests: look.entries.len(),
    }
}
