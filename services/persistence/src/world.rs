//! The rows a group of commands works on, and what it changes in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use paymesh_contracts::{
    AttemptId, Currency, DisputeId, EndpointId, EventId, MessageId, PaymentId, TenantId,
    http::AttemptKind,
};
use uuid::Uuid;

use crate::{
    command::{Answer, Consumer, Key},
    ledger::{AccountId, AccountKind, Balance, Movement, Posting},
    payment::{AttemptRow, PaymentRow},
};

/// How many partitions a consumer's messages are spread over.
pub const PARTITIONS: i16 = 16;

/// The partition of everything about a payment. The last byte of its id is drawn at random.
pub fn partition_of(payment_id: PaymentId) -> i16 {
    i16::from(payment_id.0.as_bytes()[15]) % PARTITIONS
}

/// The id of a message that tells of an event: half of it is of the event's id, half of one that was
/// drawn. So the key of the messages finds all that tell of an event, whenever they were left.
pub fn telling(event_id: EventId, drawn: Uuid) -> MessageId {
    let mut bytes = event_id.0.into_bytes();
    bytes[8..].copy_from_slice(&drawn.as_bytes()[8..]);
    MessageId(Uuid::from_bytes(bytes))
}

/// Between which ids the messages are that tell of an event, both included. Others may be too.
pub fn told_between(event_id: EventId) -> (Uuid, Uuid) {
    let filled = |with: u8| {
        let mut bytes = event_id.0.into_bytes();
        bytes[8..].fill(with);
        Uuid::from_bytes(bytes)
    };
    (filled(0), filled(u8::MAX))
}

/// What is loaded and locked for a group, as far as the group can need it.
#[derive(Debug, Default)]
pub struct World {
    /// The database's time.
    pub now_ms: i64,
    /// Whether what a promotion may have lost was found again.
    pub is_recovered: bool,
    /// Idempotency rows.
    pub keys: HashMap<Key, KeyRow>,
    /// Payments, locked.
    pub payments: HashMap<PaymentId, PaymentRow>,
    /// Messages to be completed.
    pub messages: HashMap<MessageId, MessageRow>,
    /// Which of them have taken effect before.
    pub completed: HashSet<MessageId>,
    /// The epoch of each partition's lease.
    pub epochs: HashMap<(Consumer, i16), i64>,
    /// Balances, locked.
    pub balances: HashMap<AccountId, Balance>,
    /// The terms of each merchant.
    pub tenants: HashMap<TenantId, TenantRow>,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// SHA-256 of what was asked.
    pub fingerprint: [u8; 32],
    /// Which request was first.
    pub request_id: Uuid,
    /// What it made.
    pub payment_id: PaymentId,
    /// The final answer, once there is one.
    pub answer: Option<Answer>,
    /// False while the transaction that makes it is this one.
    pub is_committed: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Who reads it.
    pub consumer: Consumer,
    /// The payment it is about.
    pub payment_id: PaymentId,
    /// What it asks for.
    pub work: Work,
    /// First is 1.
    pub try_number: i32,
    /// Not before.
    pub available_at_ms: i64,
    /// How often it could not be handled.
    pub failures: i32,
}

/// What a message asks for. A charge and everything else are told apart because versions that knew
/// charges only would take anything for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Send a charge.
    SendAttempt(AttemptId),
    /// Find out what became of a charge.
    CheckAttempt(AttemptId),
    /// Send another attempt.
    SendOperation(AttemptId),
    /// Find out what became of another attempt.
    CheckOperation(AttemptId),
    /// Send an answer to a dispute.
    SendAnswer(AttemptId),
    /// Find out what became of an answer to a dispute.
    CheckAnswer(AttemptId),
    /// The time for what a payment requires is over.
    Expire,
    /// Tell a merchant.
    DeliverWebhook(EventId, EndpointId),
}

