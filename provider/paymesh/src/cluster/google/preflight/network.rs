//! The subnetwork of a new cluster: that it exists, and has room.

use paymesh_google::Google;
use paymesh_plugin::findings::Findings;

use crate::{
    cluster::{address::Range, checks::at, google::want, spec::ClusterSpec},
    codes::{self, refuse},
};

/// Addresses of a subnetwork that Google keeps for itself.
/// Source: VPC documentation, "Unusable addresses", read 2026-11.
const KEPT: u64 = 4;

pub(super) async fn check(google: &Google, spec: &ClusterSpec, found: &mut Findings) {
    let want = want::network(spec);
    let path = |name: &str| at("network").attribute(name);
    let subnetwork = match google.subnetwork(&want.subnetwork).await {
        Ok(Some(subnetwork)) => subnetwork,
        Ok(None) => {
            return refuse(
                found,
                path("subnet_id"),
                &codes::GOOGLE_NO_SUCH_SUBNET,
                format!(
                    "the subnetwork {} does not exist, or this identity may not see it",
                    want.subnetwork
                ),
            );
        }
        Err(_) => return,
    };
    let mut range = |name: &str, wanted: &str| -> Option<Range> {
        if let Some(range) = subnetwork.secondary_ranges.get(wanted) {
            return range.parse().ok();
        }
        let names: Vec<&str> = subnetwork
            .secondary_ranges
            .keys()
            .map(String::as_str)
            .collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        refuse(
            found,
            path(name),
            &codes::NO_SUCH_SECONDARY_RANGE,
            format!("the subnet has no range {wanted:?}; it has {names}"),
        );
        None
    };
    let pods = range("pods_range", &want.pods_range);
    range("services_range", &want.services_range);
    let nodes: u64 = spec
        .node_pools
        .values()
        .map(|pool| u64::from(pool.max_nodes))
        .sum();
    let machines = subnetwork.range.parse::<Range>().ok();
    if let Some(room) = machines.map(|range| range.size().saturating_sub(KEPT))
        && nodes > room
    {
        refuse(
            found,
            path("subnet_id"),
            &codes::GOOGLE_SUBNET_TOO_SMALL,
            format!("node_pools may grow to {nodes} nodes; the subnet has {room} addresses"),
        );
    }
    let needed: u64 = spec
        .node_pools
        .values()
        .map(|pool| u64::from(pool.max_nodes) * addresses_of_a_node(pool.max_pods))
        .sum();
    if let Some(pods) = pods.filter(|pods| needed > pods.size()) {
        refuse(
            found,
            path("pods_range"),
            &codes::GOOGLE_TOO_FEW_POD_ADDRESSES,
            format!(
                "node_pools may grow to {nodes} nodes, which take {needed} addresses (twice max_pods each, rounded up to a power of two); the range {pods} has {}",
                pods.size()
            ),
        );
    }
    control_plane(spec, machines, pods, found);
}

/// GKE gives each node a block of at least twice as many addresses as it has pods.
/// Source: GKE documentation, "Configure maximum Pods per node", read 2026-11.
fn addresses_of_a_node(pods_max: u32) -> u64 {
    (u64::from(pods_max) * 2).next_power_of_two()
}

fn control_plane(
    spec: &ClusterSpec,
    machines: Option<Range>,
    pods: Option<Range>,
    found: &mut Findings,
) {
    let cidr = spec
        .google
        .as_ref()
        .and_then(|own| own.control_plane_cidr.as_ref());
    let Some(range) = cidr.and_then(|cidr| cidr.parse::<Range>().ok()) else {
        return;
    };
    let shared = [machines, pods]
        .into_iter()
        .flatten()
        .find(|other| other.overlaps(range));
    if let Some(shared) = shared {
        refuse(
            found,
            at("google").attribute("control_plane_cidr"),
            &codes::CONTROL_PLANE_SHARES_ADDRESSES,
            format!("google.control_plane_cidr {range} overlaps {shared}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_a_power_of_two_of_addresses() {
        assert_eq!(
            [8, 64, 110, 256].map(addresses_of_a_node),
            [16, 128, 256, 512]
        );
    }
}
