//! The addresses of a cluster's control plane, which nothing else in its network has.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::{
    super::{catalogue::places, json::text, names::ClusterName, network, refusal::Refusal},
    CLUSTERS,
};
use crate::core::World;

const RANGE: &str = "/privateClusterConfig/masterIpv4CidrBlock";
const NETWORK: &str = "/networkConfig/network";

/// Refuses a range that a subnetwork or another cluster of the network has. Source: container v1,
/// `PrivateClusterConfig.masterIpv4CidrBlock`: "This range must not overlap with any other ranges
/// in use within the cluster's network", read 2026-11.
pub(super) fn check(world: &World, name: &ClusterName, cluster: &Value) -> Result<(), Refusal> {
    let given = text(cluster, RANGE);
    let Some(wanted) = range(given) else {
        return Ok(());
    };
    let subnetworks = subnetworks(text(cluster, NETWORK));
    let others = world.store.list(CLUSTERS).filter(|(key, other)| {
        **key != name.key() && text(&other["body"], NETWORK) == text(cluster, NETWORK)
    });
    let others = others.map(|(_, other)| text(&other["body"], RANGE).to_owned());
    let taken = subnetworks
        .into_iter()
        .chain(others)
        .find(|taken| range(taken).is_some_and(|taken| wanted.0 <= taken.1 && taken.0 <= wanted.1));
    match taken {
        None => Ok(()),
        Some(taken) => Err(Refusal::invalid(format!(
            "The given master_ipv4_cidr {given} overlaps with an existing network {taken}."
        ))),
    }
}

/// All ranges of the subnetworks of the network at `path`.
fn subnetworks(path: &str) -> Vec<String> {
    let project = path.split('/').nth(1).unwrap_or_default();
    let mut ranges = Vec::new();
    for subnetwork in places::regions().filter_map(|it| network::subnetwork(project, it)) {
        ranges.push(text(&subnetwork, "/ipCidrRange").to_owned());
        let secondary = subnetwork["secondaryIpRanges"].as_array();
        let secondary = secondary.into_iter().flatten();
        ranges.extend(secondary.map(|it| text(it, "/ipCidrRange").to_owned()));
    }
    ranges
}

/// The first and the last address.
fn range(text: &str) -> Option<(u32, u32)> {
    let (address, bits) = text.split_once('/')?;
    let first = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let rest = u32::MAX.checked_shr(bits.parse().ok()?).unwrap_or(0);
    Some((first, first | rest))
}