impl Work {
    /// Sends an attempt.
    pub fn send(attempt: &AttemptRow) -> Self {
        match attempt.kind {
            AttemptKind::Charge => Self::SendAttempt(attempt.id),
            AttemptKind::Contest | AttemptKind::Accept => Self::SendAnswer(attempt.id),
            _ => Self::SendOperation(attempt.id),
        }
    }

    /// Finds out what became of an attempt.
    pub fn check(attempt: &AttemptRow) -> Self {
        match attempt.kind {
            AttemptKind::Charge => Self::CheckAttempt(attempt.id),
            AttemptKind::Contest | AttemptKind::Accept => Self::CheckAnswer(attempt.id),
            _ => Self::CheckOperation(attempt.id),
        }
    }

    /// The attempt it is about.
    pub fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::SendAttempt(id)
            | Self::CheckAttempt(id)
            | Self::SendOperation(id)
            | Self::CheckOperation(id)
            | Self::SendAnswer(id)
            | Self::CheckAnswer(id) => Some(id),
            Self::Expire | Self::DeliverWebhook(..) => None,
        }
    }

    /// Its name in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::SendAttempt(_) => "send_attempt",
            Self::CheckAttempt(_) => "check_attempt",
            Self::SendOperation(_) => "send_operation",
            Self::CheckOperation(_) => "check_operation",
            Self::SendAnswer(_) => "send_answer",
            Self::CheckAnswer(_) => "check_answer",
            Self::Expire => "expire",
            Self::DeliverWebhook(..) => "deliver_webhook",
        }
    }
}

/// The terms of a merchant.
#[derive(Clone, Debug, Default)]
pub struct TenantRow {
    /// Our price.
    pub fee_basis_points: i32,
    /// Where they want to be told.
    pub endpoints: Vec<EndpointId>,
}

/// An event to be kept.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// Whom to tell.
    pub tenant_id: TenantId,
    /// What it is about.
    pub payment_id: PaymentId,
    /// What happened.
    pub kind: String,
    /// What is sent.
    pub body: Vec<u8>,
}

/// A try to tell a merchant.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// The message that asked for it.
    pub message_id: MessageId,
    /// Whether they confirmed it.
    pub delivered: bool,
    /// What they answered.
    pub status: Option<i32>,
    /// Why no answer came.
    pub error: Option<String>,
}

/// A message that could not be handled.
#[derive(Clone, Debug)]
pub struct Setback {
    /// Which one.
    pub message_id: MessageId,
    /// How often by now.
    pub failures: i32,
    /// When it comes again.
    pub available_at_ms: i64,
    /// Why it does not, if it does not.
    pub parked: Option<String>,
}

/// An acquirer that contradicts itself.
#[derive(Clone, Debug)]
pub struct MismatchRow {
    /// About what.
    pub attempt_id: AttemptId,
    /// What it had said.
    pub recorded: String,
    /// What it says now.
    pub claimed: String,
}

/// What the transaction of a group writes. Rows that change are named here and taken from the
/// [`World`], each once however often it changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Keys to insert. Sorted, since two groups may want the same ones.
    pub new_keys: BTreeSet<Key>,
    /// Payments to insert.
    pub new_payments: Vec<PaymentId>,
    /// Attempts to insert, with their payments.
    pub new_attempts: Vec<(AttemptId, PaymentId)>,
    /// Payments that changed.
    pub payments: HashSet<PaymentId>,
    /// Attempts that changed, with their payments.
    pub attempts: HashMap<AttemptId, PaymentId>,
    /// Disputes that are new or changed, with their payments.
    pub disputes: BTreeMap<DisputeId, PaymentId>,
    /// Accounts that a merchant has not had until now.
    pub new_accounts: BTreeSet<(TenantId, AccountKind, Currency)>,
    /// Keys whose answer became final.
    pub answers: HashSet<Key>,
    /// Postings to insert.
    pub postings: Vec<Posting>,
    /// What happens to each balance.
    pub balances: BTreeMap<AccountId, Movement>,
    /// Events to insert.
    pub events: Vec<EventRow>,
    /// Messages to insert.
    pub messages: Vec<(MessageId, MessageRow)>,
    /// Messages that took effect, with the epoch by which they did.
    pub completed: Vec<(MessageId, MessageRow, i64)>,
    /// Messages that could not be handled.
    pub setbacks: Vec<Setback>,
    /// Deliveries to insert.
    pub deliveries: Vec<DeliveryRow>,
    /// Contradictions to insert.
    pub mismatches: Vec<MismatchRow>,
    /// Attempts that were settled, with the answer to the key that wanted them.
    pub settled: Vec<Settled>,
}

