//! States, in the words of the API and in a sentence.

use paymesh_contracts::{
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus},
};

/// A state: its word says it, and its colour no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Badge {
    /// As the API has it.
    pub(crate) word: &'static str,
    /// What it means.
    pub(crate) meaning: &'static str,
    /// `good`, `busy` (somebody has to do something), `bad` or `off`.
    pub(crate) class: &'static str,
}

/// Where a payment stands.
pub(crate) fn payment(status: PaymentStatus) -> Badge {
    let (class, meaning) = match status {
        PaymentStatus::Processing => (
            "busy",
            "On its way to the acquirer, or waiting for the acquirer's word.",
        ),
        PaymentStatus::RequiresAction => (
            "busy",
            "The customer has to do something first, at the address below.",
        ),
        PaymentStatus::RequiresCapture => (
            "busy",
            "The money is reserved until you capture it or cancel the payment.",
        ),
        PaymentStatus::Succeeded => ("good", "The money moved; the ledger says so."),
        PaymentStatus::Failed => ("bad", "The acquirer declined; no money moved."),
        PaymentStatus::Canceled => ("off", "What was reserved was let go; no money moved."),
    };
    Badge {
        word: status.word(),
        meaning,
        class,
    }
}

/// Where an attempt stands.
pub(crate) fn attempt(status: AttemptStatus) -> Badge {
    let (class, meaning) = match status {
        AttemptStatus::Pending => ("busy", "To be sent, or sent and not answered yet."),
        AttemptStatus::Unknown => (
            "busy",
            "Sent, and the answer was lost. The acquirer is asked until it says what happened.",
        ),
        AttemptStatus::RequiresAction => ("busy", "The acquirer waits for the customer."),
        AttemptStatus::Approved => ("good", "The acquirer did it."),
        AttemptStatus::Declined => ("bad", "The acquirer did not do it."),
    };
    Badge {
        word: status.word(),
        meaning,
        class,
    }
}

/// Where a dispute stands.
pub(crate) fn dispute(status: DisputeStatus) -> Badge {
    let (class, meaning) = match status {
        DisputeStatus::NeedsResponse => ("busy", "Contest it with evidence, or accept it."),
        DisputeStatus::UnderReview => ("busy", "The customer's bank has your evidence."),
        DisputeStatus::Won => ("good", "The money was given back to you."),
        DisputeStatus::Lost => ("bad", "The customer keeps the money."),
    };
    Badge {
        word: status.word(),
        meaning,
        class,
    }
}

/// What was asked of the acquirer.
pub(crate) fn asked(kind: AttemptKind) -> &'static str {
    match kind {
        AttemptKind::Charge => "Charge",
        AttemptKind::Authorize => "Authorize",
        AttemptKind::Capture => "Capture",
        AttemptKind::Void => "Void",
        AttemptKind::Refund => "Refund",
        AttemptKind::Contest => "Contest a dispute",
        AttemptKind::Accept => "Accept a dispute",
    }
}

/// When the money of a payment is taken.
pub(crate) fn capture(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::Automatic => "automatic: taken at once",
        CaptureMethod::Manual => "manual: taken when you capture it, within seven days",
    }
}

/// What an account of the ledger is for; nothing for one that is newer than this version.
pub(crate) fn account(name: &str) -> &'static str {
    match name {
        "acquirer_receivable" => "Below zero: what the acquirer owes for your payments.",
        "fees" => "What your payments cost.",
        "merchant_payable" => "What is owed to you.",
        "merchant_debt" => "Below zero: what disputes took beyond your balance.",
        _ => "",
    }
}
