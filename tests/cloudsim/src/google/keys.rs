//! Encryption keys by id, and the certificate of clusters.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    access::Caller, catalogue::places::Place, json::text, names::ClusterName, project,
    refusal::Refusal,
};
use crate::core::World;

/// The key ring and key that every project has in every region.
const RING: &str = "paymesh";
const KEY: &str = "clusters";

/// `GET …/locations/{location}/keyRings/{ring}/cryptoKeys/{key}`.
pub(crate) fn answer(
    caller: &Caller,
    project: &str,
    location: &str,
    rest: &[&str],
) -> Result<Value, Refusal> {
    let ring = format!("projects/{project}/locations/{location}/keyRings");
    match rest {
        [name] | [name, "cryptoKeys"] if *name != RING => Err(Refusal::no_such(format!(
            "KeyRing {ring}/{name} not found."
        ))),
        [_] => {
            caller.needs("cloudkms.keyRings.get", &format!("projects/{project}"))?;
            Ok(json!({ "name": format!("{ring}/{RING}"), "createTime": "2026-01-05T17:00:00Z" }))
        }
        [_, "cryptoKeys"] => {
            caller.needs("cloudkms.cryptoKeys.list", &format!("projects/{project}"))?;
            Ok(
                json!({ "cryptoKeys": [shape(&format!("{ring}/{RING}/cryptoKeys/{KEY}"))], "totalSize": 1 }),
            )
        }
        [name, "cryptoKeys", key] => {
            caller.needs("cloudkms.cryptoKeys.get", &format!("projects/{project}"))?;
            let full = format!("{ring}/{name}/cryptoKeys/{key}");
            if exists(&full) {
                Ok(shape(&full))
            } else {
                Err(Refusal::no_such(format!("CryptoKey {full} not found.")))
            }
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

fn shape(name: &str) -> Value {
    json!({
        "name": name,
        "purpose": "ENCRYPT_DECRYPT",
        "createTime": "2026-01-05T17:00:00Z",
        "primary": {
            "name": format!("{name}/cryptoKeyVersions/1"),
            "state": "ENABLED",
            "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
            "protectionLevel": "HSM",
        },
        "versionTemplate": { "protectionLevel": "HSM", "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION" },
        "destroyScheduledDuration": "2592000s",
    })
}

fn exists(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts.as_slice(),
        ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key]
            if project::resolve(project).is_ok()
                && Place::parse(location).is_some_and(|place| place.zone.is_none())
                && *ring == RING && *key == KEY)
}

/// Checks the key that is to encrypt a cluster's secrets: there, and in the cluster's region.
pub(crate) fn check_encryption(
    _world: &World,
    name: &ClusterName,
    config: &Value,
) -> Result<(), Refusal> {
    if text(config, "/state") != "ENCRYPTED" {
        return Ok(());
    }
    let key = text(config, "/keyName");
    if key.is_empty() {
        return Err(Refusal::invalid(
            "Cluster.database_encryption.key_name must be set when state is ENCRYPTED.",
        ));
    }
    let location = key.split('/').nth(3).unwrap_or_default();
    if location != name.place.region {
        return Err(Refusal::invalid(format!(
            "Cloud KMS key \"{key}\" must be in the region of the cluster, \"{}\".",
            name.place.region
        )));
    }
    if !exists(key) {
        return Err(Refusal::invalid(format!(
            "Cloud KMS key \"{key}\" was not found."
        )));
    }
    Ok(())
}

/// The certificate authority of clusters, as `clusterCaCertificate` carries it.
pub(crate) fn certificate(world: &World) -> String {
    let pem = std::fs::read(world.place.state_dir.join("ca.pem")).unwrap_or_default();
    STANDARD.encode(pem)
}
