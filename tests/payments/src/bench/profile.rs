//! What a payment costs the primary, statement by statement.
//!
//! Counting has a price of its own: this row says where time goes, not how much can be paid.

use std::{io, num::NonZeroU32, path::Path};

use super::{Length, Outcome, payments::Wanted, site::Site};

/// Finds the knee unless it is known, and counts while the load that is wanted goes on.
pub(super) async fn measure(folder: &Path, wanted: Wanted, length: Length) -> io::Result<Outcome> {
    let mut site = Site::open_counting(folder, wanted.shops, wanted.manner).await?;
    let mut outcome = Outcome::default();
    let knee = site.knee(wanted.search, length, &mut outcome).await?;
    let Some(per_second) = NonZeroU32::new(knee * wanted.percent / 100) else {
        outcome.void.push("no step held".to_owned());
        return Ok(outcome);
    };
    let before = site.succeeded();
    site.meter.count_statements().await?;
    site.report(per_second, length, &mut outcome).await?;
    outcome.statements = site.meter.statements().await?;
    outcome.statements_of = site.succeeded() - before;
    site.finish(&mut outcome).await?;
    Ok(outcome)
}
