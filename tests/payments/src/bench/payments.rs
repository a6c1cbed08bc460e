//! Full payments, from a merchant's request to the read end, on a stack of their own.

use std::{io, num::NonZeroU32, path::Path};

use super::{Length, Outcome, knee::Search, load::Manner, site::Site};
use crate::stack::Bus;

/// Which load is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// How many merchants share it.
    pub(super) shops: usize,
    /// What carries messages.
    pub(super) bus: Bus,
    /// The part of the knee that is sent, in hundredths.
    pub(super) percent: u32,
    /// And no more than this, if that is less.
    pub(super) most: Option<u32>,
    /// How the knee is found.
    pub(super) search: Search,
    /// How clients go about it.
    pub(super) manner: Manner,
}

/// Finds the knee unless it is known, and measures the load that is wanted.
pub(super) async fn measure(folder: &Path, wanted: Wanted, length: Length) -> io::Result<Outcome> {
    let site = Site::open(folder, wanted.shops, wanted.bus, wanted.manner).await?;
    Box::pin(report(site, wanted, length)).await
}

/// The same, on a stack that is there.
pub(super) async fn report(mut site: Site, wanted: Wanted, length: Length) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let knee = site.knee(wanted.search, length, &mut outcome).await?;
    let share = knee * wanted.percent / 100;
    let sent = wanted.most.map_or(share, |most| most.min(share));
    let Some(per_second) = NonZeroU32::new(sent) else {
        outcome.void.push("no step held".to_owned());
        return Ok(outcome);
    };
    site.report(per_second, length, &mut outcome).await?;
    site.finish(&mut outcome).await?;
    Ok(outcome)
}
