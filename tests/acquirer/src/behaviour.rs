//! What a token makes the acquirer do.
//!
//! | token | behaviour |
//! |---|---|
//! | `tok_approve` | takes the money |
//! | `tok_decline` | takes nothing: `insufficient_funds` |
//! | `tok_slow_<ms>` | takes the money after so many milliseconds |
//! | `tok_lost` | takes the money, and cuts the first answer |
//! | `tok_lost_before` | takes nothing and cuts the first answer; a second try gets through |
//! | `tok_busy` | refuses the first two tries with 503 |
//! | `tok_dispute...` | takes the money, which is disputed at once, see [`crate::disputes`] |

use std::time::Duration;

/// What happens to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behaviour {
    /// Whether the money is taken.
    pub(crate) approve: bool,
    /// Whether the customer has to do something first.
    pub(crate) action: bool,
    /// How long that takes.
    pub(crate) delay: Duration,
    /// What the first tries meet instead of an answer.
    pub(crate) first: First,
}

/// What the first tries of a charge meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// An answer.
    Answer,
    /// The charge is made and the answer lost.
    LostAnswer,
    /// The request is lost.
    LostRequest,
    /// So many tries are refused.
    Busy(u32),
}

/// The behaviour that a token asks for; `None` for a token nobody issued.
pub(crate) fn of(token: &str) -> Option<Behaviour> {
    let usual = Behaviour {
        approve: true,
        action: false,
        delay: Duration::ZERO,
        first: First::Answer,
    };
    Some(match token.strip_prefix("tok_")? {
        // What comes after a charge with the others is in `rules` and `disputes`.
        "approve" | "capture_declined" | "void_declined" | "refund_declined" | "dispute"
        | "dispute_won" | "dispute_lost" => usual,
        "action" => Behaviour {
            action: true,
            ..usual
        },
        "decline" => Behaviour {
            approve: false,
            ..usual
        },
        "lost" => Behaviour {
            first: First::LostAnswer,
            ..usual
        },
        "lost_before" => Behaviour {
            first: First::LostRequest,
            ..usual
        },
        "busy" => Behaviour {
            first: First::Busy(2),
            ..usual
        },
        other => Behaviour {
            delay: Duration::from_millis(other.strip_prefix("slow_")?.parse().ok()?),
            ..usual
        },
    })
}
