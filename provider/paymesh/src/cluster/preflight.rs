//! What the live checks of all clouds share: their words, and which pools are new.

use std::collections::BTreeMap;

use paymesh_plugin::{findings::Findings, path::Path};

use super::{
    Prior,
    checks::refuse,
    choice::PoolChoice,
    spec::{ClusterSpec, Power},
};
use crate::{
    cluster::pool::{PoolMode, PoolSpec},
    session::Session,
};

/// How to go on when a live check stands in the way of a destroy, which plans first.
pub(super) const WAY_OUT: &str = "terraform destroy -refresh=false asks none of this";

/// One error of a live check: title, detail and what to do.
pub(super) fn refuse_live(found: &mut Findings, path: Path, code: u16, text: [&str; 3]) {
    let [title, detail, next] = text;
    refuse(
        found,
        path,
        code,
        [title, detail, &format!("{next}; {WAY_OUT}")],
    );
}

/// The pools that apply will make.
pub(super) fn new_pools<'a>(
    choices: &'a BTreeMap<String, PoolChoice>,
    prior: Option<&'a Prior>,
) -> impl Iterator<Item = (&'a String, &'a PoolChoice)> {
    choices.iter().filter(move |(key, choice)| {
        let before = prior.and_then(|prior| prior.status.pools.get(*key)?.cloud_name.as_ref());
        before != Some(&choice.cloud_name)
    })
}

/// The nodes with which a pool begins, one more for the surge of an upgrade included.
pub(super) fn first_nodes(spec: &ClusterSpec, pool: &PoolSpec) -> u64 {
    let sleeps = spec.power == Power::Off || (spec.standby && pool.mode == PoolMode::User);
    if sleeps {
        0
    } else {
        u64::from(pool.min_nodes.max(1)) + 1
    }
}

/// What a cloud allows of something in one place, and how much of it is used.
pub(super) struct Quota<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The unit: `vCPU`.
    pub(super) unit: &'a str,
    /// Where it counts: the subscription or project, and the region.
    pub(super) place: &'a str,
    /// The most that may be used.
    pub(super) limit: u64,
    /// What is used now.
    pub(super) current: u64,
}

impl Quota<'_> {
    /// Notes that `cluster` needs `amount` of this to begin with. If that, with what is used and
    /// what the other plans of this run need, is more than is allowed, tells so.
    pub(super) fn exceeded(&self, session: &Session, cluster: &str, amount: u64) -> Option<String> {
        let key = format!("{}/{}", self.place, self.name);
        let others = session.reserve(&key, cluster, amount);
        (amount > 0 && self.current + others + amount > self.limit).then(|| {
            format!(
                "{} allows {} {} in {}; {} are in use, {others} are planned by other clusters of \
                 this run, and {cluster} needs {amount} to begin with, one surge node for each pool \
                 included",
                self.name, self.limit, self.unit, self.place, self.current
            )
        })
    }
}