impl Changes {
    /// Whether a row that is inserted changes as well.
    pub(crate) fn change_what_is_new(&self) -> bool {
        let is_booked = |&(tenant, kind, currency): &(TenantId, AccountKind, Currency)| {
            self.balances
                .contains_key(&AccountId::of(tenant, kind, currency))
        };
        self.new_payments
            .iter()
            .any(|id| self.payments.contains(id))
            || self
                .new_attempts
                .iter()
                .any(|(id, _)| self.attempts.contains_key(id))
            || self.new_keys.iter().any(|key| self.answers.contains(key))
            || self.new_accounts.iter().any(is_booked)
    }
}

/// An attempt that was settled, for those who wait for it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Which one.
    pub attempt_id: AttemptId,
    /// Of which payment, if it is its first.
    pub payment_id: Option<PaymentId>,
    /// The final answer to its key.
    pub answer: Answer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_new_and_changes_is_noticed_and_what_is_either_is_not() {
        let tenant = TenantId(Uuid::from_u128(1));
        let payments = [2, 3].map(|id| PaymentId(Uuid::from_u128(id)));
        let attempts = [4, 5].map(|id| AttemptId(Uuid::from_u128(id)));
        let keys = ["6", "7"].map(|key| (tenant, key.to_owned()));
        let kinds = [AccountKind::MerchantDebt, AccountKind::Fees];
        let balances = kinds.map(|kind| AccountId::of(tenant, kind, Currency::Eur));
        let is_noticed = |payment: usize, attempt: usize, key: usize, account: usize| {
            Changes {
                new_payments: vec![payments[0]],
                payments: HashSet::from([payments[payment]]),
                new_attempts: vec![(attempts[0], payments[0])],
                attempts: HashMap::from([(attempts[attempt], payments[0])]),
                new_keys: BTreeSet::from([keys[0].clone()]),
                answers: HashSet::from([keys[key].clone()]),
                new_accounts: BTreeSet::from([(tenant, kinds[0], Currency::Eur)]),
                balances: BTreeMap::from([(balances[account], Movement::default())]),
                ..Changes::default()
            }
            .change_what_is_new()
        };
        assert!(!is_noticed(1, 1, 1, 1));
        assert!(is_noticed(0, 1, 1, 1), "a payment");
        assert!(is_noticed(1, 0, 1, 1), "an attempt");
        assert!(is_noticed(1, 1, 0, 1), "a key");
        assert!(is_noticed(1, 1, 1, 0), "an account");
    }

    #[test]
    fn what_tells_of_an_event_is_found_between_two_ids_and_what_tells_of_another_is_not() {
        let event_of = |number: u128| EventId(Uuid::from_u128(number << 64 | 5));
        let (first, last) = told_between(event_of(7));
        for drawn in [0, 1, u128::MAX] {
            let drawn = Uuid::from_u128(drawn);
            let is_found = |number| (first..=last).contains(&telling(event_of(number), drawn).0);
            assert_eq!([6, 7, 8].map(is_found), [false, true, false], "{drawn}");
        }
        let told = |drawn| telling(event_of(7), Uuid::from_u128(drawn));
        assert_ne!(told(1), told(2));
    }
}
