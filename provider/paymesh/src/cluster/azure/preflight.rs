//! What Azure itself says against a plan: regions, machines, zones, quota, versions, networks and
//! names. Asked while planning, once for all clusters of a run, and only about what changes.

use std::collections::BTreeMap;

use paymesh_azure::{ArmId, Azure, MachineSize};
use paymesh_engine::Mark;
use paymesh_plugin::{findings::Findings, path::Path};

use super::{cluster_id, group_id};
use crate::{
    cluster::{
        Prior,
        checks::{at, refuse},
        choice::{self, PoolChoice},
        spec::ClusterSpec,
        versions::Version,
    },
    session::Session,
};

/// How to go on when a live check stands in the way of a destroy.
const WAY_OUT: &str = "terraform destroy -refresh=false asks none of this";

/// Everything that Azure says against the plan.
pub(in crate::cluster) async fn check(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let Ok(azure) = session.azure() else { return };
    let Ok(group) = group_id(session, spec) else {
        return;
    };
    let Some(subscription) = group.subscription() else {
        return;
    };
    if prior.is_none() {
        if !region(&azure, subscription, spec, found).await {
            return;
        }
        place(&azure, &group, spec, found).await;
        name(session, &azure, spec, found).await;
        network(&azure, spec, found).await;
    }
    if prior.is_none_or(|prior| prior.spec.kubernetes_version != spec.kubernetes_version) {
        version(&azure, subscription, spec, prior, found).await;
    }
    machines(session, &azure, subscription, spec, prior, found).await;
}

async fn region(
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    found: &mut Findings,
) -> bool {
    match azure.locations(subscription).await {
        Ok(known) if !known.is_empty() && !known.contains(&spec.region) => {
            refuse(
                found,
                at("region"),
                200,
                [
                    "No such region",
                    &format!("{:?} is not a region of the subscription", spec.region),
                    &format!("use one of {}", known.join(", ")),
                ],
            );
            false
        }
        Ok(_) => true,
        Err(error) => {
            refuse(
                found,
                at("azure"),
                201,
                [
                    "Azure cannot be asked",
                    &error.to_string(),
                    &format!("check subscription_id and the credentials; {WAY_OUT}"),
                ],
            );
            false
        }
    }
}

/// A named resource group must exist: it is never made.
async fn place(azure: &Azure, group: &ArmId, spec: &ClusterSpec, found: &mut Findings) {
    let named = spec
        .azure
        .as_ref()
        .and_then(|azure| azure.resource_group.as_ref());
    if let (Some(name), Ok(None)) = (named, azure.group_location(group).await) {
        refuse(
            found,
            at("azure").attribute("resource_group"),
            202,
            [
                "No such resource group",
                &format!("{name} does not exist in the subscription"),
                "create it, or remove resource_group to let the provider make its own",
            ],
        );
    }
}

/// A cluster of that name that is somebody else's.
async fn name(session: &Session, azure: &Azure, spec: &ClusterSpec, found: &mut Findings) {
    let Ok(id) = cluster_id(session, spec) else {
        return;
    };
    let Ok(Some(body)) = azure.cluster(&id).await else {
        return;
    };
    let tag = |key: &str| body.get("tags")?.get(key)?.as_str();
    let mark = session.mark(&format!("cluster/{}", spec.name));
    if tag(Mark::OWNER_KEY) != Some(mark.owner.as_str()) {
        refuse(
            found,
            at("name"),
            203,
            [
                "The cluster exists already",
                &format!("{id} was not made by {}", mark.owner),
                &format!(
                    "to manage it, import it:\n\n  import {{\n    to = paymesh_cluster.NAME\n    id = \"{id}\"\n  }}\n\nor choose another name"
                ),
            ],
        );
    }
}

