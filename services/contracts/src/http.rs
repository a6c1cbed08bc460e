//! The bodies of the HTTP API, version 1.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    dispute::Dispute,
    event::Event,
    id::{AttemptId, EndpointId, NotAnId, PaymentId},
    money::{Money, UnknownCurrency},
    persistence,
};

/// What a merchant asks for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePayment {
    /// How much, at least one minor unit.
    pub amount: Money,
    /// A token for the means of payment; never a card number.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-z][a-z0-9_]*$",
        example = "tok_approve"
    )]
    pub payment_method: String,
    /// Your own word for it, shown again everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(
        min_length = 1,
        max_length = 140,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
        example = "order-7"
    )]
    pub reference: Option<String>,
    /// Whether the money is taken at once, or only reserved until it is captured.
    #[serde(default, skip_serializing_if = "CaptureMethod::is_automatic")]
    pub capture: CaptureMethod,
}

/// When the money of a payment is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMethod {
    /// At once.
    #[default]
    Automatic,
    /// When it is captured, within seven days.
    Manual,
}

impl CaptureMethod {
    /// Whether it is what nobody has to say: requests from before there was a choice then keep
    /// their fingerprints.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub fn is_automatic(&self) -> bool {
        *self == Self::Automatic
    }
}

/// How much of a payment is captured or refunded.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// How much; without it all that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// A request that has nothing to say but its address: `{}`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Where a payment stands. It only ever moves towards `succeeded`, `failed` or `canceled`, and
/// stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// On its way to the acquirer, or waiting for the acquirer's word.
    Processing,
    /// The customer has to do something, at the address in `next_action`.
    RequiresAction,
    /// The money is reserved until it is captured or the payment is canceled.
    RequiresCapture,
    /// The money moved; the ledger says so.
    Succeeded,
    /// The acquirer declined; no money moved.
    Failed,
    /// What was reserved was let go; no money moved.
    Canceled,
}

/// What an attempt asks of the acquirer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// To take money.
    #[default]
    Charge,
    /// To reserve money.
    Authorize,
    /// To take what was reserved, or a part of it; the rest is let go.
    Capture,
    /// To let go what was reserved.
    Void,
    /// To give back what was taken, or a part of it.
    Refund,
    /// To refuse a dispute, with evidence.
    Contest,
    /// To leave the money of a dispute to the customer.
    Accept,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// To be sent, or sent and not answered yet.
    Pending,
    /// Sent, and the answer was lost. Only the acquirer's word ends it.
    Unknown,
    /// The acquirer waits for the customer.
    RequiresAction,
    /// The acquirer did it.
    Approved,
    /// The acquirer did not.
    Declined,
}

macro_rules! words {
    ($kind:ident { $($variant:ident $word:literal,)* }) => {
        impl $kind {
            /// The word it is written as, here and in the database.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The state that a word means.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

pub(crate) use words;

words!(PaymentStatus { Processing "processing", RequiresAction "requires_action", RequiresCapture "requires_capture", Succeeded "succeeded", Failed "failed", Canceled "canceled", });
words!(CaptureMethod { Automatic "automatic", Manual "manual", });
words!(AttemptKind { Charge "charge", Authorize "authorize", Capture "capture", Void "void", Refund "refund", Contest "contest", Accept "accept", });
words!(AttemptStatus { Pending "pending", Unknown "unknown", RequiresAction "requires_action", Approved "approved", Declined "declined", });

impl PaymentStatus {
    /// Whether nothing is on its way: the next step, if there is one, is the merchant's.
    pub fn is_settled(self) -> bool {
        self != Self::Processing
    }
}

impl AttemptStatus {
    /// Whether the acquirer's word is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Unknown)
    }
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// Its id.
    #[schema(value_type = String, pattern = "^pay_[a-p]{32}$", example = "pay_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// The token it was made with.
    pub payment_method: String,
    /// Your own word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it failed, in the acquirer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    /// When its money is taken.
    #[serde(default)]
    pub capture: CaptureMethod,
    /// How much was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Money>,
    /// How much of that was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Money>,
    /// What customers took back by way of their banks, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Dispute>,
    /// What the customer has to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// While it requires something: until when. Then it is canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-28T05:00:00.000Z")]
    pub expires_at: Option<String>,
    /// What was asked of the acquirer, first to last.
    pub attempts: Vec<Attempt>,
    /// When it was accepted.
    #[schema(format = DateTime, example = "2026-11-21T05:00:00.000Z")]
    pub created_at: String,
    /// When it last changed.
    #[schema(format = DateTime, example = "2026-11-21T05:00:00.120Z")]
    pub updated_at: String,
}

/// What a customer has to do before a payment goes on. Confirm the payment afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextAction {
    /// Where the customer's browser has to go.
    #[schema(example = "https://acquirer.example/3ds/att_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub redirect_url: String,
}

/// One thing asked of the acquirer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its id, which is also what the acquirer knows it by.
    #[schema(value_type = String, pattern = "^att_[a-p]{32}$", example = "att_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub id: AttemptId,
    /// What is asked.
    #[serde(default)]
    pub kind: AttemptKind,
    /// How much is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Where it stands.
    pub status: AttemptStatus,
    /// Why it was declined, in the acquirer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    /// The acquirer's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquirer_reference: Option<String>,
}

