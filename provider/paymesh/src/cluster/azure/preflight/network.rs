//! The subnet of the nodes: there, in the region, free, large enough, and in a network that shares
//! no address with the cluster's own ranges.

use paymesh_azure::{ArmId, Azure, Subnet};
use paymesh_plugin::{findings::Findings, path::Path};

use crate::cluster::{address::Range, checks::at, spec::ClusterSpec};
use crate::codes::{self, refuse};

/// Addresses of a subnet that Azure keeps for itself.
const RESERVED: u64 = 5;

pub(super) async fn check(azure: &Azure, spec: &ClusterSpec, found: &mut Findings) {
    let Some(network) = &spec.network else { return };
    let Ok(id) = ArmId::parse(&network.subnet_id) else {
        return;
    };
    let path = at("network").attribute("subnet_id");
    match azure.subnet(&id).await {
        Ok(None) => refuse(
            found,
            path,
            &codes::AZURE_NO_SUCH_SUBNET,
            format!("{id} does not exist, or this identity may not see it"),
        ),
        Ok(Some(subnet)) => {
            usable(&subnet, &path, spec, found);
            around(azure, &id, &path, spec, found).await;
        }
        Err(_) => {}
    }
}

fn usable(subnet: &Subnet, path: &Path, spec: &ClusterSpec, found: &mut Findings) {
    if let Some(service) = &subnet.delegation {
        refuse(
            found,
            path.clone(),
            &codes::SUBNET_RESERVED,
            format!("{} is delegated to {service}", subnet.id),
        );
    }
    let pools = spec.node_pools.values();
    let nodes: u64 = pools.map(|pool| u64::from(pool.max_nodes)).sum();
    let room: u64 = ranges(&subnet.prefixes)
        .map(|range| range.size().saturating_sub(RESERVED))
        .sum();
    if room > 0 && nodes > room {
        refuse(
            found,
            path.clone(),
            &codes::AZURE_SUBNET_TOO_SMALL,
            format!("node_pools may grow to {nodes} nodes; the subnet has {room} addresses"),
        );
    }
}

/// The network around the subnet. Nodes join networks of their own region, and what pods and
/// services have cannot be reached in the network.
async fn around(
    azure: &Azure,
    subnet: &ArmId,
    path: &Path,
    spec: &ClusterSpec,
    found: &mut Findings,
) {
    let Some(id) = subnet.parent() else { return };
    let Ok(Some(network)) = azure.network(&id).await else {
        return;
    };
    if !network.location.eq_ignore_ascii_case(&spec.region) {
        refuse(
            found,
            path.clone(),
            &codes::NETWORK_IN_ANOTHER_REGION,
            format!(
                "{id} is in {} and region is {:?}",
                network.location, spec.region
            ),
        );
    }
    let own = spec.azure.clone().unwrap_or_default();
    for (name, text) in [
        ("pods_cidr", &own.pods_cidr),
        ("services_cidr", &own.services_cidr),
    ] {
        let Ok(range) = text.parse::<Range>() else {
            continue;
        };
        if let Some(shared) = ranges(&network.prefixes).find(|other| other.overlaps(range)) {
            refuse(
                found,
                at("azure").attribute(name),
                &codes::RANGE_OVERLAPS_NODES_NETWORK,
                format!("azure.{name} {range} shares addresses with {shared} of {id}"),
            );
        }
    }
}

fn ranges(prefixes: &[String]) -> impl Iterator<Item = Range> + '_ {
    prefixes
        .iter()
        .filter_map(|prefix| prefix.parse::<Range>().ok())
}
