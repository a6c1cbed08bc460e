//! container v1: clusters, node pools, operations, server configuration.
//!
//! Documents are the raw JSON of the wire plus a `sim` part that no client sees. What depends on
//! running operations (status) or on other documents (pools, counts, checksums) is not stored but
//! computed when a document is shown.

pub(crate) mod cluster;
mod clusters;
pub(crate) mod drift;
mod maintenance;
mod master;
pub(crate) mod operations;
pub(crate) mod pool;
mod pools;
pub(crate) mod quota;
mod show;
mod update;

use serde_json::{Value, json};

pub(crate) use show::{inventory, pools_of};

use super::{
    access::Caller,
    catalogue::{
        places::Place,
        versions::{self, CHANNELS},
    },
    json::{sorted, text},
    names::ClusterName,
    refusal::Refusal,
    schema,
};
use crate::core::World;

/// The name of this cloud in operations and faults.
pub(crate) const API: &str = "google";
/// The table of clusters.
pub(crate) const CLUSTERS: &str = "google.clusters";
/// The table of node pools.
pub(crate) const POOLS: &str = "google.pools";

/// A request to the container API, with its path taken apart.
pub(crate) struct Request<'a> {
    /// The verb.
    pub(crate) method: &'a str,
    /// The project's id.
    pub(crate) project: String,
    /// Region, zone or `-`.
    pub(crate) location: &'a str,
    /// True under the older paths, which know zones only.
    pub(crate) zonal: bool,
    /// What follows the location, and the custom verb after a colon.
    pub(crate) rest: Vec<&'a str>,
    /// The custom verb.
    pub(crate) verb: &'a str,
    /// The body.
    pub(crate) body: Value,
}

impl Request<'_> {
    fn read(&self, message: &str) -> Result<Value, Refusal> {
        let body = if self.body.is_null() {
            json!({})
        } else {
            self.body.clone()
        };
        schema::read(message, &body).map(Value::Object)
    }

    fn place(&self) -> Result<Place, Refusal> {
        let place = Place::parse(self.location).ok_or_else(|| {
            Refusal::invalid(format!("Location \"{}\" does not exist.", self.location))
        })?;
        if self.zonal && place.zone.is_none() {
            return Err(Refusal::invalid(
                "'zone' field cannot be used to access GKE regional clusters. Use 'name' or 'parent' fields instead.",
            ));
        }
        Ok(place)
    }

    fn cluster(&self, cluster: &str) -> Result<ClusterName, Refusal> {
        Ok(ClusterName {
            project: self.project.clone(),
            place: self.place()?,
            location: self.location.into(),
            cluster: cluster.into(),
        })
    }
}

/// Answers a request.
pub(crate) fn answer(
    world: &mut World,
    caller: &Caller,
    request: &Request,
) -> Result<Value, Refusal> {
    let project = format!("projects/{}", request.project);
    let needs = |permission: &str| caller.needs(permission, &project);
    if request.location != "-" {
        let place = request.place()?;
        if world.faults.lost_region(API, &place.region) {
            return Err(Refusal::unavailable());
        }
        if let Some(zone) = &place.zone
            && world.faults.lost_zone(API, &place.region, zone)
            && request.method != "GET"
        {
            return Err(Refusal::unavailable());
        }
    }
    let shown = match (request.method, request.rest.as_slice(), request.verb) {
        ("GET", ["serverConfig" | "serverconfig"], "") => {
            needs("container.clusters.list")?;
            request.place()?;
            Ok(server_config())
        }
        ("GET", ["operations"], "") => {
            needs("container.operations.list")?;
            Ok(list_operations(world, request))
        }
        ("GET", ["operations", id], "") => {
            needs("container.operations.get")?;
            get_operation(world, request, id)
        }
        ("POST", ["operations", id], "cancel") => {
            needs("container.operations.get")?;
            needs("container.clusters.update")?;
            cancel_operation(world, request, id)
        }
        (_, ["clusters", ..], _) => route_clusters(world, caller, request),
        _ => Err(Refusal::no_such("Method not found.")),
    };
    shown.map(|shown| sorted(&shown))
}

