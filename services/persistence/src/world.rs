//! The rows a group of commands works on, and what it changes in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use paymesh_contracts::{
    AttemptId, EndpointId, EventId, MessageId, Money, PaymentId, TenantId,
    http::{self, AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus, time_text},
};
use uuid::Uuid;

use crate::{
    command::{Answer, Consumer, Key},
    ledger::{AccountId, Balance, Movement, Posting},
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
    /// When its money is taken.
    pub capture: CaptureMethod,
    /// When what it requires of its merchant is over.
    pub expires_at_ms: Option<i64>,
    /// What was asked of the acquirer, first to last. The first one takes or reserves the money.
    pub attempts: Vec<AttemptRow>,
}

/// One thing asked of the acquirer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its id.
    pub id: AttemptId,
    /// First is 1.
    pub number: i32,
    /// What is asked.
    pub kind: AttemptKind,
    /// How much is asked for.
    pub amount_minor: i64,
    /// The key of the request that wanted it; that of the payment if nobody did.
    pub key: String,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The acquirer's reference.
    pub acquirer_reference: Option<String>,
    /// Why it was declined.
    pub failure_code: Option<String>,
    /// Where the acquirer wanted the customer.
    pub action_url: Option<String>,
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
            _ => Self::SendOperation(attempt.id),
        }
    }

    /// Finds out what became of an attempt.
    pub fn check(attempt: &AttemptRow) -> Self {
        match attempt.kind {
            AttemptKind::Charge => Self::CheckAttempt(attempt.id),
            _ => Self::CheckOperation(attempt.id),
        }
    }

    /// The attempt it is about.
    pub fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::SendAttempt(id)
            | Self::CheckAttempt(id)
            | Self::SendOperation(id)
            | Self::CheckOperation(id) => Some(id),
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
    /// Payments to insert.
    pub new_payments: Vec<PaymentId>,
    /// Attempts to insert, with their payments.
    pub new_attempts: Vec<(AttemptId, PaymentId)>,
    /// Payments that changed.
    pub payments: HashSet<PaymentId>,
    /// Attempts that changed, with their payments.
    pub attempts: HashMap<AttemptId, PaymentId>,
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

impl PaymentRow {
    /// An attempt of it.
    pub fn attempt(&self, id: AttemptId) -> Option<&AttemptRow> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    fn sum(&self, is_meant: impl Fn(&AttemptRow) -> bool) -> i64 {
        let meant = self.attempts.iter().filter(|attempt| is_meant(attempt));
        meant.map(|attempt| attempt.amount_minor).sum()
    }

    /// How much was taken.
    pub fn captured_minor(&self) -> i64 {
        self.sum(|attempt| {
            matches!(attempt.kind, AttemptKind::Charge | AttemptKind::Capture)
                && attempt.status == AttemptStatus::Approved
        })
    }

    /// How much of it was given back.
    pub fn refunded_minor(&self) -> i64 {
        self.sum(|attempt| {
            attempt.kind == AttemptKind::Refund && attempt.status == AttemptStatus::Approved
        })
    }

    /// How much of it is about to be given back.
    pub fn refunding_minor(&self) -> i64 {
        self.sum(|attempt| attempt.kind == AttemptKind::Refund && attempt.status.is_open())
    }

    /// How much is reserved, and neither taken nor let go.
    pub fn reserved_minor(&self) -> i64 {
        let is_over = self.attempts.iter().any(|attempt| {
            matches!(attempt.kind, AttemptKind::Capture | AttemptKind::Void)
                && attempt.status == AttemptStatus::Approved
        });
        let reserved = self.sum(|attempt| {
            attempt.kind == AttemptKind::Authorize && attempt.status == AttemptStatus::Approved
        });
        if is_over { 0 } else { reserved }
    }

    /// Where the customer has to go now.
    pub fn action_url(&self) -> Option<String> {
        let is_required = self.status == PaymentStatus::RequiresAction;
        let url = self.attempts.first()?.action_url.clone();
        url.filter(|_| is_required)
    }

    /// The payment as the API shows it.
    pub fn shown(&self, id: PaymentId) -> http::Payment {
        let money = |minor| (minor > 0).then(|| Money::new(minor, self.amount.currency));
        http::Payment {
            id,
            amount: self.amount,
            status: self.status,
            payment_method: self.payment_method.clone(),
            reference: self.reference.clone(),
            failure_code: self.failure_code.clone(),
            capture: self.capture,
            captured: money(self.captured_minor()),
            refunded: money(self.refunded_minor()),
            next_action: self
                .action_url()
                .map(|redirect_url| http::NextAction { redirect_url }),
            expires_at: self.expires_at_ms.map(time_text),
            attempts: self
                .attempts
                .iter()
                .map(|attempt| attempt.shown(self.amount))
                .collect(),
            created_at: time_text(self.created_at_ms),
            updated_at: time_text(self.updated_at_ms),
        }
    }

    /// The answer to a request about it, as things stand: 202 while its attempt is on its way.
    pub fn answer(&self, id: PaymentId, key: &str) -> Answer {
        let attempt = self.attempts.iter().find(|attempt| attempt.key == key);
        let status = match attempt {
            Some(attempt) if attempt.status.is_open() => 202,
            Some(attempt) if attempt.number > 1 => 200,
            _ => 201,
        };
        Answer {
            status,
            body: serde_json::to_vec(&self.shown(id)).expect("a payment is plain data"),
        }
    }
}

impl AttemptRow {
    /// The attempt as the API shows it, of a payment of `whole`.
    pub fn shown(&self, whole: Money) -> http::Attempt {
        http::Attempt {
            id: self.id,
            kind: self.kind,
            amount: Some(Money::new(self.amount_minor, whole.currency)),
            status: self.status,
            failure_code: self.failure_code.clone(),
            acquirer_reference: self.acquirer_reference.clone(),
        }
    }
}
