//! Projects: the two that exist, what people may do in them, and the quota of their APIs.

use serde_json::{Value, json};

use super::{access::Caller, names::project_number, policy, refusal::Refusal};
use crate::core::World;

/// The projects of this cloud.
pub(crate) const PROJECTS: [&str; 2] = ["paymesh-hub", "paymesh-spoke"];

/// Whether there is such a project.
pub(crate) fn exists(_world: &World, project: &str) -> bool {
    PROJECTS.contains(&project)
}

/// The id of a project given by id or number.
pub(crate) fn resolve(word: &str) -> Result<String, Refusal> {
    PROJECTS
        .into_iter()
        .find(|project| *project == word || project_number(project).to_string() == word)
        .map(str::to_owned)
        .ok_or_else(|| {
            let mut refusal =
                Refusal::forbidden(format!("Permission denied on resource project {word}."));
            refusal.details.push(json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "CONSUMER_INVALID",
                "domain": "googleapis.com",
                "metadata": { "consumer": format!("projects/{word}") },
            }));
            refusal
        })
}

/// Resource manager, v1 and v3.
pub(crate) fn answer(
    world: &mut World,
    caller: &Caller,
    version: &str,
    method: &str,
    project: &str,
    verb: &str,
    body: &Value,
) -> Result<Value, Refusal> {
    let resource = format!("projects/{project}");
    match (method, verb) {
        ("GET", "") => {
            caller.needs("resourcemanager.projects.get", &resource)?;
            Ok(shape(version, project))
        }
        ("POST", "testIamPermissions") => {
            let asked = body["permissions"].as_array().cloned().unwrap_or_default();
            let held: Vec<Value> = asked
                .into_iter()
                .filter(|permission| {
                    permission
                        .as_str()
                        .is_some_and(|permission| caller.may(permission, &resource))
                })
                .collect();
            Ok(if held.is_empty() {
                json!({})
            } else {
                json!({ "permissions": held })
            })
        }
        ("POST", "getIamPolicy") => {
            caller.needs("resourcemanager.projects.getIamPolicy", &resource)?;
            let version = body["options"]["requestedPolicyVersion"].as_u64();
            Ok(policy::policy(
                world,
                &resource,
                version.unwrap_or_default(),
            ))
        }
        ("POST", "setIamPolicy") => {
            caller.needs("resourcemanager.projects.setIamPolicy", &resource)?;
            policy::set_policy(world, &resource, &body["policy"])
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

fn shape(version: &str, project: &str) -> Value {
    let number = project_number(project).to_string();
    if version == "v3" {
        return json!({
            "name": format!("projects/{number}"),
            "parent": "organizations/123456789012",
            "projectId": project,
            "state": "ACTIVE",
            "displayName": project,
            "createTime": "2026-01-05T17:00:00Z",
            "updateTime": "2026-01-05T17:00:00Z",
            "etag": "W/\"8f2c1d\"",
        });
    }
    json!({
        "projectNumber": number,
        "projectId": project,
        "lifecycleState": "ACTIVE",
        "name": project,
        "createTime": "2026-01-05T17:00:00.000Z",
        "parent": { "type": "organization", "id": "123456789012" },
    })
}

/// Service usage: the APIs that clusters need are on.
pub(crate) fn service(caller: &Caller, project: &str, service: &str) -> Result<Value, Refusal> {
    caller.needs("serviceusage.services.get", &format!("projects/{project}"))?;
    let on = [
        "artifactregistry",
        "cloudkms",
        "cloudresourcemanager",
        "compute",
        "container",
        "iam",
        "iamcredentials",
        "serviceusage",
    ];
    let enabled = service
        .strip_suffix(".googleapis.com")
        .is_some_and(|short| on.contains(&short));
    let number = project_number(project);
    Ok(json!({
        "name": format!("projects/{number}/services/{service}"),
        "parent": format!("projects/{number}"),
        "state": if enabled { "ENABLED" } else { "DISABLED" },
        "config": { "name": service },
    }))
}
