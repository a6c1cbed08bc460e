//! `/payments/{id}`: one payment, with all that came of it.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use paymesh_contracts::{
    EventId, PaymentId,
    dispute::Dispute,
    http::{Attempt, EndpointList, Ledger, Payment},
};

use crate::{
    api::{Api, Part},
    deliveries,
    events::{self, Row},
    frame::{Frame, lost, show},
    ledger::Entry,
    sign_in::{Key, Refused},
    webhooks::{ENDPOINTS, Hosts},
    words::{self, Badge},
};

/// Of how many events of a payment, the newest, it is asked how far they were told: each is a request
/// of its own. Few payments have as many.
const ASKED_MAX: usize = 10;

#[derive(Template)]
#[template(path = "payment.html")]
struct Page {
    frame: Frame,
    shown: Part<Shown>,
}

/// A payment, and what belongs to it.
struct Shown {
    payment: Payment,
    amount: String,
    badge: Badge,
    capture: &'static str,
    captured: Option<String>,
    refunded: Option<String>,
    attempts: Vec<Asked>,
    disputes: Vec<Disputed>,
    entries: Part<Vec<Entry>>,
    events: Part<Vec<Row>>,
    /// Whether there may be more events than were found.
    may_miss: bool,
}

struct Asked {
    id: String,
    what: &'static str,
    amount: Option<String>,
    badge: Badge,
    failure_code: Option<String>,
    acquirer_reference: Option<String>,
}

struct Disputed {
    id: String,
    amount: String,
    badge: Badge,
    reason: String,
    opened_at: String,
    respond_by: Option<String>,
}

impl From<&Attempt> for Asked {
    fn from(attempt: &Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            what: words::asked(attempt.kind),
            amount: attempt.amount.map(|money| money.to_string()),
            badge: words::attempt(attempt.status),
            failure_code: attempt.failure_code.clone(),
            acquirer_reference: attempt.acquirer_reference.clone(),
        }
    }
}

impl From<&Dispute> for Disputed {
    fn from(dispute: &Dispute) -> Self {
        Self {
            id: dispute.id.to_string(),
            amount: dispute.amount.to_string(),
            badge: words::dispute(dispute.status),
            reason: dispute.reason.clone(),
            opened_at: dispute.opened_at.clone(),
            respond_by: dispute.respond_by.clone(),
        }
    }
}

/// Shows one payment.
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    key: Key,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let Ok(id) = id.parse::<PaymentId>() else {
        return Ok(lost());
    };
    let payment = format!("/v1/payments/{id}");
    let ledger = format!("/v1/ledger?payment={id}");
    let (payment, ledger, endpoints) = tokio::try_join!(
        api.get::<Payment>(&key, &payment),
        api.get::<Ledger>(&key, &ledger),
        api.get::<EndpointList>(&key, ENDPOINTS),
    )?;
    let payment = match payment {
        Ok(payment) => payment,
        Err(lack) => {
            let outcome = lack.outcome();
            let page = Page {
                frame: Frame::live("Payment", "/payments", outcome.status),
                shown: Err(lack),
            };
            return Ok(show(outcome, &page));
        }
    };
    let (events, may_miss) = told(&api, &key, &payment, &Hosts::of(&endpoints)).await?;
    let amount = payment.amount.to_string();
    let title = format!("{amount}, {}", payment.status.word());
    let page = Page {
        frame: Frame::live(title, "/payments", StatusCode::OK),
        shown: Ok(Shown {
            badge: words::payment(payment.status),
            capture: words::capture(payment.capture),
            captured: payment.captured.map(|money| money.to_string()),
            refunded: payment.refunded.map(|money| money.to_string()),
            attempts: payment.attempts.iter().map(Asked::from).collect(),
            disputes: payment.disputes.iter().map(Disputed::from).collect(),
            entries: ledger.map(|ledger| ledger.postings.into_iter().map(Entry::from).collect()),
            events,
            may_miss,
            amount,
            payment,
        }),
    };
    Ok(show(StatusCode::OK, &page))
}

/// The events of a payment and how far each was told, and whether there may be more.
async fn told(
    api: &Api,
    key: &Key,
    payment: &Payment,
    hosts: &Hosts,
) -> Result<(Part<Vec<Row>>, bool), Refused> {
    let found = match events::of_payment(api, key, payment).await? {
        Ok(found) => found,
        Err(lack) => return Ok((Err(lack), false)),
    };
    let mut rows: Vec<Row> = found.events.into_iter().map(Row::from).collect();
    let newest = rows.len().saturating_sub(ASKED_MAX);
    let asked: Vec<EventId> = rows[newest..].iter().map(|row| row.id).collect();
    let told = deliveries::of_each(api, key, &asked, hosts).await?;
    for (row, told) in rows[newest..].iter_mut().zip(told) {
        row.told = Some(told);
    }
    Ok((Ok(rows), found.may_miss))
}
