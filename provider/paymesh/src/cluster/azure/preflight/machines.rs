//! The machines of the pools that are made: offered, open, in the zones, and fit for their use.

use paymesh_azure::{Azure, MachineSize};
use paymesh_plugin::{findings::Findings, path::Path};

use super::quota;
use crate::{
    cluster::{
        Prior,
        checks::{at, refuse},
        choice::{self, PoolChoice},
        pool::{DiskType, PoolMode, PoolSpec},
        spec::ClusterSpec,
    },
    session::Session,
};

pub(super) async fn check(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let choices = choice::choose(spec, prior);
    let grows = |key: &String| nodes(spec, key) > prior.map_or(0, |prior| nodes(&prior.spec, key));
    let changed: Vec<(&String, &PoolChoice)> = choices
        .iter()
        .filter(|(key, choice)| is_new(prior, key, choice) || grows(key))
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
    let mut needs = quota::Needs::default();
    for (key, choice) in changed {
        let is_new = is_new(prior, key, choice);
        let pool = &spec.node_pools[key];
        let path = at("node_pools").key(key);
        let named = pool.machine_type.is_some();
        let attribute = path.attribute(if named { "machine_type" } else { "vcpu" });
        let size = sizes
            .iter()
            .find(|size| size.name.eq_ignore_ascii_case(&choice.machine_type));
        let Some(size) = size else {
            if is_new {
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
            }
            continue;
        };
        if is_new {
            usable(size, choice, &path, &attribute, spec, found);
            fit(size, pool, &path, &attribute, found);
        }
        // A new pool needs one more node for the surge of an upgrade.
        let before = prior
            .filter(|_| !is_new)
            .map_or(0, |prior| nodes(&prior.spec, key));
        let more = nodes(spec, key) - before + u64::from(is_new);
        needs.add(size, pool.spot, more);
    }
    quota::check(session, azure, subscription, spec, &needs, found).await;
}

/// Whether a pool is made, or made anew under another name.
fn is_new(prior: Option<&Prior>, key: &str, choice: &PoolChoice) -> bool {
    let pool = prior.and_then(|prior| prior.status.pools.get(key));
    pool.is_none_or(|pool| pool.cloud_name.as_ref() != Some(&choice.cloud_name))
}

/// The nodes with which a pool begins.
fn nodes(spec: &ClusterSpec, key: &str) -> u64 {
    match spec.node_pools.get(key) {
        None => 0,
        Some(pool) if spec.standby && pool.mode == PoolMode::User => 0,
        Some(pool) => u64::from(pool.min_nodes.max(1)),
    }
}

/// Whether the machine can do what the pool is for.
fn fit(size: &MachineSize, pool: &PoolSpec, path: &Path, attribute: &Path, found: &mut Findings) {
    if pool.mode == PoolMode::System && (size.vcpu < 2 || size.memory_gb < 4.0) {
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
    if pool.spot && !size.has_spot {
        refuse(
            found,
            path.attribute("spot"),
            221,
            [
                "The machine type has no spot machines",
                &format!("{} is not sold as spot", size.name),
                "set spot = false, or name another machine_type",
            ],
        );
    }
    if pool.disk_type == DiskType::Ephemeral && !size.has_ephemeral_disk {
        refuse(
            found,
            path.attribute("disk_type"),
            222,
            [
                "The machine type has no disk of its own",
                &format!("{} cannot hold an ephemeral system disk", size.name),
                "use disk_type = \"balanced\", or a machine type with a local disk, such as Standard_D4ds_v5",
            ],
        );
    }
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
