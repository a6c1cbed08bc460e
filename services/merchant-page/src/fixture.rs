//! A payment-api for the tests of this room, and who asks the page.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    http::{
        HeaderMap, Request, StatusCode, Uri,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::{Api, app::router};

/// The key that is known there.
pub(crate) const KEY: &str = "sk_00112233445566778899aabbccddeeff";
/// A payment.
pub(crate) const PAYMENT: &str = "pay_abgjcfkhmnepabcdefghijklmnopabcd";
/// An event about it.
pub(crate) const EVENT: &str = "evt_abgjcfkhmnepabcdefghijklmnopabcd";
/// Where merchants are told.
pub(crate) const ENDPOINT: &str = "hook_abgjcfkhmnepabcdefghijklmnopabcd";

/// What a page was, as a browser gets it.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A payment-api that answers addresses, without their queries, as it is told to, and any other with
/// 404. Whoever has another key is refused.
pub(crate) async fn api_that_says(answers: Vec<(String, u16, Value)>) -> Api {
    let answers = answers
        .into_iter()
        .map(|(path, status, body)| (path, (status, body)));
    let answers: Arc<HashMap<String, (u16, Value)>> = Arc::new(answers.collect());
    let answer = move |address: Uri, headers: HeaderMap| {
        let answers = answers.clone();
        async move {
            let found = answers.get(address.path()).cloned();
            let is_known = headers
                .get(AUTHORIZATION)
                .is_some_and(|value| value == format!("Bearer {KEY}").as_str());
            let (status, body) = match found {
                _ if !is_known => (401, Value::Null),
                Some(found) => found,
                None => (404, Value::Null),
            };
            let status = StatusCode::from_u16(status).unwrap();
            (status, [(RETRY_AFTER, "7")], Json(body))
        }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(answer);
    tokio::spawn(axum::serve(listener, routes).into_future());
    api_at(&address.to_string())
}

/// A payment-api at an address of this machine, where nobody may be.
pub(crate) fn api_at(address: &str) -> Api {
    let url = format!("http://{address}").parse().unwrap();
    Api::new(&url, Vec::new()).unwrap()
}

/// What somebody with this key sees at an address of the page.
pub(crate) async fn look(api: Api, address: &str, key: Option<&str>) -> Seen {
    look_with(api, address, key, &[]).await
}

/// What somebody with this key sees whose browser sends these headers too.
pub(crate) async fn look_with(
    api: Api,
    address: &str,
    key: Option<&str>,
    headers: &[(&str, &str)],
) -> Seen {
    let mut request = Request::get(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(key) = key {
        let pair = STANDARD.encode(format!("merchant:{key}"));
        request = request.header(AUTHORIZATION, format!("Basic {pair}"));
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = router(api).oneshot(request).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Seen {
        status,
        headers,
        text,
    }
}

/// A payment as payment-api tells of it, with a reference.
pub(crate) fn payment(id: &str, reference: &str) -> Value {
    json!({
        "id": id,
        "amount": { "amount": 1250, "currency": "EUR" },
        "status": "succeeded",
        "payment_method": "tok_approve",
        "reference": reference,
        "capture": "automatic",
        "captured": { "amount": 1250, "currency": "EUR" },
        "attempts": [{
            "id": "att_abgjcfkhmnepabcdefghijklmnopabcd",
            "kind": "charge",
            "amount": { "amount": 1250, "currency": "EUR" },
            "status": "approved",
            "acquirer_reference": "acq-1",
        }],
        "created_at": "2026-11-21T05:00:00.000Z",
        "updated_at": "2026-11-21T05:00:00.120Z",
    })
}

/// An event about a payment, as payment-api tells of it.
pub(crate) fn event(kind: &str, payment: &Value) -> Value {
    json!({
        "id": EVENT,
        "version": 1,
        "type": kind,
        "created_at": "2026-11-21T05:00:00.120Z",
        "payment": payment,
    })
}