async fn network(azure: &Azure, spec: &ClusterSpec, found: &mut Findings) {
    let Some(network) = &spec.network else { return };
    let Ok(id) = ArmId::parse(&network.subnet_id) else {
        return;
    };
    let path = at("network").attribute("subnet_id");
    match azure.subnet(&id).await {
        Ok(None) => refuse(
            found,
            path,
            204,
            [
                "No such subnet",
                &format!("{id} does not exist, or this identity may not see it"),
                "copy the resource id of the subnet",
            ],
        ),
        Ok(Some(subnet)) => {
            if let Some(service) = &subnet.delegation {
                refuse(
                    found,
                    path.clone(),
                    205,
                    [
                        "The subnet is reserved for another service",
                        &format!("{id} is delegated to {service}"),
                        "use a subnet without delegation",
                    ],
                );
            }
            let nodes: u64 = spec
                .node_pools
                .values()
                .map(|pool| u64::from(pool.max_nodes))
                .sum();
            let room: u64 = subnet
                .prefixes
                .iter()
                .filter_map(|prefix| prefix.parse::<crate::cluster::address::Range>().ok())
                .map(|range| range.size().saturating_sub(5))
                .sum();
            if room > 0 && nodes > room {
                refuse(
                    found,
                    path,
                    206,
                    [
                        "The subnet is too small",
                        &format!(
                            "node_pools may grow to {nodes} nodes; the subnet has {room} addresses"
                        ),
                        "use a larger subnet, or lower max_nodes",
                    ],
                );
            }
            let own = spec.azure.clone().unwrap_or_default();
            for (name, text) in [
                ("pods_cidr", &own.pods_cidr),
                ("services_cidr", &own.services_cidr),
            ] {
                let Ok(range) = text.parse::<crate::cluster::address::Range>() else {
                    continue;
                };
                let shared = subnet.prefixes.iter().find(|prefix| {
                    prefix
                        .parse::<crate::cluster::address::Range>()
                        .is_ok_and(|subnet| subnet.overlaps(range))
                });
                if let Some(shared) = shared {
                    refuse(
                        found,
                        at("azure").attribute(name),
                        207,
                        [
                            "The range overlaps the nodes' subnet",
                            &format!("azure.{name} {range} shares addresses with {shared}"),
                            "choose a range outside the virtual network",
                        ],
                    );
                }
            }
        }
        Err(_) => {}
    }
}

async fn version(
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let Ok(floor) = spec.kubernetes_version.parse::<Version>() else {
        return;
    };
    let runs = prior
        .and_then(|prior| prior.status.running_kubernetes_version.as_deref())
        .and_then(|runs| runs.parse::<Version>().ok());
    if runs.is_some_and(|runs| runs.meets(&floor)) {
        return;
    }
    let Ok(offered) = azure.kubernetes_versions(subscription, &spec.region).await else {
        return;
    };
    if offered.is_empty() {
        return;
    }
    let minor = floor.minor().to_string();
    let Some(entry) = offered.iter().find(|entry| entry.minor == minor) else {
        let minors: Vec<&str> = offered.iter().map(|entry| entry.minor.as_str()).collect();
        refuse(
            found,
            at("kubernetes_version"),
            208,
            [
                "The version is not offered",
                &format!("AKS offers {} in {}", minors.join(", "), spec.region),
                "use one of these",
            ],
        );
        return;
    };
    if floor.has_patch() && !entry.patches.contains(&floor.to_string()) {
        refuse(
            found,
            at("kubernetes_version"),
            209,
            [
                "The patch is not offered",
                &format!("AKS offers {} in {}", entry.patches.join(", "), spec.region),
                &format!("write \"{minor}\" to accept any patch"),
            ],
        );
    }
    if entry.is_preview {
        refuse(
            found,
            at("kubernetes_version"),
            210,
            [
                "A preview version",
                &format!("{minor} is a preview in {}", spec.region),
                "use a version that is supported for production",
            ],
        );
    }
}

