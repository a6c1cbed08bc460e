//! Requests other than PUT and GET: tags, delete, stop, start, abort, credentials, upgrades on offer.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{begin_state, missing, refuse_if_busy, refuse_if_stopped, short_hash};
use crate::{
    azure::{Arm, Outcome, check_tags, entra, error::flat, path::key, pool, resource, versions},
    core::{Answer, Operation, World},
};

pub(super) fn patch(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let body = arm.object()?;
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Err(missing(arm));
    };
    arm.precondition(resource::kept(&old, "etag").as_str())?;
    refuse_if_busy(arm.world, id)?;
    refuse_if_stopped(&old)?;
    check_tags(&body["tags"])?;
    let tags = if body["tags"].is_null() {
        json!({})
    } else {
        body["tags"].clone()
    };
    begin_state(arm.world, id, "Updating", |body| body["tags"] = tags);
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let operation = arm.begin("Updating", id, &region, 60, json!({ "action": "cluster" }));
    Ok(
        Answer::json(200, &resource::shown(arm.world, id).unwrap_or_default())
            .with("azure-asyncoperation", operation.poll),
    )
}

pub(super) fn delete(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Ok(Answer::empty(204));
    };
    arm.precondition(resource::kept(&old, "etag").as_str())?;
    refuse_if_busy(arm.world, id)?;
    begin_state(arm.world, id, "Deleting", |_| {});
    let pools: Vec<String> = pool::of_cluster(arm.world, id)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        resource::change(arm.world, &pool, |body| {
            body["properties"]["provisioningState"] = "Deleting".into();
        });
    }
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let operation = arm.begin("Deleting", id, &region, 240, json!({ "action": "delete" }));
    Ok(Answer::empty(202)
        .with("azure-asyncoperation", operation.poll)
        .with("location", operation.result))
}

pub(super) fn act(arm: &mut Arm<'_>, id: &str, tail: &str) -> Outcome {
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Err(missing(arm));
    };
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let stopped = old["properties"]["powerState"]["code"] == "Stopped";
    match (arm.call.method.as_str(), tail) {
        ("POST", "stop" | "start") => {
            refuse_if_busy(arm.world, id)?;
            if (tail == "stop") == stopped {
                return Ok(Answer::empty(204));
            }
            let (state, seconds) = if tail == "stop" {
                ("Stopping", 180)
            } else {
                ("Starting", 240)
            };
            begin_state(arm.world, id, state, |_| {});
            let operation = arm.begin(state, id, &region, seconds, json!({ "action": tail }));
            Ok(Answer::empty(202)
                .with("azure-asyncoperation", operation.poll)
                .with("location", operation.result))
        }
        ("POST", "abort") => abort(arm, id, &region),
        (
            "POST",
            "rotateclustercertificates"
            | "rotateserviceaccountsigningkeys"
            | "resetserviceprincipalprofile"
            | "resetaadprofile",
        ) => {
            refuse_if_busy(arm.world, id)?;
            refuse_if_stopped(&old)?;
            begin_state(arm.world, id, "RotatingClusterCertificates", |_| {});
            let operation = arm.begin(
                "RotatingClusterCertificates",
                id,
                &region,
                300,
                json!({ "action": "cluster" }),
            );
            Ok(Answer::empty(202)
                .with("azure-asyncoperation", operation.poll)
                .with("location", operation.result))
        }
        ("POST", "listclusteradmincredential")
            if old["properties"]["disableLocalAccounts"] == true =>
        {
            Err(flat(
                403,
                "OperationNotAllowed",
                "Getting static credential is not allowed because this cluster is set to disable local accounts.",
            ))
        }
        ("POST", "listclusteradmincredential") => {
            Ok(credential(arm.world, &old, "clusterAdmin", true))
        }
        ("POST", "listclusterusercredential") => {
            Ok(credential(arm.world, &old, "clusterUser", false))
        }
        ("GET", "availableagentpoolversions") => {
            let plane = versions::numbers(
                old["properties"]["currentKubernetesVersion"]
                    .as_str()
                    .unwrap_or_default(),
            );
            let list: Vec<Value> = versions::offered()
                .filter(|version| versions::numbers(version) <= plane)
                .map(|version| json!({ "kubernetesVersion": version, "default": Some(version) == old["properties"]["currentKubernetesVersion"].as_str() }))
                .collect();
            Ok(Answer::json(
                200,
                &json!({ "id": format!("{id}/availableagentpoolversions"), "name": "default", "type": "Microsoft.ContainerService/managedClusters/availableAgentpoolVersions", "properties": { "agentPoolVersions": list } }),
            ))
        }
        _ => Err(Answer::empty(404)),
    }
}

