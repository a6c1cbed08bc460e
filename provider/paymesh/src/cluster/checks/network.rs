//! Rules over addresses and networks.

use paymesh_plugin::{findings::Findings, path::Path, spec::Field};

use super::{Cloud, at, refuse, words};
use crate::{
    cluster::{address::Range, spec::ClusterSpecDraft},
    codes,
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
                codes::NOT_AN_AZURE_SUBNET,
                [
                    "Not the id of an Azure subnet",
                    &format!(
                        "{id:?} is not /subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/N"
                    ),
                    "copy the resource id of the subnet",
                ],
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
                    codes::AZURE_SUBNETS_HAVE_NO_RANGES,
                    [
                        "Azure subnets have no secondary ranges",
                        &format!("network.{name} is set on AKS"),
                        "remove it; azure.pods_cidr and azure.services_cidr say the addresses",
                    ],
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
            codes::PODS_AND_SERVICES_SHARE_ADDRESSES,
            [
                "Pods and services share addresses",
                &format!("azure.pods_cidr {pods} overlaps azure.services_cidr {services}"),
                "choose ranges that share no address",
            ],
        );
    }
    if let Some(services) = services
        && !(12..=28).contains(&services.prefix())
    {
        refuse(
            found,
            path("services_cidr"),
            codes::WRONG_NUMBER_OF_SERVICE_ADDRESSES,
            [
                "The wrong number of service addresses",
                &format!("azure.services_cidr {services} must be between a /12 and a /28"),
                "a /16 is usual",
            ],
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
                codes::TOO_FEW_POD_ADDRESSES,
                [
                    "Too few addresses for pods",
                    &format!(
                        "node_pools may grow to {nodes} nodes, each of which takes {POD_ADDRESSES_OF_A_NODE} addresses: {needed}; azure.pods_cidr {pods} has {}",
                        pods.size()
                    ),
                    "choose a larger range, or lower max_nodes",
                ],
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
            codes::NOT_A_RESOURCE_GROUP,
            [
                "Not the name of a resource group",
                &format!("{name:?}: 1 to 90 letters, digits and - _ . ( ), no dot at the end"),
                "write the name of an existing group, not its id",
            ],
        );
    }
}

fn google(draft: &ClusterSpecDraft, found: &mut Findings) {
    let path = |name: &str| at("network").attribute(name);
    match &draft.network {
        Field::Null => refuse(
            found,
            at("network"),
            codes::GKE_NEEDS_A_NETWORK,
            [
                "GKE needs a network",
                "network is not set on GKE",
                "set subnet_id, pods_range and services_range of an existing subnet",
            ],
        ),
        Field::Known(network) => {
            if let Some(id) = network.subnet_id.known() {
                let region = words::google_part(id, "regions");
                if region.is_none() || words::google_part(id, "subnetworks").is_none() {
                    refuse(
                        found,
                        path("subnet_id"),
                        codes::NOT_A_GOOGLE_SUBNET,
                        [
                            "Not the id of a Google subnet",
                            &format!("{id:?} is not projects/P/regions/R/subnetworks/S"),
                            "copy the subnet's resource name",
                        ],
                    );
                } else if let (Some(there), Some(here)) = (region, draft.region.known())
                    && there != here
                {
                    refuse(
                        found,
                        path("subnet_id"),
                        codes::SUBNET_IN_ANOTHER_REGION,
                        [
                            "A subnet in another region",
                            &format!("the subnet is in {there} and region is {here:?}"),
                            "correct region, or use a subnet in it",
                        ],
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
                        codes::GKE_NEEDS_SECONDARY_RANGES,
                        [
                            "GKE needs the subnet's secondary ranges",
                            &format!("network.{name} is not set on GKE"),
                            "name the secondary range of the subnet",
                        ],
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
                    codes::PODS_AND_SERVICES_SHARE_RANGE,
                    [
                        "Pods and services share a range",
                        &format!("network.pods_range and network.services_range are both {pods:?}"),
                        "name two different secondary ranges",
                    ],
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
            codes::CONTROL_PLANE_TAKES_16_ADDRESSES,
            [
                "The control plane takes a /28",
                &format!("google.control_plane_cidr is {range}"),
                "write sixteen addresses, such as \"172.16.0.0/28\"",
            ],
        );
    }
}

fn range(field: &Field<String>, path: Path, found: &mut Findings) -> Option<Range> {
    let text = field.known()?;
    match text.parse::<Range>() {
        Err(bad) => {
            refuse(
                found,
                path,
                codes::NOT_A_CLUSTER_RANGE,
                [
                    "Not an address range",
                    &bad.to_string(),
                    "write a range in CIDR notation",
                ],
            );
            None
        }
        Ok(range) if !range.is_private() => {
            refuse(
                found,
                path,
                codes::PUBLIC_ADDRESSES_INSIDE_CLUSTER,
                [
                    "Public addresses inside the cluster",
                    &format!("{range} is not in private address space"),
                    "choose a range in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
                ],
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
            codes::NOT_A_SUBSCRIPTION_ID,
            [
                "Not a subscription id",
                &format!("{id:?} is not a UUID"),
                "print it with: az account show --query id",
            ],
        );
    }
}

/// A project is named by its id.
pub(crate) fn project(path: Path, id: &str, found: &mut Findings) {
    if !words::is_project(id) {
        refuse(
            found,
            path,
            codes::NOT_A_PROJECT_ID,
            [
                "Not a project id",
                &format!("{id:?}: 6 to 30 lower-case letters, digits and hyphens"),
                "write the project's id, not its name or number",
            ],
        );
    }
}
