//! What went wrong, in words for a person; never with a value of a Secret.

use std::{error::Error, fmt, io, time::Duration};

use tokio_postgres::error::SqlState;

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The Kubernetes API did not do it.
    #[error("{what}")]
    Kubernetes {
        /// What was asked.
        what: String,
        /// Why not.
        #[source]
        reason: Box<kube::Error>,
    },
    /// PostgreSQL did not do it.
    #[error("{what}")]
    Postgres {
        /// What was asked.
        what: String,
        /// Why not.
        #[source]
        reason: tokio_postgres::Error,
    },
    /// A server was not reached, or not as it has to be.
    #[error("{what}")]
    Network {
        /// What was asked.
        what: String,
        /// Why not.
        #[source]
        reason: io::Error,
    },
    /// A server said nothing.
    #[error("{what}: there was no answer within {} seconds", .after.as_secs())]
    Silent {
        /// What was asked.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// The object changed while it was worked on; the next run sees what it is now.
    #[error("the object changed meanwhile")]
    Changed,
    /// Another operator works on the object, by this process of the server; the next run waits again.
    #[error("another operator works on it")]
    Busy(Option<i32>),
    /// A person has to do something; the object's conditions say what.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// What the API server's refusal of `what` means.
    pub(crate) fn kubernetes(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        |reason| match &reason {
            // Somebody else wrote since the object was read.
            kube::Error::Api(status) if status.code == 409 => Self::Changed,
            _ => Self::Kubernetes {
                what,
                reason: Box::new(reason),
            },
        }
    }

    /// Whether it passes by itself, so that nobody has to be told.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Changed | Self::Busy(_))
    }

    /// What PostgreSQL's refusal of `what` means.
    pub(crate) fn postgres(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        |reason| Self::Postgres { what, reason }
    }

    /// What it means that nobody answered.
    pub(crate) fn silent(what: impl Into<String>, after: Duration) -> Self {
        let what = what.into();
        Self::Silent { what, after }
    }

    /// Whether PostgreSQL said one of these.
    pub(crate) fn has_code(&self, codes: &[SqlState]) -> bool {
        let code = match self {
            Self::Postgres { reason, .. } => reason.code(),
            _ => None,
        };
        code.is_some_and(|code| codes.contains(code))
    }
}

/// An error with its causes, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = Words(cause).to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// An error in a person's words: PostgreSQL keeps the useful ones beside its message.
struct Words<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Words<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => write!(out, "{} ({})", status.message, status.code),
            _ => fmt::Display::fmt(self.0, out),
        }
    }
}
