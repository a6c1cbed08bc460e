//! The rows a group of commands works on, and what it changes in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use paymesh_contracts::{
    AttemptId, EndpointId, EventId, MessageId, Money, PaymentId, TenantId,
    http::{self, AttemptStatus, PaymentStatus, time_text},
};
use uuid::Uuid;

use crate::{
    command::{Answer, Consumer, Key},
    ledger::{AccountId, Balance, Posting},
};

/// How many partitions a consumer's messages are spread over.
pub const PARTITIONS: i16 = 16;

/// The partition of everything about a payment. The last byte of its id is drawn at random.
pub fn partition_of(payment_id: PaymentId) -> i16 {
    i16::from(payment_id.0.as_bytes()[15]) % PARTITIONS
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

/// A payment with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// Whose, and what names it.
    pub key: Key,
    /// How much.
    pub amount: Money,
    /// The token.
    pub payment_method: String,
    /// The merchant's word.
    pub reference: Option<String>,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// When it was taken in.
    pub created_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
    /// Its tries, first to last.
    pub attempts: Vec<AttemptRow>,
}

/// One try at the acquirer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its id.
    pub id: AttemptId,
    /// First is 1.
    pub number: i32,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The acquirer's reference.
    pub acquirer_reference: Option<String>,
    /// Why it was declined.
    pub failure_code: Option<String>,
    /// How often no answer came.
    pub checks: i32,
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
}

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Send an attempt.
    SendAttempt(AttemptId),
    /// Find out what became of an attempt.
    CheckAttempt(AttemptId),
    /// Tell a merchant.
    DeliverWebhook(EventId, EndpointId),
}

impl Work {
    /// Its name in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::SendAttempt(_) => "send_attempt",
            Self::CheckAttempt(_) => "check_attempt",
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

/// An acquirer that contradicts itself.
#[derive(Clone, Debug)]
pub struct MismatchRow {
    /// About what.
    pub attempt_id: AttemptId,
    /// What it had said.
    pub recorded: AttemptStatus,
    /// What it says now.
    pub claimed: String,
}

/// What the transaction of a group writes. Rows that change are named here and taken from the
/// [`World`], each once however often it changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Keys to insert. Sorted, since two groups may want the same ones.
    pub new_keys: BTreeSet<Key>,
    /// Payments to insert, with their first attempts.
    pub new_payments: Vec<PaymentId>,
    /// Payments whose status changed.
    pub payments: HashSet<PaymentId>,
    /// Attempts that changed, with their payments.
    pub attempts: HashMap<AttemptId, PaymentId>,
    /// Keys whose answer became final.
    pub answers: HashSet<Key>,
    /// Postings to insert.
    pub postings: Vec<Posting>,
    /// What each balance gains.
    pub balances: BTreeMap<AccountId, i64>,
    /// Events to insert.
    pub events: Vec<EventRow>,
    /// Messages to insert.
    pub messages: Vec<(MessageId, MessageRow)>,
    /// Messages that took effect, with the epoch by which they did.
    pub completed: Vec<(MessageId, MessageRow, i64)>,
    /// Deliveries to insert.
    pub deliveries: Vec<DeliveryRow>,
    /// Contradictions to insert.
    pub mismatches: Vec<MismatchRow>,
    /// Payments that came to their end, with the answer to their key.
    pub ended: Vec<(PaymentId, Answer)>,
}

impl PaymentRow {
    /// The payment as the API shows it.
    pub fn shown(&self, id: PaymentId) -> http::Payment {
        http::Payment {
            id,
            amount: self.amount,
            status: self.status,
            payment_method: self.payment_method.clone(),
            reference: self.reference.clone(),
            failure_code: self.failure_code.clone(),
            attempts: self.attempts.iter().map(AttemptRow::shown).collect(),
            created_at: time_text(self.created_at_ms),
            updated_at: time_text(self.updated_at_ms),
        }
    }

    /// The answer to the request that made it, as things stand.
    pub fn answer(&self, id: PaymentId) -> Answer {
        Answer {
            status: if self.status.is_final() { 201 } else { 202 },
            body: serde_json::to_vec(&self.shown(id)).expect("a payment is plain data"),
        }
    }
}

impl AttemptRow {
    fn shown(&self) -> http::Attempt {
        http::Attempt {
            id: self.id,
            status: self.status,
            acquirer_reference: self.acquirer_reference.clone(),
        }
    }
}
