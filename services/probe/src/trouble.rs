//! What came in the place of what was expected.

use std::error::Error;

use paymesh_contracts::{Code, ErrorBody, PaymentId, http::Payment};

/// Whether asking again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    /// Nobody knows what became of it: the same request at once finds out.
    Now,
    /// It is on its way, or nobody can work at the moment.
    Later,
    /// It was refused, and will be as things are.
    Never,
}

/// What came, and what can be hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In words.
    pub(crate) came: String,
    /// The HTTP status of an answer that is none of success.
    pub(crate) status: Option<u16>,
    /// The code of that error, or why the acquirer declined.
    pub(crate) code: Option<String>,
    /// The payment it is about, if that is known.
    pub(crate) payment: Option<PaymentId>,
    /// Whether asking again may help.
    pub(crate) hope: Hope,
    /// Whether what was asked for may be done all the same, now or later.
    pub(crate) may_be_done: bool,
}

impl Trouble {
    /// Something that was read and is not right.
    pub(crate) fn wrong(came: impl Into<String>) -> Self {
        Self {
            came: came.into(),
            status: None,
            code: None,
            payment: None,
            hope: Hope::Never,
            may_be_done: false,
        }
    }

    /// There is no answer to read.
    pub(crate) fn lost(came: impl Into<String>) -> Self {
        Self {
            hope: Hope::Now,
            may_be_done: true,
            ..Self::wrong(came)
        }
    }

    /// The connection failed.
    pub(crate) fn unreachable(error: reqwest::Error) -> Self {
        let kind = if error.is_connect() {
            "no connection"
        } else {
            "an answer that broke off"
        };
        let error = error.without_url();
        // What reqwest says itself is only that it failed; the reason is at the end of the chain.
        let mut reason: &dyn Error = &error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        Self {
            // Without a connection nothing was sent.
            may_be_done: !error.is_connect(),
            ..Self::lost(format!("{kind}: {reason}"))
        }
    }

    /// An answer that is none of success.
    pub(crate) fn refusal(status: u16, body: &[u8]) -> Self {
        let body: Option<ErrorBody> = serde_json::from_slice(body).ok();
        let code = body.map(|body| body.error.code);
        let is = |known: Code| code.as_deref() == Some(known.code());
        // What stands before the API, and says so without a code, knows nothing of the request.
        let is_lost = code.is_none() && status >= 500;
        let hope = if is_lost || is(Code::OutcomeUnknown) || is(Code::KeyInFlight) {
            Hope::Now
        } else if status >= 500 || status == 429 {
            Hope::Later
        } else {
            Hope::Never
        };
        // These say of themselves that nothing was done.
        let is_undone = is(Code::Overloaded) || is(Code::Recovering);
        let may_be_done = hope == Hope::Now || status >= 500 && !is_undone;
        Self {
            status: Some(status),
            code,
            hope,
            may_be_done,
            ..Self::wrong("a refusal")
        }
    }

    /// A payment that is not where it should be by now, and the reason if there is one.
    pub(crate) fn stands(payment: &Payment, came: String, code: Option<String>) -> Self {
        let hope = if is_under_way(payment) {
            Hope::Later
        } else {
            Hope::Never
        };
        Self {
            code,
            hope,
            ..Self::wrong(came).about(payment.id)
        }
    }

    /// The same, of a payment.
    #[must_use]
    pub(crate) fn about(self, payment: PaymentId) -> Self {
        Self {
            payment: Some(payment),
            ..self
        }
    }
}

/// Whether the acquirer's word on anything asked of it is still to come.
pub(crate) fn is_under_way(payment: &Payment) -> bool {
    payment.attempts.iter().any(|one| one.status.is_open())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, hope: Hope, code: Option<&str>) {
        let trouble = Trouble::refusal(status, body.as_bytes());
        assert_eq!(
            (trouble.status, trouble.hope, trouble.code.as_deref()),
            (Some(status), hope, code),
            "{body}"
        );
    }

    #[test]
    fn a_request_is_sent_again_only_if_nobody_knows_what_became_of_it() {
        let body = |code: Code| {
            let body = code.body("req_a", None, None);
            serde_json::to_string(&body).unwrap()
        };
        for (code, hope) in [
            (Code::OutcomeUnknown, Hope::Now),
            (Code::KeyInFlight, Hope::Now),
            (Code::Overloaded, Hope::Later),
            (Code::Recovering, Hope::Later),
            (Code::RateLimited, Hope::Later),
            (Code::Internal, Hope::Later),
            (Code::BalanceInsufficient, Hope::Never),
            (Code::Unauthenticated, Hope::Never),
        ] {
            check(code.status(), &body(code), hope, Some(code.code()));
        }
        check(502, "<html>Bad Gateway</html>", Hope::Now, None);
        check(404, "<html>Not Found</html>", Hope::Never, None);
    }

    #[test]
    fn only_who_says_so_did_nothing() {
        for (code, expected) in [
            (Code::OutcomeUnknown, true),
            (Code::KeyInFlight, true),
            (Code::Internal, true),
            (Code::Overloaded, false),
            (Code::Recovering, false),
            (Code::RateLimited, false),
            (Code::Unauthenticated, false),
        ] {
            let body = serde_json::to_vec(&code.body("req_a", None, None)).unwrap();
            let trouble = Trouble::refusal(code.status(), &body);
            assert_eq!(trouble.may_be_done, expected, "{trouble:?}");
        }
        assert!(Trouble::refusal(502, b"<html>Bad Gateway</html>").may_be_done);
        assert!(Trouble::lost("no answer in time").may_be_done);
    }
}
