//! IAM policies: who holds which role on what, under which condition.

use serde_json::{Value, json};

use super::{
    access::{AUDITOR_MEMBER, ENGINEER, ENGINEER_MEMBER},
    iam,
    json::{set, sorted, text},
    jwt,
    names::{fingerprint, project_number},
    project::PROJECTS,
    refusal::Refusal,
};
use crate::core::{Millis, World};

/// The table of policies, by full resource name.
const POLICIES: &str = "google.policies";
/// How long a new policy takes to count, in milliseconds.
const PROPAGATION: Millis = 7000;
/// The version that knows conditions.
const CONDITIONAL: u64 = 3;

/// Makes the policies that projects start with.
pub(crate) fn seed(world: &mut World) {
    for project in PROJECTS {
        let resource = format!("projects/{project}");
        if world.store.find(POLICIES, &resource).is_some() {
            continue;
        }
        let number = project_number(project);
        let mut bindings: Vec<Value> = ENGINEER
            .iter()
            .map(|role| json!({ "role": role, "members": [ENGINEER_MEMBER, format!("serviceAccount:{}", jwt::ACCOUNT)] }))
            .collect();
        bindings.push(json!({
            "role": "roles/container.serviceAgent",
            "members": [format!("serviceAccount:service-{number}@container-engine-robot.iam.gserviceaccount.com")],
        }));
        bindings.push(json!({ "role": "roles/viewer", "members": [AUDITOR_MEMBER] }));
        bindings.push(json!({ "role": "roles/owner", "members": ["user:owner@paymesh.example"] }));
        world
            .store
            .put(POLICIES, &resource, json!({ "bindings": bindings }));
    }
}

/// The policy of a resource, with its etag, as a client sees it that knows `version`.
///
/// Who asks for less than version 3 is shown conditional roles under another name and without
/// their conditions (IAM documentation, "Policy versions", read 2026-11).
pub(crate) fn policy(world: &World, resource: &str, version: u64) -> Value {
    let stored = world.store.find(POLICIES, resource);
    let bindings = stored.map_or(Value::Null, |stored| stored["bindings"].clone());
    let etag = etag(stored);
    let conditional = has_conditions(&bindings);
    let shown = if conditional && version < CONDITIONAL {
        without_conditions(&bindings)
    } else {
        bindings
    };
    let version = if conditional && version >= CONDITIONAL {
        CONDITIONAL
    } else {
        1
    };
    let mut policy = json!({ "version": version, "etag": etag });
    if shown
        .as_array()
        .is_some_and(|bindings| !bindings.is_empty())
    {
        policy["bindings"] = shown;
    }
    policy
}

fn has_conditions(bindings: &Value) -> bool {
    let mut list = bindings.as_array().into_iter().flatten();
    list.any(|binding| binding.get("condition").is_some())
}

fn without_conditions(bindings: &Value) -> Value {
    let list = bindings.as_array().into_iter().flatten();
    list.map(|binding| {
        let mut shown = binding.clone();
        if let Some(condition) = binding.get("condition") {
            let mark = &fingerprint(&condition.to_string())[..20];
            shown["role"] = json!(format!("{}_withcond_{mark}", text(binding, "/role")));
            set(&mut shown, "condition", Value::Null);
        }
        shown
    })
    .collect()
}

/// The bindings in force: a new policy counts only after some seconds.
pub(crate) fn effective(world: &World, resource: &str) -> Value {
    let Some(stored) = world.store.find(POLICIES, resource) else {
        return Value::Null;
    };
    let fresh = stored["since"]
        .as_i64()
        .is_some_and(|since| !world.has_settled(since, PROPAGATION));
    stored[if fresh { "before" } else { "bindings" }].clone()
}

/// Whether `expression` holds for the resource of that name: comparisons of `resource.name`,
/// joined by `&&` and `||`. What is not understood holds for nothing.
pub(crate) fn holds(expression: &str, resource: &str) -> bool {
    let term = |term: &str| {
        let quoted = |words: &str| -> Option<String> {
            Some(
                words
                    .trim()
                    .strip_prefix('"')?
                    .strip_suffix('"')?
                    .to_owned(),
            )
        };
        let term = term.trim();
        if let Some(name) = term.strip_prefix("resource.name ==") {
            quoted(name).is_some_and(|name| name == resource)
        } else if let Some(start) = term.strip_prefix("resource.name.startsWith(") {
            let start = start.strip_suffix(')').and_then(quoted);
            start.is_some_and(|start| resource.starts_with(&start))
        } else {
            false
        }
    };
    expression.split("||").any(|all| all.split("&&").all(term))
}

/// The etag of a policy: each write gives a new one, also one that changes nothing or brings back
/// what was there before.
fn etag(stored: Option<&Value>) -> String {
    let bindings = stored.map_or(&Value::Null, |stored| &stored["bindings"]);
    let words = format!("{} {}", stored.map_or(0, writes), sorted(bindings));
    format!("Bw{}=", &fingerprint(&words)[..9])
}

/// How often a policy was written.
fn writes(stored: &Value) -> u64 {
    stored["writes"].as_u64().unwrap_or_default()
}

