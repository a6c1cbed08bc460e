//! What callers send: read once, searched for card numbers, then decoded.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, Uri, request::Parts},
};
use paymesh_contracts::{
    Code,
    card::{looks_like_card_number, looks_like_card_number_in_address},
    digest,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::error::Problem;

/// The largest body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A decoded body without card numbers.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        refuse_card_numbers_outside(request.headers(), request.uri())?;
        let bytes: Bytes = to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| Problem::from(Code::BodyTooLarge))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|reason| {
            Problem::from(Code::BodyInvalid).because(format!(
                "line {}, column {}",
                reason.line(),
                reason.column()
            ))
        })?;
        refuse_card_numbers(&value)?;
        if has_list(&value) {
            return Err(Problem::from(Code::BodyInvalid).because("a list, where none belongs"));
        }
        let fields = T::deserialize(value)
            .map_err(|reason| Problem::from(Code::BodyInvalid).because(shape(&reason)))?;
        Ok(Self(fields))
    }
}

/// Whether there is a list anywhere. No body has one, and serde would take it for the fields of an object
/// in their order.
fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(fields) => fields.values().any(has_list),
        _ => false,
    }
}

/// What serde says of a field of what has none.
const NO_FIELDS: &str = "there are no fields";

/// The reason without what the caller sent: serde quotes unknown values and fields.
fn shape(reason: &serde_json::Error) -> String {
    let text = reason.to_string();
    let mut parts = text.split(['`', '"']);
    let kind = parts.next().unwrap_or_default().trim().to_owned();
    // The caller's words stand before serde's, and may be the same.
    let expected = if text.ends_with(NO_FIELDS) {
        NO_FIELDS
    } else {
        text.rfind("expected ").map_or("", |at| &text[at..])
    };
    if kind.starts_with("missing field") {
        text.clone()
    } else {
        format!("{kind}; {expected}")
    }
}

/// The parts of an address that differ. What cannot be an id is not found.
#[derive(Debug)]
pub(crate) struct Address<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Address<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::from_request_parts(parts, state).await;
        let Path(found) = found.map_err(|_| Problem::from(Code::NotFound))?;
        Ok(Self(found))
    }
}

/// Headers and address without card numbers, for requests without a body.
#[derive(Debug)]
pub(crate) struct Clean;

impl<S: Send + Sync> FromRequestParts<S> for Clean {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        refuse_card_numbers_outside(&parts.headers, &parts.uri).map(|()| Self)
    }
}

fn refuse_card_numbers_outside(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    if looks_like_card_number_in_address(&uri.to_string()) {
        return Err(Problem::about(Code::CardNumberRefused, "address"));
    }
    // Random by its format; one that looks like a card number is not read, see `traces`.
    let searched = headers.iter().filter(|(name, _)| *name != "traceparent");
    for (name, value) in searched {
        if looks_like_card_number(&String::from_utf8_lossy(value.as_bytes())) {
            return Err(Problem::about(Code::CardNumberRefused, name.as_str()));
        }
    }
    Ok(())
}

fn refuse_card_numbers(value: &Value) -> Result<(), Problem> {
    let Some(mut way) = way_to_card_number(value) else {
        return Ok(());
    };
    way.reverse();
    let place = way.join(".");
    // Names that are none by themselves can be one behind each other.
    let is_one = looks_like_card_number(&place);
    let place = if is_one { String::new() } else { place };
    Err(Problem::about(Code::CardNumberRefused, place))
}

/// The names that lead to what looks like a card number, the innermost first. They are the caller's and
/// may be as long as the body, so none is written down before it is known to lead there.
fn way_to_card_number(value: &Value) -> Option<Vec<String>> {
    let longer = |mut way: Vec<String>, name: String| {
        way.push(name);
        way
    };
    match value {
        Value::String(text) => {
            // A webhook's url, or a text with one.
            let is_one = if text.contains("://") {
                looks_like_card_number_in_address(text)
            } else {
                looks_like_card_number(text)
            };
            is_one.then(Vec::new)
        }
        Value::Number(number) => looks_like_card_number(&number.to_string()).then(Vec::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            way_to_card_number(item).map(|way| longer(way, index.to_string()))
        }),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if looks_like_card_number(name) {
                return Some(Vec::new());
            }
            way_to_card_number(member).map(|way| longer(way, name.clone()))
        }),
        Value::Null | Value::Bool(_) => None,
    }
}

