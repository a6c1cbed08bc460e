//! Who looks: HTTP Basic authentication, whose password is the merchant's API key.
//!
//! A browser asks for it by itself and says it with each request, so nothing has to be kept here.
//! That it would say it for other sites too is stopped in `app.rs`.

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use paymesh_operations::Secret;

use crate::frame::{Frame, show};

/// What a browser is told to ask for.
const CHALLENGE: &str = r#"Basic realm="Paymesh: the password is your API key", charset="UTF-8""#;

/// A merchant's API key, which payment-api alone can tell from any other text.
pub(crate) struct Key(Secret);

impl Key {
    /// The key itself, for the one call that needs it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The key in a header `Authorization`; the name beside it may be any.
    fn read(value: &HeaderValue) -> Option<Self> {
        let (scheme, pair) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = STANDARD.decode(pair.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (_, key) = pair.split_once(':')?;
        // Anything else cannot be said to payment-api, so it is no key of its.
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(key.to_owned().into()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let value = parts.headers.get(header::AUTHORIZATION);
        value.and_then(Self::read).ok_or(Refused)
    }
}

/// Nobody said a key, or payment-api does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let page = Page {
            frame: Frame::still("Sign in"),
        };
        let mut response = show(StatusCode::UNAUTHORIZED, &page);
        let headers = response.headers_mut();
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(CHALLENGE),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let value = HeaderValue::from_str(value).unwrap();
        let key = Key::read(&value);
        assert_eq!(key.as_ref().map(Key::expose), expected, "{value:?}");
    }

    fn basic(pair: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn the_password_is_the_key_and_the_name_may_be_any() {
        check(&basic(b"merchant:sk_one"), Some("sk_one"));
        check(&basic(b":sk_one"), Some("sk_one"));
        // RFC 7617: a name has no colon, a password may.
        check(&basic(b"me:sk:one"), Some("sk:one"));
        let lower = basic(b"me:sk_one").replace("Basic", "bAsIc");
        check(&lower, Some("sk_one"));
    }

    #[test]
    fn what_is_no_password_is_no_key() {
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Basic sk_one",
            "Basic ====",
            "Bearer sk_one",
            &basic(b"merchant"),
            &basic(b"merchant:"),
            // What no header may hold is not sent on.
            &basic(b"merchant:one\r\nX-Other: two"),
            &basic(b"merchant:one two"),
            &basic("merchant:schlüssel".as_bytes()),
            &basic(b"merchant:\xff\xfe"),
        ] {
            check(wrong, None);
        }
    }
}
