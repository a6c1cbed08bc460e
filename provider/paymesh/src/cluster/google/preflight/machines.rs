//! The machines of the pools that grow: that each of their zones offers them.

use paymesh_google::{
    ClusterName, ClusterSeen, Google, PoolSeen,
    preflight::{MachineType, Region},
};
use paymesh_plugin::{findings::Findings, path::Path};

use super::quota;
use crate::{
    cluster::{
        Prior,
        checks::at,
        choice::{self, PoolChoice},
        preflight::{Growth, growing, is_spared},
        spec::ClusterSpec,
    },
    codes::{self, refuse, warn_about},
    session::Session,
};

pub(super) async fn check(
    session: &Session,
    google: &Google,
    (name, region): (&ClusterName, &Region),
    (spec, prior): (&ClusterSpec, Option<&Prior>),
    standing: Option<ClusterSeen<'_>>,
    found: &mut Findings,
) {
    let choices = choice::choose(spec, prior);
    let growing: Vec<Growth<'_>> = growing(spec, &choices, prior).collect();
    if growing.is_empty() {
        return;
    }
    let mut held = quota::Needs::default();
    for pool in standing.into_iter().flat_map(ClusterSeen::pools) {
        if is_spared(&growing, prior, pool.name())
            && let Some(kind) = pool.machine_type()
            && let Some(machine) = machine_of(google, &name.place.project, kind, &pool).await
        {
            let nodes = pool
                .nodes()
                .max(pool.bounds().map_or(0, |(least, _)| least));
            let disk_gb = pool.disk().map_or(0, |disk| disk.size_gb);
            held.add(kind, machine, (pool.is_spot(), disk_gb), nodes.into());
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
        if is_new && !zones(choice, &path, name, region, found) {
            continue;
        }
        let attribute = if pool.machine_type.is_some() {
            "machine_type"
        } else {
            "vcpu"
        };
        // That a pool exists is proof enough of its machines; what more of them need is asked.
        let mut proven = Findings::new();
        let found = if is_new { &mut *found } else { &mut proven };
        let machine = machine(google, choice, &path, attribute, name, region, found).await;
        if let Some(machine) = machine {
            let kind = (pool.spot, pool.disk_gb);
            needs.add(&choice.machine_type, machine, kind, nodes);
        }
    }
    needs.check(session, (name, region), &held, found);
}

/// The size of the machines that the pool has.
async fn machine_of(
    google: &Google,
    project: &str,
    kind: &str,
    pool: &PoolSeen<'_>,
) -> Option<MachineType> {
    let zones = pool.zones();
    google
        .machine_type(project, zones.first()?, kind)
        .await
        .ok()?
}

/// Whether the pool's zones are zones of the region.
fn zones(
    choice: &PoolChoice,
    path: &Path,
    name: &ClusterName,
    region: &Region,
    found: &mut Findings,
) -> bool {
    let strange: Vec<&str> = choice
        .zones
        .iter()
        .filter(|zone| !region.zones.contains(zone))
        .map(String::as_str)
        .collect();
    if strange.is_empty() {
        return true;
    }
    refuse(
        found,
        path.attribute("zones"),
        &codes::NO_SUCH_ZONE,
        format!(
            "the region {} has no zone {}, only {}",
            name.place.region(),
            strange.join(", "),
            region.zones.join(", ")
        ),
    );
    false
}

/// The machine, if all zones of the pool offer it. A pool that names no zones is spread by Google
/// over zones of its choice.
async fn machine(
    google: &Google,
    choice: &PoolChoice,
    path: &Path,
    attribute: &str,
    name: &ClusterName,
    region: &Region,
    found: &mut Findings,
) -> Option<MachineType> {
    let project = &name.place.project;
    let wanted = if choice.zones.is_empty() {
        &region.zones
    } else {
        &choice.zones
    };
    let (mut there, mut machine) = (Vec::new(), None);
    for zone in wanted {
        // What cannot be asked is no ground to refuse.
        match google
            .machine_type(project, zone, &choice.machine_type)
            .await
        {
            Ok(Some(facts)) => {
                machine = Some(facts);
                there.push(zone.as_str());
            }
            Ok(None) => {}
            Err(_) => return None,
        }
    }
    let type_name = &choice.machine_type;
    if there.is_empty() {
        refuse(
            found,
            path.attribute(attribute),
            &codes::GOOGLE_MACHINE_TYPE_NOT_OFFERED_HERE,
            format!("no zone of {} offers {type_name}", name.place.region()),
        );
        return None;
    }
    if there.len() < wanted.len() {
        let missing: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|zone| !there.contains(zone))
            .collect();
        let detail = format!(
            "the machine type {type_name} is not offered in {}, only in {}",
            missing.join(", "),
            there.join(", ")
        );
        if choice.zones.is_empty() {
            warn_about(
                found,
                path.attribute("zones"),
                &codes::NOT_EVERY_ZONE_HAS_MACHINES,
                &name.cluster,
                format!("{detail}. Google chooses the zones of a pool that names none"),
            );
        } else {
            refuse(
                found,
                path.attribute("zones"),
                &codes::GOOGLE_MACHINE_TYPE_NOT_OFFERED_IN_THESE_ZONES,
                detail,
            );
            return None;
        }
    }
    machine
}
