//! What the checker says of a stack.

use std::{
    io,
    time::{Duration, Instant},
};

use super::Stack;
use crate::checker::{Report, check};

impl Stack {
    /// Compares history, acquirer's books and database as they are now.
    pub async fn report(&self) -> io::Result<Report> {
        check(&self.card.database_url, &self.books(), &self.history()).await
    }

    /// The report when nothing is on its way any more, or when `limit` is over.
    pub async fn settled(&self, limit: Duration) -> io::Result<Report> {
        let start = Instant::now();
        loop {
            let report = self.report().await?;
            if report.open.is_empty() || start.elapsed() > limit {
                return Ok(report);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