async fn machines(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let choices = choice::choose(spec, prior);
    let changed: Vec<(&String, &PoolChoice)> = choices
        .iter()
        .filter(|(key, choice)| {
            prior.is_none_or(|prior| {
                prior
                    .status
                    .pools
                    .get(*key)
                    .and_then(|pool| pool.cloud_name.as_ref())
                    != Some(&choice.cloud_name)
            })
        })
        .collect();
    if changed.is_empty() {
        return;
    }
    let Ok(sizes) = azure.machine_sizes(subscription, &spec.region).await else {
        return;
    };
    if sizes.is_empty() {
        return;
    }
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for (key, choice) in changed {
        let pool = &spec.node_pools[key];
        let path = at("node_pools").key(key);
        let named = pool.machine_type.is_some();
        let attribute = path.attribute(if named { "machine_type" } else { "vcpu" });
        let size = sizes
            .iter()
            .find(|size| size.name.eq_ignore_ascii_case(&choice.machine_type));
        let Some(size) = size else {
            refuse(
                found,
                attribute,
                211,
                [
                    "The machine type is not offered here",
                    &format!("{} is not offered in {}", choice.machine_type, spec.region),
                    "name another machine_type, or use another region",
                ],
            );
            continue;
        };
        usable(size, choice, &path, &attribute, spec, found);
        if pool.mode == crate::cluster::pool::PoolMode::System
            && (size.vcpu < 2 || size.memory_gb < 4.0)
        {
            refuse(
                found,
                attribute.clone(),
                212,
                [
                    "Too small for a system pool",
                    &format!(
                        "{} has {} vCPU and {} GiB",
                        size.name, size.vcpu, size.memory_gb
                    ),
                    "choose a machine with at least 2 vCPU and 4 GiB",
                ],
            );
        }
        // One more node for the surge of an upgrade.
        let nodes = u64::from(pool.min_nodes.max(1)) + 1;
        if !spec.standby || pool.mode == crate::cluster::pool::PoolMode::System {
            *wanted.entry(size.family.clone()).or_default() += nodes * u64::from(size.vcpu);
        }
    }
    quota(session, azure, subscription, spec, &wanted, found).await;
}

fn usable(
    size: &MachineSize,
    choice: &PoolChoice,
    path: &Path,
    attribute: &Path,
    spec: &ClusterSpec,
    found: &mut Findings,
) {
    if let Some(why) = &size.restriction {
        refuse(
            found,
            attribute.clone(),
            213,
            [
                "The machine type is closed to the subscription",
                &format!("{} in {}: {why}", size.name, spec.region),
                "name another machine_type, or ask Azure support to open it",
            ],
        );
        return;
    }
    let missing: Vec<&str> = choice
        .zones
        .iter()
        .filter(|zone| !size.zones.contains(zone))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let offered = if size.zones.is_empty() {
            "none".to_owned()
        } else {
            size.zones.join(", ")
        };
        refuse(
            found,
            path.attribute("zones"),
            214,
            [
                "The machine type is not offered in these zones",
                &format!(
                    "{} in {}: zones {} are wanted and {offered} are offered",
                    size.name,
                    spec.region,
                    missing.join(", ")
                ),
                "set zones to those that are offered, or name another machine_type",
            ],
        );
    }
}

/// Sums over all clusters of the run.
async fn quota(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    wanted: &BTreeMap<String, u64>,
    found: &mut Findings,
) {
    let Ok(usages) = azure.usages(subscription, &spec.region).await else {
        return;
    };
    let place = format!("{subscription}/{}", spec.region);
    let total: u64 = wanted.values().sum();
    let all = wanted
        .iter()
        .map(|(family, cores)| (family.as_str(), *cores))
        .chain([("cores", total)]);
    for (name, cores) in all {
        let Some(usage) = usages
            .iter()
            .find(|usage| usage.name.eq_ignore_ascii_case(name))
        else {
            continue;
        };
        let others = session.reserve(&format!("{place}/{name}"), &spec.name, cores);
        let needed = usage.current + others + cores;
        if cores > 0 && needed > usage.limit {
            let what = if name == "cores" { "the region" } else { name };
            let path = at("node_pools");
            refuse(
                found,
                path,
                if name == "cores" { 216 } else { 215 },
                [
                    "Not enough quota",
                    &format!(
                        "{what} allows {} vCPU in {}; {} are in use, {others} are planned by other clusters of this run, and {} needs {cores} to begin with, one surge node for each pool included",
                        usage.limit, spec.region, usage.current, spec.name
                    ),
                    &format!("ask for more quota (az quota), or lower min_nodes; {WAY_OUT}"),
                ],
            );
        }
    }
}
