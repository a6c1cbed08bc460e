//! The merchants of a load, and the one place where all of them are told of their payments.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::post};

use crate::{client::Client, stack::Stack};

/// What a payment costs a merchant, in hundredths of a percent.
const FEE_BASIS_POINTS: u32 = 290;

/// Counts webhooks; what is in them and whether they are signed is tested elsewhere.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<AtomicU64>);

impl Told {
    /// How many came.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Starts to listen; gives the address.
    async fn listen(&self) -> io::Result<String> {
        let hear = |State(told): State<Self>| async move {
            told.0.fetch_add(1, Ordering::Relaxed);
            StatusCode::NO_CONTENT
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}/webhook", listener.local_addr()?);
        let app = Router::new()
            .route("/webhook", post(hear))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(address)
    }
}

/// Takes so many merchants in, each with balances of their own; gives their keys.
pub(super) fn take_in(stack: &Stack, count: usize) -> io::Result<Vec<String>> {
    let numbers = 0..count;
    numbers
        .map(|number| stack.add_merchant(&format!("Shop {number}"), FEE_BASIS_POINTS))
        .collect()
}

/// Opens the shops of these merchants, each with a webhook.
pub(super) async fn open(stack: &Stack, keys: &[String]) -> io::Result<(Arc<[Client]>, Told)> {
    let told = Told::default();
    let address = told.listen().await?;
    let first = Client::without_history(&stack.card.api_url, &stack.card.api_key)?;
    let mut shops = Vec::with_capacity(keys.len());
    for key in keys {
        let shop = first.of_merchant(key);
        shop.add_webhook(&address).await?;
        shops.push(shop);
    }
    Ok((shops.into(), told))
}
