//! What an acquirer can be asked, whoever it is.

mod http;
mod wire;

use async_trait::async_trait;
use paymesh_contracts::{
    AttemptId, Money,
    persistence::{DisputeNotice, Origin},
};

pub use http::HttpAcquirer;

/// Something to be asked of the acquirer.
#[derive(Clone, Debug)]
pub struct Order {
    /// What the acquirer knows it by; done once for ever.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// What is asked.
    pub task: Task,
    /// Where it comes from. The acquirer keeps it, so that we can ask after losing data.
    pub origin: Origin,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Take money from the means of payment that a token names.
    Charge(String),
    /// Reserve money of the means of payment that a token names.
    Authorize(String),
    /// Take what an earlier attempt reserved, and let go the rest.
    Capture(AttemptId),
    /// Let go what an earlier attempt reserved.
    Void(AttemptId),
    /// Give back what an earlier attempt took.
    Refund(AttemptId),
    /// Say why a dispute of what an earlier attempt took is wrong.
    Contest(AttemptId, Answered, String),
    /// Leave the money of a dispute to the customer.
    Accept(AttemptId, Answered),
}

/// A dispute that is answered, as the acquirer calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered(pub String);

/// A charge or an operation in the acquirer's list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the acquirer knows it by.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// What was done: empty for a charge.
    pub kind: String,
    /// Of an answer to a dispute: which one, as the acquirer calls it.
    pub dispute: String,
    /// What was answered.
    pub explanation: String,
    /// Where it comes from, if that can be read.
    pub origin: Option<Origin>,
}

/// Which of its lists the acquirer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Charges that were not voided.
    Charges,
    /// Everything else.
    Operations,
}

/// What the acquirer tells unasked, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// What it says of disputes.
    pub disputes: Vec<DisputeNotice>,
    /// Where the next ones begin.
    pub position: String,
    /// Whether there are more already.
    pub is_more: bool,
}

/// A page of the acquirer's list.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it lists.
    pub rows: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// The acquirer's word on an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did it.
    Approved {
        /// Its own reference.
        reference: String,
    },
    /// It did not, and never will for this attempt.
    Declined {
        /// Why.
        code: String,
        /// Its own reference, if it keeps one.
        reference: Option<String>,
    },
    /// It waits for the customer.
    ActionRequired {
        /// Where they have to go.
        url: String,
    },
}

/// There is no word, and it may have been done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWord {
    /// No answer, or none that can be read.
    #[error("the acquirer gave no usable answer: {0}")]
    Silent(String),
    /// An answer that cannot be about this attempt. Whatever it says is not booked.
    #[error("the acquirer contradicts our books: {0}")]
    Contradiction(String),
}

/// An acquirer.
#[async_trait]
pub trait Acquirer: Send + Sync {
    /// Does something, or gives the verdict on what was done before under the same id.
    async fn send(&self, order: &Order) -> Result<Verdict, NoWord>;

    /// The verdict on an order sent before; `None` if the acquirer has never heard of it. It may
    /// still be on its way, so this proves nothing about the future.
    async fn find(&self, order: &Order) -> Result<Option<Verdict>, NoWord>;

    /// What it did since a time of its own books, oldest first.
    async fn since(&self, list: List, since_ms: i64, after: Option<String>)
    -> Result<Page, NoWord>;

    /// What it told since a position; empty is from the beginning.
    async fn notices(&self, position: &str) -> Result<Notices, NoWord>;

    /// Gives the money of a charge back, as if it had never been made. Twice is the same as once.
    async fn void(&self, attempt_id: AttemptId) -> Result<(), NoWord>;
}
