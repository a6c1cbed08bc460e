//! compute v1, read only: places, machine types, quotas, networks, instance groups of pools.

use serde_json::{Value, json};

use super::{
    access::Caller,
    catalogue::{
        machines::{self, CPU_QUOTAS, Machine},
        places,
    },
    container::{self, pool, quota},
    json::texts,
    names::{ClusterName, draw},
    network::{self, link},
    refusal::Refusal,
};
use crate::core::{Call, World};

/// Answers a request below `/compute/v1/projects/{project}`.
pub(crate) fn answer(
    world: &World,
    caller: &Caller,
    call: &Call,
    project: &str,
    rest: &[&str],
) -> Result<Value, Refusal> {
    let needs = |permission: &str| caller.needs(permission, &format!("projects/{project}"));
    let missing = || {
        Refusal::no_such(format!(
            "The resource 'projects/{project}/{}' was not found",
            rest.join("/")
        ))
    };
    if call.method != "GET" {
        return Err(Refusal::no_such("Method not found."));
    }
    match rest {
        [] => {
            needs("compute.projects.get")?;
            Ok(json!({
                "kind": "compute#project",
                "id": draw(project, 9_000_000_000_000_000).to_string(),
                "name": project,
                "selfLink": link(&format!("projects/{project}")),
                "defaultServiceAccount": format!("{}-compute@developer.gserviceaccount.com", super::names::project_number(project)),
                "quotas": [{ "metric": "NETWORKS", "limit": 15.0, "usage": 1.0 }],
            }))
        }
        ["regions"] => {
            needs("compute.regions.list")?;
            list(
                call,
                "compute#regionList",
                places::regions()
                    .map(|name| region(world, project, name))
                    .collect(),
            )
        }
        ["regions", name] => {
            needs("compute.regions.get")?;
            places::regions()
                .find(|known| known == name)
                .map(|name| region(world, project, name))
                .ok_or_else(missing)
        }
        ["zones"] => {
            needs("compute.zones.list")?;
            let zones = places::regions()
                .flat_map(places::zones_of)
                .map(|name| zone(world, project, &name))
                .collect();
            list(call, "compute#zoneList", zones)
        }
        ["zones", name] => {
            needs("compute.zones.get")?;
            places::region_of(name)
                .map(|_| zone(world, project, name))
                .ok_or_else(missing)
        }
        ["zones", zone, "machineTypes"] => {
            needs("compute.machineTypes.list")?;
            places::region_of(zone).ok_or_else(missing)?;
            let all = machines::machines_in(zone)
                .iter()
                .map(|machine| machine_type(project, zone, machine))
                .collect();
            list(call, "compute#machineTypeList", all)
        }
        ["zones", zone, "machineTypes", name] => {
            needs("compute.machineTypes.get")?;
            machines::machine(zone, name)
                .filter(|_| places::region_of(zone).is_some())
                .map(|machine| machine_type(project, zone, &machine))
                .ok_or_else(missing)
        }
        ["aggregated", "machineTypes"] => {
            needs("compute.machineTypes.list")?;
            Ok(aggregated_machines(call, project))
        }
        ["global", "networks"] => {
            needs("compute.networks.list")?;
            list(call, "compute#networkList", vec![network::network(project)])
        }
        ["global", "networks", name] => {
            needs("compute.networks.get")?;
            (*name == network::NAME)
                .then(|| network::network(project))
                .ok_or_else(missing)
        }
        ["regions", region, "subnetworks"] => {
            needs("compute.subnetworks.list")?;
            let found = network::subnetwork(project, region).ok_or_else(missing)?;
            list(call, "compute#subnetworkList", vec![found])
        }
        ["regions", region, "subnetworks", name] => {
            needs("compute.subnetworks.get")?;
            network::subnetwork(project, region)
                .filter(|_| *name == network::NAME)
                .ok_or_else(missing)
        }
        ["zones", zone, "instanceGroupManagers"] => {
            needs("compute.instanceGroupManagers.list")?;
            list(
                call,
                "compute#instanceGroupManagerList",
                groups(world, project, zone),
            )
        }
        ["zones", zone, "instanceGroupManagers", name] => {
            needs("compute.instanceGroupManagers.get")?;
            groups(world, project, zone)
                .into_iter()
                .find(|group| group["name"] == *name)
                .ok_or_else(missing)
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

/// A list, filtered by `name` and cut into pages as asked.
fn list(call: &Call, kind: &str, mut items: Vec<Value>) -> Result<Value, Refusal> {
    if let Some(filter) = call.query("filter").filter(|filter| !filter.is_empty()) {
        let mut words = filter.splitn(2, ['=', ' ']);
        let (field, value) = (
            words.next().unwrap_or_default().trim(),
            words.next().unwrap_or_default(),
        );
        let value = value
            .trim_start_matches("eq ")
            .trim_matches(|letter: char| " =\"'()".contains(letter));
        if !["name", "status"].contains(&field) {
            return Err(Refusal::invalid(format!(
                "Invalid value for field 'filter': '{filter}'. Invalid list filter expression."
            )));
        }
        items.retain(|item| item[field] == value);
    }
    let (from, most) = (first_of_page(call), page_size(call));
    let mut shown = json!({ "kind": kind, "id": call.path.trim_start_matches('/'), "selfLink": link(&call.path) });
    let page: Vec<Value> = items.iter().skip(from).take(most).cloned().collect();
    if from + page.len() < items.len() {
        shown["nextPageToken"] = json!(format!("page-{}", from + page.len()));
    }
    if !page.is_empty() {
        shown["items"] = json!(page);
    }
    Ok(shown)
}

fn region(world: &World, project: &str, name: &str) -> Value {
    let used = quota::usage(world, project, name);
    let mut quotas: Vec<Value> = CPU_QUOTAS
        .iter()
        .map(|(metric, _)| {
            json!({ "metric": metric, "limit": number(quota::limit(metric)), "usage": number(used.get(metric).copied().unwrap_or(0)) })
        })
        .collect();
    for (metric, limit) in [
        ("DISKS_TOTAL_GB", 40960.0),
        ("SSD_TOTAL_GB", 20480.0),
        ("IN_USE_ADDRESSES", 575.0),
        ("STATIC_ADDRESSES", 575.0),
        ("INSTANCES", 6000.0),
        ("INSTANCE_GROUP_MANAGERS", 500.0),
    ] {
        quotas.push(json!({ "metric": metric, "limit": limit, "usage": 0.0 }));
    }
    let zones: Vec<String> = places::zones_of(name)
        .iter()
        .map(|zone| link(&format!("projects/{project}/zones/{zone}")))
        .collect();
    let down = world.faults.lost_region(container::API, name);
    json!({
        "kind": "compute#region",
        "id": (1000 + draw(name, 1000)).to_string(),
        "creationTimestamp": "1969-12-31T16:00:00.000-08:00",
        "name": name,
        "description": name,
        "status": if down { "DOWN" } else { "UP" },
        "zones": zones,
        "quotas": quotas,
        "selfLink": link(&format!("projects/{project}/regions/{name}")),
        "supportsPzs": true,
    })
}

#[expect(clippy::cast_precision_loss, reason = "quotas are small")]
fn number(count: u64) -> f64 {
    count as f64
}

fn zone(world: &World, project: &str, name: &str) -> Value {
    let region = places::region_of(name).unwrap_or_default();
    let down = world.faults.lost_zone(container::API, region, name);
    json!({
        "kind": "compute#zone",
        "id": (2000 + draw(name, 1000)).to_string(),
        "creationTimestamp": "1969-12-31T16:00:00.000-08:00",
        "name": name,
        "description": name,
        "status": if down { "DOWN" } else { "UP" },
        "region": link(&format!("projects/{project}/regions/{region}")),
        "selfLink": link(&format!("projects/{project}/zones/{name}")),
        "supportsPzs": true,
    })
}

fn machine_type(project: &str, zone: &str, machine: &Machine) -> Value {
    json!({
        "kind": "compute#machineType",
        "id": (100_000 + draw(&machine.name, 800_000)).to_string(),
        "creationTimestamp": "1969-12-31T16:00:00.000-08:00",
        "name": machine.name,
        "description": format!("{} vCPUs, {} GB RAM", machine.cpus, machine.memory_mb / 1024),
        "guestCpus": machine.cpus,
        "memoryMb": machine.memory_mb,
        "imageSpaceGb": 0,
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168",
        "isSharedCpu": matches!(machine.name.as_str(), "e2-micro" | "e2-small" | "e2-medium"),
        "architecture": "X86_64",
        "zone": zone,
        "selfLink": link(&format!("projects/{project}/zones/{zone}/machineTypes/{}", machine.name)),
    })
}

/// All machine types by zone, in pages of whole zones.
fn aggregated_machines(call: &Call, project: &str) -> Value {
    let zones: Vec<String> = places::regions().flat_map(places::zones_of).collect();
    let from = first_of_page(call);
    let most = page_size(call);
    let mut items = serde_json::Map::new();
    let (mut shown, mut next) = (0, from);
    while let Some(zone) = zones.get(next) {
        let machines = machines::machines_in(zone);
        if shown > 0 && shown + machines.len() > most {
            break;
        }
        shown += machines.len();
        next += 1;
        let all: Vec<Value> = machines
            .iter()
            .map(|machine| machine_type(project, zone, machine))
            .collect();
        items.insert(format!("zones/{zone}"), json!({ "machineTypes": all }));
    }
    let mut list = json!({
        "kind": "compute#machineTypeAggregatedList",
        "id": call.path.trim_start_matches('/'),
        "items": items,
        "selfLink": link(&call.path),
    });
    if next < zones.len() {
        list["nextPageToken"] = json!(format!("page-{next}"));
    }
    list
}

fn first_of_page(call: &Call) -> usize {
    call.query("pageToken")
        .and_then(|token| token.strip_prefix("page-")?.parse().ok())
        .unwrap_or(0)
}

fn page_size(call: &Call) -> usize {
    call.query("maxResults")
        .and_then(|count| count.parse().ok())
        .filter(|count| *count > 0)
        .unwrap_or(500)
}

/// The instance groups of all pools in a zone.
fn groups(world: &World, project: &str, zone: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for key in world
        .store
        .keys(container::CLUSTERS, &format!("projects/{project}/"))
    {
        let Some(name) = ClusterName::of_key(&key) else {
            continue;
        };
        for (short, stored) in container::pools_of(world, &name) {
            if texts(&stored["body"], "/locations")
                .iter()
                .any(|own| own == zone)
            {
                found.push(group(&name, &short, zone, &stored));
            }
        }
    }
    found
}

fn group(cluster: &ClusterName, short: &str, zone: &str, stored: &Value) -> Value {
    let name = pool::group_name(cluster, short, zone);
    let size = stored["sim"]["nodes"][zone].as_u64().unwrap_or_default();
    let project = &cluster.project;
    json!({
        "kind": "compute#instanceGroupManager",
        "id": draw(&name, 9_000_000_000_000_000).to_string(),
        "name": name,
        "zone": link(&format!("projects/{project}/zones/{zone}")),
        "baseInstanceName": name.trim_end_matches("-grp"),
        "instanceGroup": link(&format!("projects/{project}/zones/{zone}/instanceGroups/{name}")),
        "instanceTemplate": link(&format!("projects/{project}/global/instanceTemplates/{}", name.trim_end_matches("-grp"))),
        "targetSize": size,
        "status": { "isStable": true, "stateful": { "hasStatefulConfig": false }, "versionTarget": { "isReached": true } },
        "currentActions": {
            "abandoning": 0, "creating": 0, "creatingWithoutRetries": 0, "deleting": 0, "none": size, "recreating": 0,
            "refreshing": 0, "restarting": 0, "resuming": 0, "starting": 0, "stopping": 0, "suspending": 0, "verifying": 0,
        },
        "fingerprint": format!("{}=", &super::names::fingerprint(&format!("{name}{size}"))[..11]),
        "selfLink": link(&format!("projects/{project}/zones/{zone}/instanceGroupManagers/{name}")),
    })
}
