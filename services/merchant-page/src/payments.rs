//! `/payments`: all of a merchant's payments, newest first.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use paymesh_contracts::{
    PaymentId,
    http::{Payment, PaymentPage},
};

use crate::{
    api::{Api, Part, outcome_of},
    figures::short,
    frame::{Frame, lost, show},
    paging::{Side, Ways, part_of},
    sign_in::{Key, Refused},
    words::{self, Badge},
};

/// How many payments one page shows.
const LENGTH: u32 = 50;

#[derive(Template)]
#[template(path = "payments.html")]
struct Page {
    frame: Frame,
    list: Part<List>,
}

struct List {
    rows: Vec<Row>,
    ways: Ways,
}

struct Row {
    id: PaymentId,
    short: String,
    reference: Option<String>,
    badge: Badge,
    failure_code: Option<String>,
    disputes: usize,
    amount: String,
    captured: Option<String>,
    refunded: Option<String>,
    created_at: String,
}

impl From<Payment> for Row {
    fn from(payment: Payment) -> Self {
        Self {
            id: payment.id,
            short: short(&payment.id.to_string()),
            reference: payment.reference,
            badge: words::payment(payment.status),
            failure_code: payment.failure_code,
            disputes: payment.disputes.len(),
            amount: payment.amount.to_string(),
            captured: payment.captured.map(|money| money.to_string()),
            refunded: payment.refunded.map(|money| money.to_string()),
            created_at: payment.created_at,
        }
    }
}

/// Shows some payments.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    key: Key,
    side: Result<Query<Side>, QueryRejection>,
) -> Result<Response, Refused> {
    let Some(part) = part_of::<PaymentId>(side) else {
        return Ok(lost());
    };
    let address = format!("/v1/payments?limit={LENGTH}{part}");
    let found: Part<PaymentPage> = api.get(&key, &address).await?;
    let outcome = outcome_of(&found);
    let list = found.map(|found| List {
        rows: found.data.into_iter().map(Row::from).collect(),
        ways: Ways::of(&part, found.previous, found.next),
    });
    let page = Page {
        frame: Frame::live("Payments", "/payments", outcome.status),
        list,
    };
    Ok(show(outcome, &page))
}
