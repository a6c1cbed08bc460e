//! The gRPC services of db-controller.

pub mod notices;
mod payments;
mod queue;
pub mod recovery;
pub mod request;

use paymesh_contracts::id::NotAnId;
use tonic::Status;

pub use payments::PaymentsService;
pub use queue::QueueService;

use crate::{lane::LaneError, store::Failure};

/// A text as PostgreSQL can keep it: it has no NUL. Others write texts beside what they did, and that has
/// to be kept whatever they write.
fn kept(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{FFFD}")
    } else {
        text
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then(|| kept(text))
}

fn unreadable(_: NotAnId) -> Status {
    Status::invalid_argument("an id is not 16 bytes")
}

fn failed(failure: &Failure) -> Status {
    tracing::warn!(reason = %crate::store::chain(failure), "a read failed");
    Status::unavailable("the database does not answer")
}

impl From<LaneError> for Status {
    fn from(error: LaneError) -> Self {
        match error {
            LaneError::Overloaded => Self::resource_exhausted(error.to_string()),
            LaneError::Unknown => Self::unavailable(error.to_string()),
            LaneError::Refused => Self::internal(error.to_string()),
        }
    }
}
