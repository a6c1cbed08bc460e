//! What can be asked of the database, and what comes of it.

use paymesh_contracts::{
    AttemptId, Currency, DisputeId, MessageId, Money, PaymentId, TenantId,
    dispute::DisputeStatus,
    http::{AttemptKind, CaptureMethod},
};
use uuid::Uuid;

/// The name of a request, for ever: a merchant and the key they chose.
pub type Key = (TenantId, String);

/// Something to be done in one transaction. Doing it twice is doing it once.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take in a payment.
    CreatePayment(CreatePayment),
    /// Take in a payment again that was lost, because the acquirer has its charge.
    Adopt(CreatePayment),
    /// Capture, void or refund a payment.
    Act(Act),
    /// Do so again, because it was lost and the acquirer has it.
    AdoptAct(Act),
    /// Ask the acquirer again after the customer did what a payment requires.
    Confirm(TenantId, PaymentId),
    /// Make the answer to a key final.
    SettleAnswer(Key),
    /// Record what came of a message.
    Complete(Complete),
    /// Take down what the acquirer says of a dispute.
    Hear(DisputeNotice),
}

/// A request that is carried out once, whoever sends it how often.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Whose it is and what names it.
    pub key: Key,
    /// SHA-256 of what was asked.
    pub fingerprint: [u8; 32],
    /// Tells a request's own retry from another request with the same key.
    pub request_id: Uuid,
}

/// A payment to take in.
#[derive(Clone, Debug)]
pub struct CreatePayment {
    /// The request.
    pub request: Keyed,
    /// The id it gets if the key is new.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// The token.
    pub payment_method: String,
    /// The merchant's own word.
    pub reference: Option<String>,
    /// When the money is taken.
    pub capture: CaptureMethod,
}

/// Something to be done with a payment.
#[derive(Clone, Debug)]
pub struct Act {
    /// The request.
    pub request: Keyed,
    /// With which payment.
    pub payment_id: PaymentId,
    /// What.
    pub kind: AttemptKind,
    /// How much; without it all that is left.
    pub amount: Option<Money>,
    /// What is answered to a dispute, if that is what is done.
    pub answer: Option<DisputeAnswer>,
}

/// An answer to a dispute.
#[derive(Clone, Debug)]
pub struct DisputeAnswer {
    /// Which one.
    pub dispute: DisputeName,
    /// Why it is wrong, if it is not accepted.
    pub explanation: Option<String>,
}

/// What names a dispute.
#[derive(Clone, Debug)]
pub enum DisputeName {
    /// Our id of it.
    Id(DisputeId),
    /// What the acquirer calls it.
    Reference(String),
}

/// What the acquirer says of a dispute.
#[derive(Clone, Debug)]
pub struct DisputeNotice {
    /// Whose payment it is.
    pub tenant_id: TenantId,
    /// Which payment it is about.
    pub payment_id: PaymentId,
    /// As the acquirer calls it.
    pub reference: String,
    /// Whether it calls it otherwise, in a way that cannot be kept: then a person has to look, since
    /// nobody could answer the dispute under this name.
    pub is_renamed: bool,
    /// How much.
    pub amount: Money,
    /// Why, in the acquirer's words.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Grows with each change of this dispute.
    pub version: i64,
    /// Until when it can be answered, if it says.
    pub respond_by_ms: Option<i64>,
}

/// What came of a message.
#[derive(Clone, Debug)]
pub struct Complete {
    /// Which message.
    pub message_id: MessageId,
    /// By which right.
    pub lease: Lease,
    /// Whether a relay had that right, and whoever worked on the message claimed it: then a takeover
    /// between relays says nothing about the work.
    pub is_claimed: bool,
    /// What came of it.
    pub effect: Effect,
    /// What the message is about, if that is remembered here.
    pub about: Option<About>,
}

/// What a message is about, of which nothing ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The payment.
    pub payment_id: PaymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Of the payment; none if this version does not know it, which makes the payment count as absent.
    pub currency: Option<Currency>,
    /// The key that its attempt answers, if it is about one.
    pub key: Option<String>,
}

/// The right to hand out messages of a partition, and to complete them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who reads the messages.
    pub consumer: Consumer,
    /// Which partition.
    pub partition: i16,
    /// Since when; a greater one ends it.
    pub epoch: i64,
}

impl Lease {
    /// Whether two epochs of a lease belong to one ledger epoch: a promotion raises every lease to
    /// the number of its own, shifted by 32 bits.
    pub fn is_of_one_ledger_epoch(epoch: i64, other: i64) -> bool {
        epoch >> 32 == other >> 32
    }
}

/// Who reads messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consumer {
    /// Sends attempts to the acquirer.
    Attempts,
    /// Tells merchants.
    Webhooks,
}

impl Consumer {
    /// Every consumer.
    pub const ALL: [Self; 2] = [Self::Attempts, Self::Webhooks];

    /// Its name in the database and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Webhooks => "webhooks",
        }
    }

    /// The consumer that a name means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|consumer| consumer.word() == word)
    }
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The acquirer took the money.
    Approved {
        /// The attempt it speaks of.
        attempt_id: AttemptId,
        /// Its own reference.
        acquirer_reference: String,
    },
    /// The acquirer took nothing, and never will for this attempt.
    Declined {
        /// The attempt it speaks of.
        attempt_id: AttemptId,
        /// Why.
        failure_code: String,
        /// Its own reference, if it gave one.
        acquirer_reference: Option<String>,
    },
    /// Nobody knows.
    Unknown {
        /// The attempt it speaks of.
        attempt_id: AttemptId,
        /// What the acquirer says instead, if that cannot be true; a person has to look.
        contradiction: Option<String>,
    },
    /// A merchant was told, or could not be.
    WebhookTried {
        /// Whether they confirmed it.
        delivered: bool,
        /// What they answered.
        status: Option<i32>,
        /// Why no answer came.
        error: Option<String>,
        /// The endpoint is gone: nobody is told again.
        is_removed: bool,
    },
    /// The customer has to do something first.
    ActionRequired {
        /// The attempt it speaks of.
        attempt_id: AttemptId,
        /// Where they have to go.
        url: String,
    },
    /// Nothing came of the message, and nothing will as things are.
    CannotHandle {
        /// Why.
        reason: String,
    },
    /// The time for what a payment requires is over.
    Expired,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The payment is taken in.
    Created {
        /// Its id.
        payment_id: PaymentId,
        /// The final answer, when an earlier try of this very request got that far.
        answer: Option<Answer>,
    },
    /// An earlier request with this key took it in.
    Replayed {
        /// The id of what it made.
        payment_id: PaymentId,
        /// The final answer, if there is one yet.
        answer: Option<Answer>,
    },
    /// An earlier request with this key is not committed yet.
    InFlight,
    /// An earlier request with this key asked for something else.
    ChangedBody,
    /// The ledger recovers from a promotion; nothing was done.
    Recovering,
    /// The answer to the key, final.
    Settled(Answer),
    /// This attempt's word is awaited, if it was not heard yet.
    Confirmed(AttemptId),
    /// The message took effect.
    Applied,
    /// The message had taken effect before.
    Already,
    /// Somebody else holds the partition.
    Fenced,
    /// An account would fall below its floor. Nothing was done.
    OverLimit,
    /// The payment is not in a state for it. Nothing was done.
    WrongState,
    /// It is more than is left, or in another currency. Nothing was done.
    TooMuch,
    /// There is no such thing.
    NotFound,
    /// The effect does not belong to the message.
    Misplaced,
}

/// What an API caller got for a key, kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}