/// The idempotency key of a request.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let header = "idempotency-key";
    let value = headers
        .get(header)
        .ok_or_else(|| Problem::about(Code::KeyMissing, header))?;
    let text = value.to_str().unwrap_or_default();
    if (1..=255).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err(Problem::about(Code::KeyInvalid, header))
    }
}

/// SHA-256 of what was asked, however its JSON was laid out.
pub(crate) fn fingerprint(act: &str, fields: &impl Serialize) -> Vec<u8> {
    let mut canonical = act.as_bytes().to_vec();
    canonical.push(0);
    canonical.extend(serde_json::to_vec(fields).expect("a request is plain data"));
    digest::sha256(&canonical).to_vec()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use paymesh_contracts::http::{CreatePayment, Nothing};
    use serde_json::json;

    use super::*;

    /// What is said of a body that is not of this shape.
    fn said<T: DeserializeOwned>(body: Value) -> String {
        let read = T::deserialize(body);
        shape(&read.err().expect("the body is not of this shape"))
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_without_what_was_sent() {
        let body = |capture: &str| json!({ "amount": { "amount": 1, "currency": "EUR" }, "payment_method": "t", "capture": capture });
        let words = "unknown variant; expected `automatic` or `manual`";
        for sent in ["later", "expected hunter2", "`, expected hunter2"] {
            assert_eq!(said::<CreatePayment>(body(sent)), words);
        }
        for name in ["hunter2", "expected hunter2", "`, expected hunter2"] {
            let words = "unknown field; there are no fields";
            assert_eq!(said::<Nothing>(json!({ name: 1 })), words);
        }
        assert_eq!(said::<CreatePayment>(json!({})), "missing field `amount`");
    }

    #[tokio::test]
    async fn a_list_is_no_object_with_its_fields_in_order() {
        let asked = |body: Value| async move {
            let request = Request::new(body.to_string().into());
            Body::<CreatePayment>::from_request(request, &()).await
        };
        let amount = json!({ "amount": 1250, "currency": "EUR" });
        let whole = json!({ "amount": amount, "payment_method": "tok_approve" });
        assert!(asked(whole).await.is_ok());
        for body in [
            json!([amount, "tok_approve"]),
            json!({ "amount": [1250, "EUR"], "payment_method": "tok_approve" }),
        ] {
            assert!(asked(body.clone()).await.is_err(), "{body}");
        }
    }

    /// What is said of a body with a card number.
    async fn refused(body: &Value) -> Value {
        let problem = refuse_card_numbers(body).expect_err("there is a card number");
        let answer = problem.into_response().into_body();
        let answer = to_bytes(answer, BODY_BYTES_MAX).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    #[tokio::test]
    async fn where_a_card_number_is_is_said_and_not_which() {
        let card = "4242 4242 4242 4242";
        for (body, place) in [
            (json!({ "reference": card }), "reference"),
            (json!({ "a": [1, { "b": card }] }), "a.1.b"),
            (json!({ "a": { card: 1 } }), "a"),
            (json!({ "a": 4_242_424_242_424_242_u64 }), "a"),
            (
                json!({ "url": "https://shop.example/?card=4242+4242+4242+4242" }),
                "url",
            ),
            // Each name by itself is none.
            (json!({ "42424242": { "42424242": card } }), ""),
        ] {
            let answer = refused(&body).await;
            assert_eq!(answer["error"]["param"], place, "{answer}");
            assert!(!looks_like_card_number(&answer.to_string()), "{answer}");
        }
        let uri = Uri::from_static("/v1/payments?limit=4242+4242+4242+4242");
        assert!(refuse_card_numbers_outside(&HeaderMap::new(), &uri).is_err());
        let body = json!({ "a": [1, null, true, "order-7", { "b": 0.5 }] });
        assert!(refuse_card_numbers(&body).is_ok());
    }
}
