//! Creating and deleting clusters, and the custom verbs on them.

use serde_json::{Value, json};

use super::{
    super::{
        access::Caller,
        json::{set, text},
        keys,
        names::{ClusterName, check_labels, fingerprint},
        refusal::Refusal,
    },
    API, CLUSTERS, POOLS, Request, cluster, maintenance, master,
    operations::{self, Effect},
    pool, quota, show, update,
};
use crate::core::World;

const CREATE_SECONDS: u32 = 360;
const DELETE_SECONDS: u32 = 240;

/// Creates a cluster.
pub(crate) fn create(
    world: &mut World,
    caller: &Caller,
    request: &Request,
) -> Result<Value, Refusal> {
    let read = request.read("CreateClusterRequest")?;
    let Some(given) = read["cluster"].as_object().cloned() else {
        return Err(Refusal::invalid("Cluster must be set."));
    };
    let short = text(&read, "/cluster/name").to_owned();
    let name = request.cluster(&short)?;
    if world.store.find(CLUSTERS, &name.key()).is_some() {
        return Err(Refusal::exists(format!(
            "Already exists: {}.",
            name.shown()
        )));
    }
    let (mut body, pools) = cluster::complete(world, &name, given)?;
    master::check(world, &name, &body)?;
    keys::check_encryption(world, &name, &body["databaseEncryption"])?;
    for pool in &pools {
        caller.may_run_nodes_as(world, &pool::service_account(&name, pool), &name.project)?;
    }
    let costs: Vec<quota::Usage> = pools
        .iter()
        .map(|pool| quota::cost(pool, &pool::first_nodes(pool)))
        .collect();
    quota::check(world, &name, &costs)?;

    let now = world.clock.now();
    set(&mut body, "createTime", json!(operations::nanos(now)));
    // Another incarnation of the same name has another id.
    set(
        &mut body,
        "id",
        json!(fingerprint(&format!("{} {now}", name.key()))),
    );
    let mut effect = Effect::none();
    let key = name.key();
    effect.write(&key, "sim/ready", json!(true));
    effect.write(
        &key,
        "body/masterAuth/clusterCaCertificate",
        json!(keys::certificate(world)),
    );
    world.store.put(
        CLUSTERS,
        &key,
        json!({ "body": body, "sim": { "created": now, "upgraded": now } }),
    );
    for (place, pool) in pools.into_iter().enumerate() {
        let short = text(&pool, "/name").to_owned();
        let nodes = pool::first_nodes(&pool);
        let sim = json!({ "created": now, "place": place, "nodes": nodes, "idle_since": now });
        world.store.put(
            POOLS,
            &name.pool_key(&short),
            json!({ "body": pool, "sim": sim }),
        );
    }
    let lost = lost_zones(world, &name);
    let shown = operations::start(
        world,
        &name,
        None,
        "CREATE_CLUSTER",
        CREATE_SECONDS,
        &effect,
    );
    fail_for_lost_zones(world, &shown, &lost);
    Ok(shown)
}

/// The zones of a cluster that are lost at the moment.
fn lost_zones(world: &World, name: &ClusterName) -> Vec<String> {
    let pools = show::pools_of(world, name);
    let mut lost: Vec<String> = pools
        .iter()
        .flat_map(|(_, pool)| super::super::json::texts(&pool["body"], "/locations"))
        .filter(|zone| world.faults.lost_zone(API, &name.place.region, zone))
        .collect();
    lost.dedup();
    lost
}

/// An operation that needs machines in a lost zone ends as a stockout.
pub(crate) fn fail_for_lost_zones(world: &mut World, shown: &Value, lost: &[String]) {
    let (Some(zone), Some(id)) = (lost.first(), operations::id_of(text(shown, "/name"))) else {
        return;
    };
    let Some(mut operation) = world.operation(id) else {
        return;
    };
    if operation.ending.is_none() {
        operation.ending = Some(crate::core::operation::Ending::Failed(
            crate::core::operation::Failure {
                code: "GCE_STOCKOUT".into(),
                message: format!(
                    "Google Compute Engine: The zone '{zone}' does not have enough resources available to fulfill the \
                 request. Try a different zone, or try again later."
                ),
            },
        ));
        world.keep_operation(&operation);
    }
}

/// Deletes a cluster.
pub(crate) fn delete(world: &mut World, name: &ClusterName) -> Result<Value, Refusal> {
    show::find(world, name)?;
    operations::ensure_free(world, name, None)?;
    let effect = Effect::removal(name.key());
    Ok(operations::start(
        world,
        name,
        None,
        "DELETE_CLUSTER",
        DELETE_SECONDS,
        &effect,
    ))
}

