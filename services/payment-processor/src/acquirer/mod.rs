//! What an acquirer can be asked, whoever it is.

mod http;

use async_trait::async_trait;
use paymesh_contracts::{AttemptId, Money};

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
#[error("the acquirer gave no usable answer: {0}")]
pub struct NoWord(pub String);

/// An acquirer.
#[async_trait]
pub trait Acquirer: Send + Sync {
    /// Makes a charge, or gives the verdict on the one made before under the same id.
    async fn charge(&self, charge: &Charge) -> Result<Verdict, NoWord>;

    /// The verdict on an attempt; `None` if the acquirer has never heard of it. It may still be on
    /// its way, so this proves nothing about the future.
    async fn find(&self, attempt_id: AttemptId) -> Result<Option<Verdict>, NoWord>;
}
