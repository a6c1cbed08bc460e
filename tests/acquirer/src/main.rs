//! The sandbox acquirer: a process of its own that moves imaginary money and keeps real books.
//!
//! It imports nothing of the services. A charge is in its books, on disk, before anybody is told;
//! the same id is charged once for ever. What it does to a charge is chosen by the token, see
//! [`behaviour`].

mod behaviour;
mod books;
mod disputes;
mod hand;
mod payouts;
mod rules;
mod server;

use std::{error::Error, net::SocketAddr, path::PathBuf};

use clap::Parser;

use crate::books::Books;

/// A sandbox acquirer.
#[derive(Parser)]
#[command(version)]
struct Words {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The file that holds the books.
    #[arg(long)]
    books: PathBuf,
    /// What callers have to know.
    #[arg(long, env = "PAYMESH_ACQUIRER_TOKEN", hide_env_values = true)]
    token: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words = Words::parse();
    let books = Books::open(&words.books)?;
    let address = format!("http://{}", words.listen);
    let listener = tokio::net::TcpListener::bind(words.listen).await?;
    axum::serve(listener, server::app(books, address, &words.token)).await?;
    Ok(())
}
