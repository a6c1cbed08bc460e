//! Defects that can be put in on purpose, to see that the checker of `tests/payments` finds them.
//! A release build has none: the variable is not even read.

/// Which defects are in.
#[expect(clippy::struct_excessive_bools, reason = "each is a defect of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Defects {
    /// Completed messages leave no inbox row and are not recognised.
    pub inbox_off: bool,
    /// Idempotency rows are written after the transaction instead of in it.
    pub key_apart: bool,
    /// A merchant who refused a webhook is never told again.
    pub webhook_dropped: bool,
    /// What is given back is not booked.
    pub refund_unbooked: bool,
}

impl Defects {
    /// The defects that `PAYMESH_DEFECT` names, in a debug build.
    pub fn from_environment() -> Self {
        if !cfg!(debug_assertions) {
            return Self::default();
        }
        let named = std::env::var("PAYMESH_DEFECT").unwrap_or_default();
        Self {
            inbox_off: named == "inbox-off",
            key_apart: named == "key-apart",
            webhook_dropped: named == "webhook-dropped",
            refund_unbooked: named == "refund-unbooked",
        }
    }
}
