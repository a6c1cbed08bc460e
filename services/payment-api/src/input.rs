//! What callers send: read once, searched for card numbers, then decoded.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, Uri, request::Parts},
};
use paymesh_contracts::{Code, card::looks_like_card_number, digest};
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
        refuse_card_numbers(&value, "")?;
        let fields = T::deserialize(value)
            .map_err(|reason| Problem::from(Code::BodyInvalid).because(shape(&reason)))?;
        Ok(Self(fields))
    }
}

/// The reason without what the caller sent: serde quotes unknown values and fields.
fn shape(reason: &serde_json::Error) -> String {
    let text = reason.to_string();
    let mut parts = text.split(['`', '"']);
    let kind = parts.next().unwrap_or_default().trim().to_owned();
    let expected = text.find("expected").map_or("", |at| &text[at..]);
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
    if looks_like_card_number(&uri.to_string()) {
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

fn refuse_card_numbers(value: &Value, path: &str) -> Result<(), Problem> {
    let refused = || Problem::about(Code::CardNumberRefused, path.trim_start_matches('.'));
    match value {
        Value::String(text) if looks_like_card_number(text) => Err(refused()),
        Value::Number(number) if looks_like_card_number(&number.to_string()) => Err(refused()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_card_numbers(item, &format!("{path}.{index}"))),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            if looks_like_card_number(name) {
                return Err(refused());
            }
            refuse_card_numbers(member, &format!("{path}.{name}"))
        }),
        _ => Ok(()),
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