/// Some payments, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PaymentPage {
    /// The payments.
    pub data: Vec<Payment>,
    /// `?after=` this for the older ones, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// `?before=` this for the newer ones, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// Where to send events.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhookEndpoint {
    /// An https address; http only on loopback.
    #[schema(
        format = "uri",
        max_length = 2048,
        example = "https://shop.example/paymesh"
    )]
    pub url: String,
}

/// Where events are sent.
// No Debug: its secret never prints.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct WebhookEndpoint {
    /// Its id.
    #[schema(pattern = "^hook_[a-p]{32}$")]
    pub id: String,
    /// The address.
    pub url: String,
    /// What the signatures are made with. It is shown this once.
    pub secret: String,
}

/// An address in use.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListedEndpoint {
    /// Its id.
    #[schema(pattern = "^hook_[a-p]{32}$")]
    pub id: String,
    /// The address.
    pub url: String,
    /// Until then deliveries are signed with the earlier secret too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub rotating_until: Option<String>,
}

/// Every address in use, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EndpointList {
    /// The addresses.
    pub data: Vec<ListedEndpoint>,
}

/// How a secret is rotated.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// How long deliveries are signed with both secrets, at most a week; 0 ends the earlier one at
    /// once, which is right when it leaked.
    #[schema(minimum = 0, maximum = 604_800, example = 86_400)]
    pub overlap_seconds: u32,
}

/// Some events, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events, as they were sent.
    pub data: Vec<Event>,
    /// `?after=` this for the older ones, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// `?before=` this for the newer ones, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// An event that is told again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    /// To how many addresses.
    pub endpoints: u32,
}

/// How far an address was told of an event.
///
/// It is `pending` while it waits for a try: the first one, another one after the address did not
/// confirm, or one of an event that is told again. It is `delivered` when nothing waits and the
/// address confirmed it, whenever that was: an event that is told again in vain stays so. It is
/// `given_up` when it was never confirmed and is not tried any more: after 24 tries, the last of them
/// three days after the first, or because the address was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It waits for a try.
    Pending,
    /// The address confirmed it, and nothing waits.
    Delivered,
    /// It was never confirmed, and nobody tries any more.
    GivenUp,
}

words!(DeliveryStatus { Pending "pending", Delivered "delivered", GivenUp "given_up", });

/// An address that is told of an event, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The id of the address; it may have been removed since.
    #[schema(pattern = "^hook_[a-p]{32}$")]
    pub endpoint: String,
    /// How far it was told.
    pub status: DeliveryStatus,
    /// How often it was tried, each time that the event was told again included.
    pub tries: u32,
    /// When it was last tried.
    #[schema(format = DateTime, example = "2026-11-21T05:00:00.000Z")]
    pub last_try_at: Option<String>,
    /// While it is `pending`: from when on it is tried next. Without it we put it aside, to look at it
    /// ourselves.
    #[schema(format = DateTime, example = "2026-11-21T05:00:05.000Z")]
    pub next_try_at: Option<String>,
    /// When the address last confirmed it, with any 2xx answer.
    #[schema(format = DateTime, example = "2026-11-21T05:00:05.000Z")]
    pub delivered_at: Option<String>,
}

/// Every address that is told of an event or was, newest first. What was told before there was this
/// list may be missing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeliveryList {
    /// The addresses, each once.
    pub data: Vec<Delivery>,
}

/// The accounts of a merchant and what moved between them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Ledger {
    /// Every account, with its balance.
    pub balances: Vec<Balance>,
    /// Movements, newest first.
    pub postings: Vec<Posting>,
}

/// What an account holds: what was credited to it, less what was debited.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// What the account is for.
    #[schema(example = "merchant_payable")]
    pub account: String,
    /// Credits less debits.
    pub posted: SignedMoney,
    /// How much of it is promised to something that is under way.
    pub held: i64,
}

