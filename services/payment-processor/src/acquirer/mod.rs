//! What an acquirer can be asked, whoever it is.

mod http;

use async_trait::async_trait;
use paymesh_contracts::{AttemptId, Money, persistence::Origin};

pub use http::HttpAcquirer;

/// A charge to make.
#[derive(Clone, Debug)]
pub struct Charge {
    /// What the acquirer knows it by; charged once for ever.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// The token of the means of payment.
    pub payment_method: String,
    /// Where it comes from. The acquirer keeps it, so that we can ask after losing data.
    pub origin: Origin,
}

/// A charge in the acquirer's list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the acquirer knows it by.
    pub attempt_id: AttemptId,
    /// How much.
    pub amount: Money,
    /// Where it comes from, if that can be read.
    pub origin: Option<Origin>,
}

/// A page of the acquirer's list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Charges that were not voided.
    pub charges: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// The acquirer's word on an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took the money.
    Approved {
        /// Its own reference.
        reference: String,
    },
    /// It took nothing, and never will for this attempt.
    Declined {
        /// Why.
        code: String,
        /// Its own reference, if it keeps one.
        reference: Option<String>,
    },
}

/// There is no word, and the attempt may have been charged.
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
    /// Makes a charge, or gives the verdict on the one made before under the same id.
    async fn charge(&self, charge: &Charge) -> Result<Verdict, NoWord>;

    /// The verdict on a charge sent before; `None` if the acquirer has never heard of it. It may
    /// still be on its way, so this proves nothing about the future.
    async fn find(&self, charge: &Charge) -> Result<Option<Verdict>, NoWord>;

    /// The charges it made since a time of its own books, oldest first.
    async fn charges_since(&self, since_ms: i64, after: Option<String>) -> Result<Page, NoWord>;

    /// Gives the money of a charge back, as if it had never been made. Twice is the same as once.
    async fn void(&self, attempt_id: AttemptId) -> Result<(), NoWord>;
}
