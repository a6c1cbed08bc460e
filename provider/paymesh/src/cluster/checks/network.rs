//! Rules over addresses and networks.

use paymesh_plugin::{findings::Findings, path::Path, spec::Field};

use super::{Cloud, at, words};
use crate::{
    cluster::{address::Range, spec::ClusterSpecDraft},
    codes::{self, refuse},
};

/// Addresses that AKS overlay gives to each node.
const POD_ADDRESSES_OF_A_NODE: u64 = 256;

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    match cloud {
        Some(Cloud::Azure) => azure(draft, found),
        Some(Cloud::Google) => google(draft, found),
        None => {}
    }
}

fn azure(draft: &ClusterSpecDraft, found: &mut Findings) {
    let path = |name: &str| at("network").attribute(name);
    if let Some(network) = draft.network.known() {
        if let Some(id) = network.subnet_id.known()
            && words::arm_name(id, "Microsoft.Network/virtualNetworks/subnets").is_none()
        {
            refuse(
                found,
                path("subnet_id"),
                &codes::NOT_AN_AZURE_SUBNET,
                format!(
                    "{id:?} is not /subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/N"
                ),
            );
        }
        for (name, field) in [
            ("pods_range", &network.pods_range),
            ("services_range", &network.services_range),
        ] {
            if field.is_known() {
                refuse(
                    found,
                    path(name),
                    &codes::AZURE_SUBNETS_HAVE_NO_RANGES,
                    format!("network.{name} is set on AKS"),
                );
            }
        }
    }
    let Some(azure) = draft.azure.known() else {
        return;
    };
    let path = |name: &str| at("azure").attribute(name);
    let pods = range(&azure.pods_cidr, path("pods_cidr"), found);
    let services = range(&azure.services_cidr, path("services_cidr"), found);
    if let (Some(pods), Some(services)) = (pods, services)
        && pods.overlaps(services)
    {
        refuse(
            found,
            path("services_cidr"),
            &codes::PODS_AND_SERVICES_SHARE_ADDRESSES,
            format!("azure.pods_cidr {pods} overlaps azure.services_cidr {services}"),
        );
    }
    if let Some(services) = services
        && !(12..=28).contains(&services.prefix())
    {
        refuse(
            found,
            path("services_cidr"),
            &codes::WRONG_NUMBER_OF_SERVICE_ADDRESSES,
            format!("azure.services_cidr {services} must be between a /12 and a /28"),
        );
    }
    if let (Some(pods), Some(pools)) = (pods, draft.node_pools.known()) {
        let nodes: u64 = pools
            .values()
            .filter_map(Field::known)
            .filter_map(|pool| pool.max_nodes.known().copied())
            .map(u64::from)
            .sum();
        let needed = nodes * POD_ADDRESSES_OF_A_NODE;
        if needed > pods.size() {
            refuse(
                found,
                path("pods_cidr"),
                &codes::TOO_FEW_POD_ADDRESSES,
                format!(
                    "node_pools may grow to {nodes} nodes, each of which takes {POD_ADDRESSES_OF_A_NODE} addresses: {needed}; azure.pods_cidr {pods} has {}",
                    pods.size()
                ),
            );
        }
    }
    identity_of_scope(azure, found);
}

fn identity_of_scope(azure: &crate::cluster::spec::AzureClusterDraft, found: &mut Findings) {
    let path = |name: &str| at("azure").attribute(name);
    if let Some(id) = azure.subscription_id.known() {
        subscription(path("subscription_id"), id, found);
    }
    if let Some(name) = azure.resource_group.known()
        && !words::is_resource_group(name)
    {
        refuse(
            found,
            path("resource_group"),
            &codes::NOT_A_RESOURCE_GROUP,
            format!("{name:?}: 1 to 90 letters, digits and - _ . ( ), no dot at the end"),
        );
    }
}

fn google(draft: &ClusterSpecDraft, found: &mut Findings) {
    let path = |name: &str| at("network").attribute(name);
    match &draft.network {
        Field::Null => refuse(
            found,
            at("network"),
            &codes::GKE_NEEDS_A_NETWORK,
            "network is not set on GKE",
        ),
        Field::Known(network) => {
            if let Some(id) = network.subnet_id.known() {
                let region = words::google_part(id, "regions");
                if region.is_none() || words::google_part(id, "subnetworks").is_none() {
                    refuse(
                        found,
                        path("subnet_id"),
                        &codes::NOT_A_GOOGLE_SUBNET,
                        format!("{id:?} is not projects/P/regions/R/subnetworks/S"),
                    );
                } else if let (Some(there), Some(here)) = (region, draft.region.known())
                    && there != here
                {
                    refuse(
                        found,
                        path("subnet_id"),
                        &codes::SUBNET_IN_ANOTHER_REGION,
                        format!("the subnet is in {there} and region is {here:?}"),
                    );
                }
            }
            for (name, field) in [
                ("pods_range", &network.pods_range),
                ("services_range", &network.services_range),
            ] {
                if field.is_null() {
                    refuse(
                        found,
                        path(name),
                        &codes::GKE_NEEDS_SECONDARY_RANGES,
                        format!("network.{name} is not set on GKE"),
                    );
                }
            }
            if let (Some(pods), Some(services)) =
                (network.pods_range.known(), network.services_range.known())
                && pods == services
            {
                refuse(
                    found,
                    path("services_range"),
                    &codes::PODS_AND_SERVICES_SHARE_RANGE,
                    format!("network.pods_range and network.services_range are both {pods:?}"),
                );
            }
        }
        Field::Unknown => {}
    }
    let Some(google) = draft.google.known() else {
        return;
    };
    let path = |name: &str| at("google").attribute(name);
    if let Some(id) = google.project.known() {
        project(path("project"), id, found);
    }
    if let Some(range) = range(
        &google.control_plane_cidr,
        path("control_plane_cidr"),
        found,
    ) && range.prefix() != 28
    {
        refuse(
            found,
            path("control_plane_cidr"),
            &codes::CONTROL_PLANE_TAKES_16_ADDRESSES,
            format!("google.control_plane_cidr is {range}"),
        );
    }
}

fn range(field: &Field<String>, path: Path, found: &mut Findings) -> Option<Range> {
    let text = field.known()?;
    match text.parse::<Range>() {
        Err(bad) => {
            refuse(found, path, &codes::NOT_A_CLUSTER_RANGE, bad.to_string());
            None
        }
        Ok(range) if !range.is_private() => {
            refuse(
                found,
                path,
                &codes::PUBLIC_ADDRESSES_INSIDE_CLUSTER,
                format!("{range} is not in private address space"),
            );
            None
        }
        Ok(range) => Some(range),
    }
}

/// A subscription is a UUID.
pub(crate) fn subscription(path: Path, id: &str, found: &mut Findings) {
    if !words::is_uuid(id) {
        refuse(
            found,
            path,
            &codes::NOT_A_SUBSCRIPTION_ID,
            format!("{id:?} is not a UUID"),
        );
    }
}

/// A project is named by its id.
pub(crate) fn project(path: Path, id: &str, found: &mut Findings) {
    if !words::is_project(id) {
        refuse(
            found,
            path,
            &codes::NOT_A_PROJECT_ID,
            format!("{id:?}: 6 to 30 lower-case letters, digits and hyphens"),
        );
    }
}