/// A custom verb on a cluster.
pub(crate) fn act(
    world: &mut World,
    name: &ClusterName,
    verb: &str,
    request: &Request,
) -> Result<Value, Refusal> {
    let stored = show::find(world, name)?;
    match verb {
        "setResourceLabels" => set_labels(world, name, &request.read("SetLabelsRequest")?),
        "setMaintenancePolicy" => {
            let read = request.read("SetMaintenancePolicyRequest")?;
            set_maintenance_policy(world, name, &stored, read["maintenancePolicy"].clone())
        }
        "updateMaster" => {
            let read = request.read("UpdateMasterRequest")?;
            update::upgrade_master(world, name, text(&read, "/masterVersion"))
        }
        "setLocations" => wrapped(
            world,
            name,
            &request.read("SetLocationsRequest")?,
            "locations",
            "desiredLocations",
        ),
        "setAddons" => wrapped(
            world,
            name,
            &request.read("SetAddonsConfigRequest")?,
            "addonsConfig",
            "desiredAddonsConfig",
        ),
        "setLogging" => wrapped(
            world,
            name,
            &request.read("SetLoggingServiceRequest")?,
            "loggingService",
            "desiredLoggingService",
        ),
        "setMonitoring" => wrapped(
            world,
            name,
            &request.read("SetMonitoringServiceRequest")?,
            "monitoringService",
            "desiredMonitoringService",
        ),
        "setLegacyAbac" => {
            let read = request.read("SetLegacyAbacRequest")?;
            let abac = if read["enabled"] == true {
                json!({ "enabled": true })
            } else {
                json!({})
            };
            plain(world, name, "UPDATE_CLUSTER", "body/legacyAbac", abac)
        }
        "setNetworkPolicy" => {
            let read = request.read("SetNetworkPolicyRequest")?;
            if text(&stored, "/body/networkConfig/datapathProvider") == "ADVANCED_DATAPATH"
                && read["networkPolicy"]["enabled"] == true
            {
                return Err(Refusal::invalid(
                    "Enabling NetworkPolicy for clusters with DatapathProvider=ADVANCED_DATAPATH is not allowed.",
                ));
            }
            plain(
                world,
                name,
                "SET_NETWORK_POLICY",
                "body/networkPolicy",
                read["networkPolicy"].clone(),
            )
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

fn wrapped(
    world: &mut World,
    name: &ClusterName,
    read: &Value,
    from: &str,
    to: &str,
) -> Result<Value, Refusal> {
    let mut update = json!({});
    update[to] = read[from].clone();
    update::update(world, name, &json!({ "update": update }))
}

fn plain(
    world: &mut World,
    name: &ClusterName,
    kind: &str,
    path: &str,
    value: Value,
) -> Result<Value, Refusal> {
    operations::ensure_free(world, name, None)?;
    let mut effect = Effect::none();
    effect.write(&name.key(), path, value);
    Ok(operations::start(world, name, None, kind, 30, &effect))
}

fn set_labels(world: &mut World, name: &ClusterName, read: &Value) -> Result<Value, Refusal> {
    check_labels("resource_labels", &read["resourceLabels"])?;
    let shown = show::cluster(world, name)?;
    if text(read, "/labelFingerprint") != text(&shown, "/labelFingerprint") {
        return Err(Refusal::precondition(
            "Labels could not be set due to fingerprint mismatch",
        ));
    }
    let labels = if read["resourceLabels"].is_object() {
        read["resourceLabels"].clone()
    } else {
        Value::Null
    };
    plain(world, name, "SET_LABELS", "body/resourceLabels", labels)
}

fn set_maintenance_policy(
    world: &mut World,
    name: &ClusterName,
    stored: &Value,
    policy: Value,
) -> Result<Value, Refusal> {
    let mut policy = if policy.is_object() {
        policy
    } else {
        json!({})
    };
    maintenance::check(&policy)?;
    let current = text(stored, "/body/maintenancePolicy/resourceVersion");
    let given = text(&policy, "/resourceVersion");
    if !given.is_empty() && given != current {
        return Err(Refusal::aborted(format!(
            "Maintenance policy resource version mismatch: got \"{given}\", want \"{current}\"."
        )));
    }
    let version = maintenance::version(&policy);
    set(&mut policy, "resourceVersion", json!(version));
    plain(
        world,
        name,
        "SET_MAINTENANCE_POLICY",
        "body/maintenancePolicy",
        policy,
    )
}
