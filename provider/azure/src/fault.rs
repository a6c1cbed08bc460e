//! What Azure's errors mean to the engine.

use paymesh_cloud::{Error, ErrorKind};
use paymesh_engine::{Fault, FaultKind, ObjectId};

/// Codes of a lack of quota or capacity (AKS troubleshooting pages, 2026).
const EXHAUSTED: [&str; 7] = [
    "SkuNotAvailable",
    "ZonalAllocationFailed",
    "AllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "OperationNotAllowedQuota",
    "QuotaExceeded",
];

/// Codes met while a new principal or grant is not yet known everywhere.
const PROPAGATING: [&str; 5] = [
    "PrincipalNotFound",
    "ServicePrincipalNotFound",
    "ResourceMissingPermissionError",
    "CustomKubeletIdentityMissingPermissionError",
    "UserAssignedIdentityNotFound",
];

/// Codes of a 404 that says that the object, or what it lies in, is gone.
const MISSING: [&str; 4] = [
    "NotFound",
    "ParentResourceNotFound",
    "ResourceGroupNotFound",
    "ResourceNotFound",
];

/// The fault of `object` that `error` stands for.
pub(crate) fn fault(object: ObjectId, error: &Error) -> Fault {
    let kind = kind(error);
    let code = error.code.as_deref().unwrap_or_default();
    let status = error
        .status
        .map(|it| format!(" ({it} {code})"))
        .unwrap_or_default();
    let message = match (error.kind, status.is_empty()) {
        (_, false) => format!("{}{status}", error.message),
        (ErrorKind::Operation, true) if !code.is_empty() => {
            format!("the operation ended badly: {code}: {}", error.message)
        }
        _ => error.message.clone(),
    };
    let mut fault = Fault::new(object, kind, message);
    fault.attribute.clone_from(&error.target);
    fault.operation.clone_from(&error.operation_id);
    fault.request.clone_from(&error.request_id);
    fault.retry_after = error.retry_after;
    fault.next = next(kind, error);
    fault
}

fn kind(error: &Error) -> FaultKind {
    let code = error.code.as_deref().unwrap_or_default();
    let is = |codes: &[&str]| codes.iter().any(|it| code.eq_ignore_ascii_case(it));
    if error.may_have_been_received
        && (error.is_conflict() || error.is_precondition_failed() || error.status.is_none())
    {
        return FaultKind::Uncertain;
    }
    if is(&EXHAUSTED) || code.to_ascii_lowercase().contains("quota") {
        return FaultKind::Exhausted;
    }
    if is(&PROPAGATING) {
        return FaultKind::Propagating;
    }
    if error.is_precondition_failed() || is(&["EtagMismatch", "OriginalEtagNotExpect"]) {
        return FaultKind::LostRace;
    }
    match error.kind {
        ErrorKind::Token => return FaultKind::SignIn,
        ErrorKind::Setup => return FaultKind::Denied,
        ErrorKind::Connection | ErrorKind::Malformed => return FaultKind::Unavailable,
        ErrorKind::OutOfTime => return FaultKind::TimedOut,
        ErrorKind::Operation => return FaultKind::OperationFailed,
        ErrorKind::Answer => {}
    }
    match error.status {
        Some(409) => FaultKind::Busy,
        Some(401 | 403) => FaultKind::Denied,
        Some(404) if is(&MISSING) => FaultKind::Missing,
        Some(404) if code.is_empty() => FaultKind::Unavailable,
        Some(404) if !error.is_not_found() => FaultKind::Denied,
        Some(429) => FaultKind::Throttled,
        Some(500..) => FaultKind::Unavailable,
        _ => FaultKind::Refused,
    }
}

fn next(kind: FaultKind, error: &Error) -> Option<String> {
    let text = match kind {
        FaultKind::Denied if error.status == Some(404) => {
            "Check subscription_id, and that the identity that runs Terraform may still read the \
             subscription."
        }
        FaultKind::Denied if error.status == Some(401) => {
            "Sign in again (az login), or renew the credentials that the environment offers."
        }
        FaultKind::Denied if error.kind == ErrorKind::Answer => {
            "Give the identity that runs Terraform the role that the message names; the \
             documentation lists the least that is needed."
        }
        FaultKind::Exhausted => {
            "Ask for more quota (az quota, or the portal's Quotas page), or choose another \
             machine type, zone or region."
        }
        _ => return None,
    };
    Some(text.to_owned())
}
