//! Messages that cannot be handled: tried a few times more, then put aside until a person looked.

use paymesh_contracts::MessageId;

use super::{Decider, verdict::check_delay_ms};
use crate::{command::Outcome, world::Setback};

/// How often a message comes before it is parked.
pub(super) const FAILURES_MAX: i32 = 5;
/// How much of a reason is kept.
const REASON_CHARS_MAX: usize = 200;

impl Decider<'_> {
    /// Nothing took effect, so there is no inbox row: a message that is replayed can be completed.
    pub(super) fn set_back(&mut self, message_id: MessageId, reason: &str) -> Outcome {
        let now_ms = self.world.now_ms;
        let Some(message) = self.world.messages.get_mut(&message_id) else {
            return Outcome::NotFound;
        };
        message.failures += 1;
        let is_parked = message.failures >= FAILURES_MAX;
        let reason = || reason.chars().take(REASON_CHARS_MAX).collect();
        let setbacks = &mut self.changes.setbacks;
        setbacks.retain(|setback| setback.message_id != message_id);
        setbacks.push(Setback {
            message_id,
            failures: message.failures,
            available_at_ms: now_ms + check_delay_ms(message.failures - 1),
            parked: is_parked.then(reason),
        });
        Outcome::Applied
    }
}
