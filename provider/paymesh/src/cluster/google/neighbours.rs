//! What two clusters of one run must not both have: addresses of a network, ranges of a subnetwork.

use paymesh_google::cluster::Cluster;
use paymesh_plugin::findings::Findings;

use super::{cluster_name, want};
use crate::{
    cluster::{address::Range, checks::at, spec::ClusterSpec},
    codes::{self, refuse},
    session::Session,
};

/// What the plan of one cluster has taken for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    subnetwork: String,
    /// The addresses of the control plane. They count in the whole network.
    control_plane: Option<Range>,
    /// Secondary ranges of the subnetwork, by attribute.
    ranges: [(&'static str, String); 2],
}

impl Neighbour {
    fn of(spec: &ClusterSpec) -> Self {
        let network = want::network(spec);
        let own = spec.google.as_ref();
        let cidr = own.and_then(|own| own.control_plane_cidr.as_deref());
        Self {
            subnetwork: network.subnetwork,
            control_plane: cidr.and_then(|text| text.parse().ok()),
            ranges: [
                ("pods_range", network.pods_range),
                ("services_range", network.services_range),
            ],
        }
    }
}

/// Compares a cluster with those that were planned before in this run.
pub(in crate::cluster) async fn check(session: &Session, spec: &ClusterSpec, found: &mut Findings) {
    let Ok(name) = cluster_name(session, spec) else {
        return;
    };
    let mine = Neighbour::of(spec);
    for (other, theirs) in session.meet(Cluster::id_of(&name), &mine) {
        if mine.subnetwork == theirs.subnetwork {
            ranges(&mine, &theirs, &other.name, found);
        }
        if let (Some(range), Some(taken)) = (mine.control_plane, theirs.control_plane)
            && range.overlaps(taken)
            && is_one_network(session, [&mine.subnetwork, &theirs.subnetwork]).await
        {
            refuse(
                found,
                at("google").attribute("control_plane_cidr"),
                &codes::CLUSTERS_SHARE_ADDRESSES,
                format!(
                    "google.control_plane_cidr of this cluster is {range}, that of {} is {taken}",
                    other.name
                ),
            );
        }
    }
}

fn ranges(mine: &Neighbour, theirs: &Neighbour, other: &str, found: &mut Findings) {
    for (name, range) in &mine.ranges {
        let taken = theirs.ranges.iter().find(|(_, taken)| taken == range);
        let Some((their_name, _)) = taken.filter(|_| !range.is_empty()) else {
            continue;
        };
        refuse(
            found,
            at("network").attribute(*name),
            &codes::CLUSTERS_SHARE_RANGE,
            format!("network.{name} is {range:?}, which {other} uses as its network.{their_name}"),
        );
    }
}

/// Whether the subnetworks are of one network, which only the cloud knows. It is asked about
/// clusters alone whose addresses overlap.
async fn is_one_network(session: &Session, [one, other]: [&str; 2]) -> bool {
    if one == other {
        return true;
    }
    if !session.is_known() {
        return false;
    }
    let Ok(google) = session.google() else {
        return false;
    };
    let (Ok(Some(one)), Ok(Some(other))) =
        (google.subnetwork(one).await, google.subnetwork(other).await)
    else {
        return false;
    };
    one.network == other.network
}
