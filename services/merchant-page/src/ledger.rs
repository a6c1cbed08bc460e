//! `/ledger`: what the accounts of a merchant hold, and what moved last.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use paymesh_contracts::http::{Balance, Ledger, Posting};

use crate::{
    api::{Api, Part, outcome_of},
    figures::{amount, short, signed},
    frame::{Frame, show},
    sign_in::{Key, Refused},
    words,
};

#[derive(Template)]
#[template(path = "ledger.html")]
struct Page {
    frame: Frame,
    ledger: Part<Books>,
}

/// The accounts, and their newest movements.
struct Books {
    accounts: Vec<Account>,
    entries: Vec<Entry>,
}

struct Account {
    name: String,
    meaning: &'static str,
    posted: String,
    held: String,
}

/// One movement.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) debit: String,
    pub(crate) credit: String,
    pub(crate) amount: String,
    pub(crate) payment: String,
    pub(crate) payment_short: String,
}

impl From<Balance> for Account {
    fn from(balance: Balance) -> Self {
        Self {
            meaning: words::account(&balance.account),
            posted: signed(&balance.posted),
            held: amount(balance.held, &balance.posted.currency),
            name: balance.account,
        }
    }
}

impl From<Posting> for Entry {
    fn from(posting: Posting) -> Self {
        Self {
            at: posting.created_at,
            kind: posting.kind,
            debit: posting.debit,
            credit: posting.credit,
            amount: signed(&posting.amount),
            payment_short: short(&posting.payment),
            payment: posting.payment,
        }
    }
}

impl From<Ledger> for Books {
    fn from(ledger: Ledger) -> Self {
        Self {
            accounts: ledger.balances.into_iter().map(Account::from).collect(),
            entries: ledger.postings.into_iter().map(Entry::from).collect(),
        }
    }
}

/// Shows balances and the newest movements.
pub(crate) async fn read(State(api): State<Arc<Api>>, key: Key) -> Result<Response, Refused> {
    let ledger: Part<Ledger> = api.get(&key, "/v1/ledger").await?;
    let outcome = outcome_of(&ledger);
    let page = Page {
        frame: Frame::live("Ledger", "/ledger", outcome.status),
        ledger: ledger.map(Books::from),
    };
    Ok(show(outcome, &page))
}