/// An amount that may be negative or zero.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedMoney {
    /// In minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// One movement from one account to another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Posting {
    /// Its id.
    pub id: String,
    /// `charge`, `fee`, `refund`, `chargeback` or `chargeback_reversal`; of the last two, what your
    /// balance did not cover is `chargeback_debt` and `chargeback_debt_reversal`.
    pub kind: String,
    /// The account it was taken from.
    pub debit: String,
    /// The account it was given to.
    pub credit: String,
    /// How much.
    pub amount: SignedMoney,
    /// The payment it belongs to.
    pub payment: String,
    /// When it was booked.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// The last time that can be written, in milliseconds since 1970: at the end of the year 9999.
pub const TIME_MS_MAX: i64 = 253_402_207_200_000;

/// A time as the API writes it: RFC 3339, milliseconds, UTC.
pub fn time_text(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(
        |_| "1970-01-01T00:00:00.000Z".to_owned(),
        |at| format!("{at:.3}"),
    )
}

/// A message of db-controller that says what this version cannot understand.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unreadable {
    /// An id.
    #[error("the persistence protocol sent something that is no id")]
    Id(#[from] NotAnId),
    /// A currency.
    #[error("the persistence protocol sent an unknown currency")]
    Currency(#[from] UnknownCurrency),
    /// Anything else.
    #[error("the persistence protocol sent no known {0}")]
    Field(&'static str),
}

impl TryFrom<persistence::Money> for Money {
    type Error = Unreadable;

    fn try_from(money: persistence::Money) -> Result<Self, Unreadable> {
        Ok(Self::new(money.amount_minor, money.currency.parse()?))
    }
}

impl From<Money> for persistence::Money {
    fn from(money: Money) -> Self {
        Self {
            amount_minor: money.amount_minor,
            currency: money.currency.code().to_owned(),
        }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl TryFrom<persistence::Payment> for Payment {
    type Error = Unreadable;

    fn try_from(payment: persistence::Payment) -> Result<Self, Unreadable> {
        let amount: Money = payment
            .amount
            .ok_or(Unreadable::Field("amount"))?
            .try_into()?;
        let money = |minor: i64| (minor > 0).then(|| Money::new(minor, amount.currency));
        let attempts = payment.attempts.into_iter().map(|attempt| {
            Ok(Attempt {
                id: AttemptId::from_bytes(&attempt.attempt_id)?,
                kind: AttemptKind::from_word(&attempt.kind)
                    .ok_or(Unreadable::Field("attempt kind"))?,
                amount: money(attempt.amount_minor),
                status: AttemptStatus::from_word(&attempt.status)
                    .ok_or(Unreadable::Field("attempt status"))?,
                failure_code: some(attempt.failure_code),
                acquirer_reference: some(attempt.acquirer_reference),
            })
        });
        let disputes = payment.disputes.into_iter();
        let disputes = disputes.map(|dispute| Dispute::read(dispute, amount.currency));
        Ok(Self {
            id: PaymentId::from_bytes(&payment.payment_id)?,
            amount,
            status: PaymentStatus::from_word(&payment.status)
                .ok_or(Unreadable::Field("payment status"))?,
            payment_method: payment.payment_method,
            reference: some(payment.reference),
            failure_code: some(payment.failure_code),
            capture: CaptureMethod::from_word(&payment.capture)
                .ok_or(Unreadable::Field("capture method"))?,
            captured: money(payment.captured_minor),
            refunded: money(payment.refunded_minor),
            disputes: disputes.collect::<Result<_, Unreadable>>()?,
            next_action: some(payment.next_action_url)
                .map(|redirect_url| NextAction { redirect_url }),
            expires_at: (payment.expires_at_ms > 0).then(|| time_text(payment.expires_at_ms)),
            attempts: attempts.collect::<Result<_, Unreadable>>()?,
            created_at: time_text(payment.created_at_ms),
            updated_at: time_text(payment.updated_at_ms),
        })
    }
}

impl TryFrom<persistence::Delivery> for Delivery {
    type Error = Unreadable;

    fn try_from(delivery: persistence::Delivery) -> Result<Self, Unreadable> {
        let time = |at_ms: i64| (at_ms > 0).then(|| time_text(at_ms));
        Ok(Self {
            endpoint: EndpointId::from_bytes(&delivery.endpoint_id)?.to_string(),
            status: DeliveryStatus::from_word(&delivery.status)
                .ok_or(Unreadable::Field("delivery status"))?,
            tries: delivery.tries,
            last_try_at: time(delivery.last_try_at_ms),
            next_try_at: time(delivery.next_try_at_ms),
            delivered_at: time(delivery.delivered_at_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_up_to_the_last_one() {
        assert_eq!(time_text(TIME_MS_MAX), "9999-12-30T22:00:00.000Z");
        assert_eq!(time_text(0), "1970-01-01T00:00:00.000Z");
    }
}
