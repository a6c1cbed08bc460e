//! Every error a merchant can meet, once: status, type, code, what happened and what to do.
//!
//! `errors.md` beside this crate's manifest is made from it; a test keeps the two equal.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])* $variant:ident $code:literal $status:literal $kind:literal, $message:literal, $advice:literal;)*) => {
        /// What went wrong with a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* #[doc = $message] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The family it belongs to, for callers that do not know the code.
            pub fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)* }
            }

            /// What happened.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What to do next.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

catalogue! {
    Unauthenticated "unauthenticated" 401 "authentication", "The API key is missing, unknown or revoked.", "Send `Authorization: Bearer <key>` with a key that is in use.";
    MissingScope "missing_scope" 403 "authentication", "The API key may not do this.", "Use a key with the scope that `param` names.";
    KeyMissing "idempotency_key_missing" 400 "invalid_request", "The header Idempotency-Key is missing.", "Send a key that you keep with your order; send the same one when you try again.";
    KeyInvalid "idempotency_key_invalid" 400 "invalid_request", "The idempotency key is not 1 to 255 printable ASCII characters.", "Use a UUID or your order number.";
    BodyInvalid "body_invalid" 400 "invalid_request", "The body is not JSON of the documented shape.", "Compare it with the OpenAPI document; `detail` names the place.";
    BodyTooLarge "body_too_large" 413 "invalid_request", "The body is larger than 64 KiB.", "Keep large data in your own system and send a reference.";
    FieldInvalid "field_invalid" 422 "invalid_request", "A field has a value that is not allowed.", "Correct the field that `param` names.";
    CardNumberRefused "card_number_refused" 422 "invalid_request", "A field looks like a card number. Nothing was kept.", "Send tokens only, and change a reference that happens to look like a card number.";
    KeyInFlight "request_in_flight" 409 "idempotency", "The first request with this idempotency key is not committed yet.", "Send it again in a moment, unchanged.";
    KeyReused "idempotency_key_reused" 422 "idempotency", "This idempotency key was used with another body.", "Use a new key for a new payment, or send the first body unchanged.";
    PaymentState "payment_state" 422 "invalid_request", "The payment is not in a state in which this can be done.", "Read the payment; what is on its way has to come to its end first.";
    AmountTooLarge "amount_too_large" 422 "invalid_request", "The amount is more than is left, or in another currency.", "Read the payment: what was reserved, what was captured, what was refunded or is about to be.";
    BalanceInsufficient "balance_insufficient" 422 "invalid_request", "Your balance does not cover it.", "Wait for more payments, then send it again with the same idempotency key.";
    NotFound "not_found" 404 "invalid_request", "There is no such object, or it is not yours.", "Check the id and which account the API key belongs to.";
    MethodNotAllowed "method_not_allowed" 405 "invalid_request", "This address does not know this method.", "Compare it with the OpenAPI document.";
    OutcomeUnknown "outcome_unknown" 503 "unavailable", "We cannot say whether the request was carried out.", "Send it again with the same idempotency key; it will not happen twice.";
    Recovering "recovering" 503 "unavailable", "The database moved to another server and is being compared with the acquirer. Nothing was done.", "Send it again after `Retry-After` seconds with the same idempotency key.";
    Upgrading "upgrading" 503 "unavailable", "A part of us that this needs is still of the version before. Nothing was done.", "Send it again after `Retry-After` seconds; it passes when the upgrade is over.";
    RateLimited "rate_limited" 429 "unavailable", "These are more requests a second than this server takes of one merchant. Nothing was done.", "Send it again after `Retry-After` seconds, and fewer at once.";
    Overloaded "overloaded" 503 "unavailable", "Too many requests are being worked on. Nothing was done.", "Send it again after `Retry-After` seconds with the same idempotency key.";
    Internal "internal" 500 "internal", "We made a mistake.", "Send it again with the same idempotency key; if it stays, tell us the request id.";
}

/// The body of every error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// The family: authentication, `invalid_request`, idempotency, unavailable or internal.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code, which never changes its meaning.
    #[schema(example = "idempotency_key_reused")]
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub advice: String,
    /// The field or header it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// More about this case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Finds this request in our logs.
    pub request_id: String,
}

impl Code {
    /// The body for one case of this error.
    pub fn body(
        self,
        request_id: &str,
        param: Option<String>,
        detail: Option<String>,
    ) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                kind: self.kind().to_owned(),
                code: self.code().to_owned(),
                message: self.message().to_owned(),
                advice: self.advice().to_owned(),
                param,
                detail,
                request_id: request_id.to_owned(),
            },
        }
    }
}

/// The catalogue as a page.
pub fn page() -> String {
    let mut page = "# Errors of the payment API\n\n| code | status | type | what happened | what to do |\n|---|---|---|---|---|\n".to_owned();
    for code in Code::ALL {
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            code.code(),
            code.status(),
            code.kind(),
            code.message(),
            code.advice()
        )
        .expect("a string takes everything");
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_says_what_the_code_says() {
        expect_test::expect_file!["../errors.md"].assert_eq(&super::page());
    }
}
