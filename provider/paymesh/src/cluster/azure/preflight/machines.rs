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
        preflight::{Growth, growing},
        spec::ClusterSpec,
    },
    codes,
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
                    codes::AZURE_MACHINE_TYPE_NOT_OFFERED_HERE,
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
        needs.add(size, pool.spot, nodes);
    }
    quota::check(session, azure, subscription, spec, &needs, found).await;
}

/// Whether the machine can do what the pool is for.
fn fit(size: &MachineSize, pool: &PoolSpec, path: &Path, attribute: &Path, found: &mut Findings) {
    if pool.mode == PoolMode::System && (size.vcpu < 2 || size.memory_gb < 4.0) {
        refuse(
            found,
            attribute.clone(),
            codes::AZURE_MACHINE_TOO_SMALL,
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
            codes::MACHINE_TYPE_HAS_NO_SPOT,
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
            codes::MACHINE_TYPE_HAS_NO_DISK,
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
            codes::MACHINE_TYPE_CLOSED,
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
            codes::AZURE_MACHINE_TYPE_NOT_OFFERED_IN_THESE_ZONES,
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