fn route_clusters(world: &mut World, caller: &Caller, request: &Request) -> Result<Value, Refusal> {
    // Roles may be given on one cluster alone.
    let resource = match request.rest.as_slice() {
        [_, cluster, ..] => format!(
            "projects/{}/locations/{}/clusters/{cluster}",
            request.project, request.location
        ),
        _ => format!("projects/{}", request.project),
    };
    let needs = |permission: &str| caller.needs(permission, &resource);
    match (request.method, request.rest.as_slice(), request.verb) {
        ("GET", ["clusters"], "") => {
            needs("container.clusters.list")?;
            Ok(show::list_clusters(
                world,
                &request.project,
                request.location,
            ))
        }
        ("POST", ["clusters"], "") => {
            needs("container.clusters.create")?;
            clusters::create(world, caller, request)
        }
        ("GET", ["clusters", cluster], "fetchClusterUpgradeInfo") => {
            needs("container.clusters.get")?;
            Ok(upgrade_info(
                &show::find(world, &request.cluster(cluster)?)?["body"],
            ))
        }
        ("GET", ["clusters", cluster], "") => {
            needs("container.clusters.get")?;
            let name = request.cluster(cluster)?;
            watch(world, &name.key());
            show::cluster(world, &name)
        }
        ("DELETE", ["clusters", cluster], "") => {
            needs("container.clusters.delete")?;
            clusters::delete(world, &request.cluster(cluster)?)
        }
        ("PUT", ["clusters", cluster], "") => {
            needs("container.clusters.update")?;
            update::update(
                world,
                &request.cluster(cluster)?,
                &request.read("UpdateClusterRequest")?,
            )
        }
        ("POST", ["clusters", cluster], verb) if !verb.is_empty() => {
            needs("container.clusters.update")?;
            clusters::act(world, &request.cluster(cluster)?, verb, request)
        }
        // The older spelling of custom verbs.
        (
            "POST",
            [
                "clusters",
                cluster,
                verb @ ("addons" | "legacyAbac" | "locations" | "logging" | "master" | "monitoring"
                | "resourceLabels"),
            ],
            "",
        ) => {
            needs("container.clusters.update")?;
            let verb = match *verb {
                "master" => "updateMaster".to_owned(),
                other => format!("set{}{}", other[..1].to_ascii_uppercase(), &other[1..]),
            };
            clusters::act(world, &request.cluster(cluster)?, &verb, request)
        }
        (_, ["clusters", cluster, "nodePools", ..], _) => {
            let name = request.cluster(cluster)?;
            let needed = if request.method == "GET" {
                "container.clusters.get"
            } else {
                "container.clusters.update"
            };
            needs(needed)?;
            show::find(world, &name)?;
            pools::route(world, caller, &name, request)
        }
        ("GET", ["clusters", cluster, "jwks"], "") => {
            show::find(world, &request.cluster(cluster)?)?;
            Ok(json!({ "keys": [] }))
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

/// Counts a read as a poll of what runs on `target` or below it, for clients that watch the object.
fn watch(world: &mut World, target: &str) {
    for operation in world.running_on(API, target) {
        world.watch_operation(&operation);
    }
}

fn server_config() -> Value {
    let channels: Vec<Value> = CHANNELS
        .iter()
        .map(|channel| {
            json!({
                "channel": channel.name,
                "defaultVersion": channel.default,
                "validVersions": channel.versions(),
                "upgradeTargetVersion": channel.target,
            })
        })
        .collect();
    json!({
        "defaultClusterVersion": versions::DEFAULT,
        "validNodeVersions": versions::offered(None),
        "validMasterVersions": versions::offered(None),
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD", "WINDOWS_LTSC_CONTAINERD"],
        "channels": channels,
    })
}

/// Where automatic upgrades will lead a cluster.
fn upgrade_info(cluster: &Value) -> Value {
    let channel = versions::channel(text(cluster, "/releaseChannel/channel"));
    let master = text(cluster, "/currentMasterVersion");
    let newer = |version: &&&str| versions::order(version) > versions::order(master);
    let in_minor = |version: &&&str| versions::minor(version) == versions::minor(master);
    let next_minor = |version: &&&str| versions::minor(version) == versions::minor(master) + 1;
    let offered = channel.map(versions::Channel::versions).unwrap_or_default();
    let below_target = |version: &&&str| {
        channel.is_some_and(|channel| versions::order(version) <= versions::order(channel.target))
    };
    let mut info = json!({
        "autoUpgradeStatus": ["ACTIVE"],
        "patchTargetVersion": offered.iter().filter(newer).filter(in_minor).find(below_target),
        "minorTargetVersion": offered.iter().filter(newer).filter(next_minor).find(below_target),
        "endOfStandardSupportTimestamp": format!("20{}-06-30T00:00:00Z", 26 + versions::minor(master).saturating_sub(32) / 3),
    });
    if let Some(fields) = info.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    info
}

fn list_operations(world: &mut World, request: &Request) -> Value {
    if request.location != "-" {
        watch(
            world,
            &format!(
                "projects/{}/locations/{}",
                request.project, request.location
            ),
        );
    }
    let mut found: Vec<_> = world
        .operations()
        .into_iter()
        .filter(|operation| operation.api == API)
        .filter(|operation| operation.detail["project"] == request.project.as_str())
        .filter(|operation| {
            request.location == "-" || operation.detail["location"] == request.location
        })
        .collect();
    found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    let shown: Vec<Value> = found
        .iter()
        .map(|operation| operations::shape(world, operation))
        .collect();
    json!({ "operations": shown })
}

fn get_operation(world: &mut World, request: &Request, wire_name: &str) -> Result<Value, Refusal> {
    let place = request.place()?;
    let found = operations::id_of(wire_name)
        .map(str::to_owned)
        .and_then(|id| world.operation(&id))
        .filter(|operation| operation.api == API && operations::wire_name(operation) == wire_name)
        .filter(|operation| operation.detail["project"] == request.project.as_str())
        .filter(|operation| operation.detail["location"] == request.location);
    let Some(found) = found else {
        return Err(Refusal::not_found(&format!(
            "projects/{}/{}/{}/operations/{wire_name}",
            request.project,
            place.word(),
            request.location
        )));
    };
    let polled = world.poll_operation(&found.id).unwrap_or(found);
    Ok(operations::shape(world, &polled))
}

fn cancel_operation(
    world: &mut World,
    request: &Request,
    wire_name: &str,
) -> Result<Value, Refusal> {
    get_operation(world, request, wire_name)?;
    let id = operations::id_of(wire_name).unwrap_or_default().to_owned();
    let Some(operation) = world.operation(&id) else {
        return Err(Refusal::not_found(wire_name));
    };
    let cancellable = [
        "UPGRADE_NODES",
        "AUTO_UPGRADE_NODES",
        "CREATE_NODE_POOL",
        "SET_NODE_POOL_SIZE",
    ];
    if !cancellable.contains(&operation.kind.as_str()) || !world.cancel_operation(&id) {
        return Err(Refusal::precondition(format!(
            "Operation {wire_name} of type {} and status {} cannot be cancelled.",
            operation.kind,
            if operation.running() {
                "RUNNING"
            } else {
                "DONE"
            },
        )));
    }
    Ok(json!({}))
}
