//! The machines of the pools that are made: offered, open, in the zones, and fit for their use.

use paymesh_azure::{Azure, ClusterSeen, MachineSize};
use paymesh_plugin::{findings::Findings, path::Path};

use super::quota;
use crate::{
    cluster::{
        Prior,
        checks::at,
        choice::{self, PoolChoice},
        pool::{DiskType, PoolMode, PoolSpec},
        preflight::{Growth, growing, is_spared},
        spec::ClusterSpec,
    },
    codes::{self, refuse},
    session::Session,
};

pub(super) async fn check(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    (spec, prior): (&ClusterSpec, Option<&Prior>),
    standing: Option<ClusterSeen<'_>>,
    found: &mut Findings,
) {
    let choices = choice::choose(spec, prior);
    let growing: Vec<Growth<'_>> = growing(spec, &choices, prior).collect();
    if growing.is_empty() {
        return;
    }
    let Ok(sizes) = azure.machine_sizes(subscription, &spec.region).await else {
        return;
    };
    if sizes.is_empty() {
        return;
    }
    let mut held = quota::Needs::default();
    for pool in standing.into_iter().flat_map(ClusterSeen::pools) {
        let size = sizes.iter().find(|size| {
            pool.vm_size()
                .is_some_and(|name| name.eq_ignore_ascii_case(&size.name))
        });
        if let Some(size) = size.filter(|_| is_spared(&growing, prior, pool.name())) {
            held.add(size, pool.is_spot(), pool.nodes().into());
        }
    }
    let mut needs = quota::Needs::default();
    for Growth {
        key,
        choice,
        is_new,
        nodes,
    } in growing
    {
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
                    &codes::AZURE_MACHINE_TYPE_NOT_OFFERED_HERE,
                    format!("{} is not offered in {}", choice.machine_type, spec.region),
                );
            }
            continue;
        };
        if is_new {
            usable(size, choice, &path, &attribute, spec, found);
            fit(size, pool, &path, &attribute, found);
        }
        needs.add(size, pool.spot, nodes);
    }
    let needs = needs.beyond(&held);
    quota::check(session, azure, subscription, spec, &needs, found).await;
}

/// Whether the machine can do what the pool is for.
fn fit(size: &MachineSize, pool: &PoolSpec, path: &Path, attribute: &Path, found: &mut Findings) {
    if pool.mode == PoolMode::System && (size.vcpu < 2 || size.memory_gb < 4.0) {
        refuse(
            found,
            attribute.clone(),
            &codes::AZURE_MACHINE_TOO_SMALL,
            format!(
                "{} has {} vCPU and {} GiB",
                size.name, size.vcpu, size.memory_gb
            ),
        );
    }
    if pool.spot && !size.has_spot {
        refuse(
            found,
            path.attribute("spot"),
            &codes::MACHINE_TYPE_HAS_NO_SPOT,
            format!("{} is not sold as spot", size.name),
        );
    }
    if pool.disk_type == DiskType::Ephemeral && !size.has_ephemeral_disk {
        refuse(
            found,
            path.attribute("disk_type"),
            &codes::MACHINE_TYPE_HAS_NO_DISK,
            format!("{} cannot hold an ephemeral system disk", size.name),
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
            &codes::MACHINE_TYPE_CLOSED,
            format!("{} in {}: {why}", size.name, spec.region),
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
            &codes::AZURE_MACHINE_TYPE_NOT_OFFERED_IN_THESE_ZONES,
            format!(
                "{} in {}: zones {} are wanted and {offered} are offered",
                size.name,
                spec.region,
                missing.join(", ")
            ),
        );
    }
}