/// Aborts what runs on `id`.
pub(in crate::azure) fn abort(arm: &mut Arm<'_>, id: &str, region: &str) -> Outcome {
    let running: Vec<Operation> = arm
        .world
        .running_on("azure", &key(id))
        .into_iter()
        .filter(|operation| operation.target == key(id))
        .collect();
    if running.is_empty() {
        return Err(flat(
            400,
            "OperationNotAllowed",
            "There is no operation in progress to abort.",
        ));
    }
    for operation in running {
        arm.world.cancel_operation(&operation.id);
    }
    let target = format!("{}/abort", key(id));
    let operation = arm.begin(
        "Canceling",
        &target,
        region,
        30,
        json!({ "action": "abort" }),
    );
    Ok(Answer::empty(202)
        .with("azure-asyncoperation", operation.poll)
        .with("location", operation.result))
}

fn credential(world: &World, cluster: &Value, user: &str, admin: bool) -> Answer {
    let properties = &cluster["properties"];
    let name = cluster["name"].as_str().unwrap_or_default();
    let group = cluster["id"]
        .as_str()
        .unwrap_or_default()
        .split('/')
        .nth(4)
        .unwrap_or_default();
    let private = properties["apiServerAccessProfile"]["enablePrivateCluster"] == true
        && properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] != true;
    let host = if private {
        properties["privateFQDN"].as_str()
    } else {
        properties["fqdn"].as_str()
    }
    .unwrap_or_default();
    let authority = std::fs::read(world.place.state_dir.join("ca.pem")).unwrap_or_default();
    let entra = properties["aadProfile"].is_object() && !admin;
    let user_name = format!("{user}_{group}_{name}");
    let login = if entra {
        json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "kubelogin", "env": null, "provideClusterInfo": false,
            "args": ["get-token", "--environment", "AzurePublicCloud", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630",
                     "--client-id", "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id", entra::TENANT, "--login", "devicecode"],
        }})
    } else {
        json!({ "token": short_hash(&format!("{host}/{user}/{}", properties["resourceUID"])).repeat(4) })
    };
    let context = if admin {
        format!("{name}-admin")
    } else {
        name.to_owned()
    };
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": context,
        "clusters": [{ "name": name, "cluster": { "server": format!("https://{host}:443"), "certificate-authority-data": STANDARD.encode(authority) } }],
        "contexts": [{ "name": context, "context": { "cluster": name, "user": user_name } }],
        "users": [{ "name": user_name, "user": login }],
    });
    Answer::json(
        200,
        &json!({ "kubeconfigs": [{ "name": user, "value": STANDARD.encode(config.to_string()) }] }),
    )
}

/// `managedClusters/{c}/upgradeProfiles/default`.
pub(in crate::azure) fn upgrade_profile(world: &World, id: &str, cluster: &Value) -> Value {
    let current = cluster["properties"]["currentKubernetesVersion"]
        .as_str()
        .unwrap_or_default();
    let upgrades: Vec<Value> = versions::upgrades(current)
        .into_iter()
        .map(|version| json!({ "kubernetesVersion": version }))
        .collect();
    let pools: Vec<Value> = pool::of_cluster(world, id)
        .map(|(_, pool)| {
            let mut profile = pool::upgrade_profile("", pool, cluster)["properties"].clone();
            profile["name"] = pool["name"].clone();
            profile
        })
        .collect();
    json!({
        "id": format!("{id}/upgradeprofiles/default"), "name": "default", "type": "Microsoft.ContainerService/managedClusters/upgradeProfiles",
        "properties": {
            "controlPlaneProfile": { "kubernetesVersion": current, "osType": "Linux", "upgrades": upgrades },
            "agentPoolProfiles": pools,
        },
    })
}
