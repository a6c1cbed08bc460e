//! Requests under an idempotency key: a key makes one thing, and is answered once.

use paymesh_contracts::PaymentId;

use super::Decider;
use crate::{
    command::{Keyed, Outcome},
    world::KeyRow,
};

impl Decider<'_> {
    /// What is known is answered, also while the ledger recovers; what is new has to wait then,
    /// until what was lost is found again. `None` when it may be carried out.
    pub(super) fn seen_before(&self, request: &Keyed) -> Option<Outcome> {
        match self.known(request) {
            None if !self.world.is_recovered => Some(Outcome::Recovering),
            known => known,
        }
    }

    /// What its key says of a request; `None` when it is new.
    pub(super) fn known(&self, request: &Keyed) -> Option<Outcome> {
        let row = self.world.keys.get(&request.key)?;
        let (payment_id, answer) = (row.payment_id, row.answer.clone());
        Some(if row.fingerprint != request.fingerprint {
            Outcome::ChangedBody
        } else if row.request_id == request.request_id {
            Outcome::Created { payment_id, answer }
        } else if row.is_committed {
            Outcome::Replayed { payment_id, answer }
        } else {
            Outcome::InFlight
        })
    }

    /// Remembers what a request made.
    pub(super) fn remember(&mut self, request: &Keyed, payment_id: PaymentId) -> Outcome {
        let row = KeyRow {
            fingerprint: request.fingerprint,
            request_id: request.request_id,
            payment_id,
            answer: None,
            is_committed: false,
        };
        self.world.keys.insert(request.key.clone(), row);
        self.changes.new_keys.insert(request.key.clone());
        Outcome::Created {
            payment_id,
            answer: None,
        }
    }
}
