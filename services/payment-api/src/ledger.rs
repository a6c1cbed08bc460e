//! `/v1/ledger`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use paymesh_contracts::{
    Code, ErrorBody, PaymentId, PostingId, Scope,
    http::{Balance, Ledger, Posting, SignedMoney, time_text},
    persistence::{self, ReadLedgerRequest},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{app::App, auth::authorize, error::Problem, input::Clean};

/// Which part of the ledger.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// Only what this payment moved.
    #[param(pattern = "^pay_[a-p]{32}$")]
    payment: Option<String>,
}

/// Reads the balances, and the newest movements: those of the newest hundred events.
#[utoipa::path(
    get, path = "/v1/ledger", tag = "ledger", params(Part),
    responses(
        (status = 200, body = Ledger, description = "Balances and movements."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 422, body = ErrorBody, description = "A value is not allowed."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Ledger>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::LedgerRead).await?;
    let Query(part) = part.map_err(|_| Problem::about(Code::FieldInvalid, "payment"))?;
    let payment_id = match part.payment {
        None => Vec::new(),
        Some(text) => text
            .parse()
            .map(PaymentId::bytes)
            .map_err(|_| Problem::about(Code::FieldInvalid, "payment"))?,
    };
    let request = ReadLedgerRequest {
        tenant_id: tenant_id.bytes(),
        payment_id,
    };
    let ledger = app.payments().read_ledger(request).await?.into_inner();
    let money = |money: Option<persistence::Money>| {
        money
            .map(|money| SignedMoney {
                amount: money.amount_minor,
                currency: money.currency,
            })
            .ok_or(Code::Internal)
    };
    let balances = ledger.balances.into_iter().map(|balance| {
        Ok(Balance {
            account: balance.account,
            posted: money(balance.posted)?,
            held: balance.held_minor,
        })
    });
    let postings = ledger.postings.into_iter().map(|posting| {
        let id = PostingId::from_bytes(&posting.posting_id).map_err(|_| Code::Internal)?;
        let payment = PaymentId::from_bytes(&posting.payment_id).map_err(|_| Code::Internal)?;
        Ok(Posting {
            id: id.to_string(),
            kind: posting.kind,
            debit: posting.debit,
            credit: posting.credit,
            amount: money(posting.amount)?,
            payment: payment.to_string(),
            created_at: time_text(posting.created_at_ms),
        })
    });
    Ok(Json(Ledger {
        balances: balances.collect::<Result<_, Code>>()?,
        postings: postings.collect::<Result<_, Code>>()?,
    }))
}
