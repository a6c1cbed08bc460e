//! The gRPC services of db-controller.

mod notices;
mod payments;
mod queue;
mod recovery;
mod request;

use paymesh_contracts::id::NotAnId;
use tonic::Status;

pub use payments::PaymentsService;
pub use queue::QueueService;

use crate::{lane::LaneError, store::Failure};

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
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
