//! What the live checks of all clouds share: their words, which pools grow, and quota.

use std::collections::BTreeMap;

use paymesh_cloud::{Error, ErrorKind};
use paymesh_engine::{Holder, Memory, ObjectId};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
    spec::Spec,
};

use super::{
    Prior,
    choice::{self, PoolChoice},
    spec::{ClusterSpec, Power},
};
use crate::{
    cluster::pool::PoolMode,
    codes::{self, Row, refuse},
    session::Session,
};

/// A create finds a cluster that bears this owner's mark and that this entry knows nothing of.
pub(super) fn takes_over(id: &str, spec: &ClusterSpec, found: &mut Findings) {
    codes::warn_about(
        found,
        Path::root().attribute("name"),
        &codes::TAKES_OVER,
        &format!("{} {}", ClusterSpec::NAME, spec.name),
        format!(
            "{id} bears this owner's mark, and this state does not have it. What differs is changed"
        ),
    );
}

/// The cloud does not answer what `spec` depends on: an error at `path`. That it does not sign us in
/// is told once for all resources.
pub(super) fn refuse_unanswered(
    session: &Session,
    spec: &ClusterSpec,
    found: &mut Findings,
    (path, row): (Path, &Row),
    error: &Error,
) {
    let cloud = spec.cloud();
    if error.kind != ErrorKind::Token {
        refuse(found, path, row, error.to_string());
    } else if session.is_first_refusal(cloud, Severity::Error) {
        refuse(found, Path::root(), &codes::NO_TOKEN, error.to_string());
    }
}

/// A pool that needs machines which the cluster does not have yet.
pub(super) struct Growth<'a> {
    /// Its key.
    pub(super) key: &'a str,
    /// What it is made of.
    pub(super) choice: &'a PoolChoice,
    /// Whether it is made, or made anew under another name.
    pub(super) is_new: bool,
    /// The nodes it needs more than before; a new pool one more, for the surge of an upgrade.
    pub(super) nodes: u64,
}

/// The pools that are made, and those that begin with more nodes than before.
pub(super) fn growing<'a>(
    spec: &'a ClusterSpec,
    choices: &'a BTreeMap<String, PoolChoice>,
    prior: Option<&'a Prior>,
) -> impl Iterator<Item = Growth<'a>> {
    choices.iter().filter_map(move |(key, choice)| {
        let named = prior.and_then(|prior| prior.status.pools.get(key)?.cloud_name.as_ref());
        let is_new = named != Some(&choice.cloud_name);
        let before = prior
            .filter(|_| !is_new)
            .map_or(0, |prior| first_nodes(&prior.spec, key));
        let more = first_nodes(spec, key).saturating_sub(before);
        (is_new || more > 0).then(|| Growth {
            key,
            choice,
            is_new,
            nodes: more + u64::from(is_new && more > 0),
        })
    })
}

/// Whether pools are made, of which a cut run may have begun some.
pub(super) fn begins_pools(spec: &ClusterSpec, prior: Option<&Prior>) -> bool {
    let choices = choice::choose(spec, prior);
    growing(spec, &choices, prior).any(|growth| growth.is_new)
}

/// Whether the cluster `principal` that stands there and bears `holder` is the one in state, which is
/// kept or destroyed first (`create_before_destroy` alone meets it, in the apply).
pub(super) fn is_held(memory: &Memory, principal: &ObjectId, holder: Option<&str>) -> bool {
    let borne = memory.borne_holder().map(Holder::as_str);
    memory.objects.contains(principal) && (holder.is_none() || holder == borne)
}

/// Whether the machines of the pool that the cloud calls `name` are there for what is planned, so that
/// quota is needed only beyond them: those of a pool that a cut run began, and where the state holds
/// no cluster all those of ours, which is gone on with, or destroyed first.
pub(super) fn is_spared(growing: &[Growth<'_>], prior: Option<&Prior>, name: Option<&str>) -> bool {
    let begins = |growth: &Growth<'_>| growth.is_new && Some(&*growth.choice.cloud_name) == name;
    prior.is_none() || growing.iter().any(begins)
}

/// The nodes with which a pool begins.
fn first_nodes(spec: &ClusterSpec, key: &str) -> u64 {
    let Some(pool) = spec.node_pools.get(key) else {
        return 0;
    };
    // AKS makes the pools of a cluster before it is stopped.
    let is_off = spec.power == Power::Off && !spec.on_azure();
    let sleeps = is_off || (spec.standby && pool.mode == PoolMode::User);
    if sleeps {
        0
    } else {
        u64::from(pool.min_nodes.max(1))
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
    pub(super) fn exceeded(
        &self,
        session: &Session,
        cluster: &ObjectId,
        amount: u64,
    ) -> Option<String> {
        let key = format!("{}/{}", self.place, self.name);
        let others = session.reserve(&key, cluster, amount);
        (amount > 0 && self.current + others + amount > self.limit).then(|| {
            format!(
                "{} allows {} {} in {}; {} are in use, {others} are planned by other clusters of \
                 this run, and {} needs {amount} more to begin with, one surge node for each \
                 new pool included",
                self.name,
                self.limit,
                self.unit,
                self.place,
                self.current,
                cluster.brief()
            )
        })
    }
}