/// Replaces the policy of a resource, if the etag (when given) is the current one.
pub(crate) fn set_policy(
    world: &mut World,
    resource: &str,
    wanted: &Value,
) -> Result<Value, Refusal> {
    let stored = world.store.find(POLICIES, resource);
    let current = etag(stored);
    let writes = stored.map_or(0, writes) + 1;
    let given = text(wanted, "/etag");
    if !given.is_empty() && given != current {
        return Err(Refusal::aborted(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        ));
    }
    let mut bindings = wanted["bindings"].clone();
    let version = wanted["version"].as_u64().unwrap_or_default();
    if has_conditions(&bindings) && version < CONDITIONAL {
        return Err(Refusal::invalid(format!(
            "Specified policy version ({version}) cannot be set on a policy with conditional role bindings. Policy \
             version must be 3 or greater."
        )));
    }
    for binding in bindings.as_array_mut().into_iter().flatten() {
        check_binding(world, binding)?;
    }
    let before = effective(world, resource);
    let since = world.clock.now();
    world.store.put(
        POLICIES,
        resource,
        json!({ "bindings": bindings, "before": before, "since": since, "writes": writes }),
    );
    Ok(policy(world, resource, version))
}

fn check_binding(world: &World, binding: &Value) -> Result<(), Refusal> {
    let role = text(binding, "/role");
    if role.contains("_withcond_") || !role.contains("roles/") {
        return Err(Refusal::invalid(format!(
            "Role {role} is not supported for this resource."
        )));
    }
    if let Some(condition) = binding.get("condition") {
        if ["roles/owner", "roles/editor", "roles/viewer"].contains(&role) {
            return Err(Refusal::invalid(format!(
                "Conditions can't be set on primitive role {role}."
            )));
        }
        let title = text(condition, "/title");
        if title.is_empty() || title.chars().count() > 100 {
            return Err(Refusal::invalid(
                "The condition's title must have 1 to 100 characters.",
            ));
        }
        if text(condition, "/description").len() > 256 {
            return Err(Refusal::invalid(
                "The condition's description must have at most 256 characters.",
            ));
        }
        let expression = text(condition, "/expression");
        if expression.is_empty() || expression.matches('"').count() % 2 == 1 {
            return Err(Refusal::invalid(format!(
                "Condition expression compilation failed: {expression:?}"
            )));
        }
    }
    let members = binding["members"].as_array().into_iter().flatten();
    members
        .filter_map(Value::as_str)
        .try_for_each(|member| check_member(world, member))
}

fn check_member(world: &World, member: &str) -> Result<(), Refusal> {
    let kinds = [
        "user:",
        "group:",
        "serviceAccount:",
        "domain:",
        "principal:",
        "principalSet:",
        "deleted:",
    ];
    if !kinds.iter().any(|kind| member.starts_with(kind)) {
        return Err(Refusal::invalid(format!("Invalid member: {member}")));
    }
    let account = member.strip_prefix("serviceAccount:").unwrap_or_default();
    if PROJECTS
        .iter()
        .any(|project| account.ends_with(&format!("@{project}.iam.gserviceaccount.com")))
        && !iam::known(world, account)
    {
        return Err(Refusal::invalid(format!(
            "Service account {account} does not exist."
        )));
    }
    // The one domain of this world that has nobody in it.
    if let Some((kind, address)) = member.split_once(':')
        && address.ends_with("@nowhere.example")
    {
        let kind = if kind == "group" { "Group" } else { "User" };
        return Err(Refusal::invalid(format!(
            "{kind} {address} does not exist."
        )));
    }
    Ok(())
}

/// Writes `after` for the member `before` in every policy: an account that is deleted leaves its
/// bindings behind under another name.
pub(crate) fn rename_member(world: &mut World, before: &str, after: &str) {
    let mut held: Vec<(String, Value)> = world
        .store
        .list(POLICIES)
        .map(|(resource, policy)| (resource.clone(), policy.clone()))
        .collect();
    for (resource, policy) in &mut held {
        let mut found = false;
        for bindings in ["bindings", "before"] {
            let list = policy[bindings].as_array_mut().into_iter().flatten();
            for member in
                list.flat_map(|binding| binding["members"].as_array_mut().into_iter().flatten())
            {
                if member == before {
                    *member = json!(after);
                    found = true;
                }
            }
        }
        if found {
            policy["writes"] = json!(writes(policy) + 1);
            world.store.put(POLICIES, resource, policy.clone());
        }
    }
}

/// Forgets the policy of a resource that is gone.
pub(crate) fn forget(world: &mut World, resource: &str) {
    world.store.remove(POLICIES, resource);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_the_resource_that_a_role_is_for() {
        let one = "resource.name == \"projects/p/locations/l/clusters/pay\"";
        assert!(holds(one, "projects/p/locations/l/clusters/pay"));
        assert!(!holds(one, "projects/p/locations/l/clusters/other"));
        assert!(!holds(one, "projects/p"));
        let below = "resource.name.startsWith(\"projects/p/locations/l\")";
        assert!(holds(below, "projects/p/locations/l/clusters/pay"));
        assert!(!holds(
            &format!("{one} && {below}"),
            "projects/p/locations/l"
        ));
        assert!(!holds(
            "request.time < timestamp(\"2026-01-01T00:00:00Z\")",
            "projects/p"
        ));
    }
}
