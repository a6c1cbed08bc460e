//! Google's errors as the engine's faults.

use paymesh_cloud::{Error, ErrorKind};
use paymesh_engine::{Fault, FaultKind, ObjectId};

/// What `error` means for `object`.
pub(crate) fn fault(object: ObjectId, error: &Error) -> Fault {
    let kind = kind(error);
    let mut fault = Fault::new(object, kind, sentence(&error.message));
    fault.operation.clone_from(&error.operation_id);
    fault.request.clone_from(&error.request_id);
    fault.retry_after = error.retry_after;
    match advice(kind) {
        Some(advice) => fault.next(advice),
        None => fault,
    }
}

fn kind(error: &Error) -> FaultKind {
    match error.kind {
        ErrorKind::Token => FaultKind::SignIn,
        ErrorKind::Setup => FaultKind::Denied,
        ErrorKind::Connection | ErrorKind::Malformed | ErrorKind::OutOfTime
            if error.may_have_been_received =>
        {
            FaultKind::Uncertain
        }
        ErrorKind::Connection | ErrorKind::Malformed | ErrorKind::OutOfTime => {
            FaultKind::Unavailable
        }
        ErrorKind::Operation => FaultKind::OperationFailed,
        ErrorKind::Answer => answer(error),
    }
}

fn answer(error: &Error) -> FaultKind {
    match error.status {
        // GKE answers 400 FAILED_PRECONDITION while another operation runs on the cluster
        // (kubernetes-engine/docs/troubleshooting/concurrent-operations); other APIs answer 409.
        Some(400) if error.has_code("FAILED_PRECONDITION") && speaks_of_operation(error) => {
            FaultKind::Busy
        }
        Some(409) if error.has_code("operationInProgress") => FaultKind::Busy,
        Some(409 | 412) => FaultKind::LostRace,
        Some(400) if error.has_code("resourceNotReady") => FaultKind::Busy,
        Some(403)
            if ["rateLimitExceeded", "userRateLimitExceeded"]
                .iter()
                .any(|it| error.has_code(it)) =>
        {
            FaultKind::Throttled
        }
        Some(403) if error.message.to_ascii_lowercase().contains("quota") => FaultKind::Exhausted,
        Some(401 | 403) => FaultKind::Denied,
        Some(404 | 410) if error.is_not_found() => FaultKind::Missing,
        Some(429) => FaultKind::Throttled,
        Some(500..) if error.may_have_been_received => FaultKind::Uncertain,
        Some(404 | 500..) => FaultKind::Unavailable,
        _ => FaultKind::Refused,
    }
}

fn speaks_of_operation(error: &Error) -> bool {
    let message = error.message.to_ascii_lowercase();
    ["operation", "currently being", "currently upgrading"]
        .iter()
        .any(|words| message.contains(words))
}

fn advice(kind: FaultKind) -> Option<&'static str> {
    match kind {
        FaultKind::Denied => Some(
            "Give the identity that runs Terraform the role roles/container.admin on the project; \
             the documentation lists the least that is needed.",
        ),
        FaultKind::Exhausted => {
            Some("Raise the quota of the project in this region, or ask for less.")
        }
        _ => None,
    }
}

fn sentence(message: &str) -> String {
    let message = message.trim();
    if message.ends_with(['.', '!', '?']) {
        message.to_owned()
    } else {
        format!("{message}.")
    }
}
