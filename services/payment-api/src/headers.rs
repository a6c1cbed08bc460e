//! The headers of requests, as the document tells of them.

use utoipa::IntoParams;

/// Of what is asked under an idempotency key.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by `input` and `answer`, told of here")]
pub(crate) struct Keyed {
    /// Printable ASCII characters, without a space at either end. Keep it with your order, and send
    /// the same one when you try again.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    idempotency_key: String,
    /// `wait=<seconds>`, 0 to 30. Any other preference is passed over (RFC 7240).
    #[param(rename = "Prefer", value_type = String, required = false)]
    prefer: Option<String>,
}

/// Of what may be waited for and needs no key.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by `answer`, told of here")]
pub(crate) struct Patient {
    /// `wait=<seconds>`, 0 to 30. Any other preference is passed over (RFC 7240).
    #[param(rename = "Prefer", value_type = String, required = false)]
    prefer: Option<String>,
}
