//! A GKE cluster as it was seen, near the user's own spelling: what was changed behind our back is
//! taken from here into the state.

use paymesh_engine::Observations;
use paymesh_google::{ClusterName, ClusterSeen, PoolSeen, cluster::Cluster, pool::NodePool};

use super::{access, body};
use crate::cluster::{
    near,
    spec::{ClusterSpec, Power},
    status::ClusterStatus,
};

/// `None` if the cluster was not seen.
pub(in crate::cluster) fn described(
    spelling: &ClusterSpec,
    prior: &ClusterStatus,
    seen: &Observations,
) -> Option<ClusterSpec> {
    let name = ClusterName::parse(prior.id.as_deref()?).ok()?;
    let cluster = ClusterSeen::new(&seen.seen(&Cluster::id_of(&name))?.body);
    let mut spec = body::described(&name, cluster, "");
    spec.power = if cluster.is_stopped() {
        Power::Off
    } else {
        Power::On
    };
    spec.labels = near::labels(&spelling.labels, cluster.labels());
    spec.node_pools = near::pools(spelling, prior, |pool| {
        let pool = seen.seen(&NodePool::id_of(&name.pool(pool)))?;
        Some(body::pool(PoolSeen::new(&pool.body)))
    });
    spec.maintenance = spec.maintenance.map(|window| match &spelling.maintenance {
        Some(spelled) => near::maintenance(spelled, window),
        None => window,
    });
    access::people(spelling, &mut spec, &name, seen);
    Some(spec)
}
