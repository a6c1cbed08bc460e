//! Azure: Entra and Azure Resource Manager, as far as clusters touch them.
//!
//! A call passes the directory (`entra`), then the gateway (`gate`: token, role, budget), then one
//! resource provider. Ids are compared without case and shown as their creator wrote them.

mod catalogue;
mod cluster;
mod entra;
mod error;
mod gate;
mod groups;
mod issuer;
mod operations;
mod pages;
mod path;
mod plain;
mod pool;
mod resource;
mod roles;
mod seed;
mod versions;

use serde_json::{Map, Value, json};

use crate::core::{Answer, Api, Call, Operation, World};
use path::{Target, key};

/// The simulated Azure.
pub(crate) struct Azure;

/// An answer, or the refusal; both go out.
type Outcome = Result<Answer, Answer>;

/// One call to Resource Manager, past token, role and budget.
struct Arm<'a> {
    world: &'a mut World,
    call: &'a Call,
    target: Target,
    principal: entra::Principal,
}

/// An operation just begun.
struct Begun {
    /// Address of its status.
    poll: String,
    /// Address of its result.
    result: String,
}

impl Arm<'_> {
    /// The id that the path names, spelled canonically, names as sent.
    fn id(&self) -> String {
        self.id_of_parts(self.target.parts.len())
    }

    /// The id without its last part (the whole of it, if the path ends in a type or action).
    fn parent_id(&self) -> String {
        let parts = self.target.parts.len();
        let named = if self.target.kind().ends_with("/agentpools") && self.target.tail.is_some() {
            parts
        } else {
            1
        };
        self.id_of_parts(named.min(parts))
    }

    fn id_of_parts(&self, count: usize) -> String {
        let mut id = format!(
            "{}/providers/{}",
            self.target.group_id(),
            self.target.provider.as_deref().unwrap_or_default()
        );
        for (kind, name) in self.target.parts.iter().take(count) {
            let kind = if kind == "agentpools" {
                "agentPools"
            } else {
                kind
            };
            id = format!("{id}/{kind}/{name}");
        }
        id.replace(
            "/providers/microsoft.containerservice/managedclusters/",
            "/providers/Microsoft.ContainerService/managedClusters/",
        )
    }

    /// The body, which must be an object.
    fn object(&self) -> Result<Value, Answer> {
        match self.call.json() {
            Ok(body) if body.is_object() => Ok(body),
            Ok(_) => Err(error::gateway(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'a JSON object is expected'.",
            )),
            Err(error) => Err(error::gateway(
                400,
                "InvalidRequestContent",
                &format!(
                    "The request content was invalid and could not be deserialized: '{error}'."
                ),
            )),
        }
    }

    /// Honours `If-Match` and `If-None-Match`; only clusters and pools do.
    fn precondition(&self, etag: Option<&str>) -> Result<(), Answer> {
        let bare = |text: &str| {
            text.trim()
                .trim_start_matches("W/")
                .trim_matches('"')
                .to_owned()
        };
        let exists = etag.is_some();
        if let Some(wanted) = self
            .call
            .header("if-match")
            .filter(|wanted| !wanted.is_empty())
        {
            let wanted = bare(wanted);
            let missing_delete = self.call.method == "DELETE" && !exists;
            if !missing_delete && !(exists && (wanted == "*" || Some(wanted.as_str()) == etag)) {
                return Err(error::flat(
                    412,
                    "PreconditionFailed",
                    "The condition set in the request header If-Match was not met: the etag of the resource differs.",
                ));
            }
        }
        if let Some(wanted) = self
            .call
            .header("if-none-match")
            .filter(|wanted| !wanted.is_empty())
        {
            let wanted = bare(wanted);
            if exists && (wanted == "*" || Some(wanted.as_str()) == etag) {
                return Err(error::flat(
                    412,
                    "PreconditionFailed",
                    "The condition set in the request header If-None-Match was not met: the resource already exists.",
                ));
            }
        }
        Ok(())
    }

    /// Begins an operation of AKS on `id`.
    fn begin(&mut self, kind: &str, id: &str, region: &str, seconds: u32, detail: Value) -> Begun {
        let operation = self
            .world
            .start_operation("azure", kind, &key(id), seconds, detail);
        let subscription = self.target.subscription();
        let poll = operations::poll_url(
            self.world,
            subscription,
            "Microsoft.ContainerService",
            region,
            &operation,
        );
        let result = operations::result_url(
            self.world,
            subscription,
            "Microsoft.ContainerService",
            region,
            &operation,
        );
        self.remember_result(operation, &result);
        Begun { poll, result }
    }

    fn remember_result(&mut self, mut operation: Operation, result: &str) {
        operation.detail["location"] = result.into();
        self.world.keep_operation(&operation);
    }
}

/// Checks tags: number, length and characters.
fn check_tags(tags: &Value) -> Result<(), Answer> {
    let refuse = |code: &str, message: String| Err(error::gateway(400, code, &message));
    let Some(tags) = tags.as_object() else {
        return if tags.is_null() {
            Ok(())
        } else {
            refuse("InvalidTags", "The tags must be an object.".into())
        };
    };
    if tags.len() > 50 {
        return refuse(
            "InvalidTags",
            format!("The resource has {} tags; the maximum is 50.", tags.len()),
        );
    }
    for (name, value) in tags {
        if name.is_empty()
            || name.len() > 512
            || name.contains(['<', '>', '%', '&', '\\', '?', '/'])
        {
            return refuse(
                "InvalidTagNameCharacters",
                format!(
                    "The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters, or are too long."
                ),
            );
        }
        match value.as_str() {
            Some(text) if text.len() <= 256 => {}
            _ => {
                return refuse(
                    "InvalidTagValue",
                    format!("The value of tag '{name}' must be a text of at most 256 characters."),
                );
            }
        }
        if tags
            .keys()
            .filter(|other| other.eq_ignore_ascii_case(name))
            .count()
            > 1
        {
            return refuse(
                "InvalidTags",
                format!("The tag '{name}' appears twice; tag names are compared without case."),
            );
        }
    }
    Ok(())
}

/// Makes sure that a cluster's node resource group exists; returns its kubelet identity.
fn node_group(
    world: &mut World,
    subscription: &str,
    group: &str,
    cluster: &str,
    name: &str,
    region: &str,
) -> Value {
    let id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
    if resource::find(world, &id).is_none() {
        resource::put(
            world,
            &id,
            json!({
                "id": id, "name": group, "type": groups::TYPE, "location": region, "managedBy": cluster,
                "tags": { "aks-managed-cluster-name": name }, "properties": { "provisioningState": "Succeeded" },
            }),
        );
    }
    let identity =
        format!("{id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}-agentpool");
    if resource::find(world, &identity).is_none() {
        plain::make_identity(
            world,
            &identity,
            &format!("{name}-agentpool"),
            region,
            &Value::Null,
        );
    }
    let properties = resource::find(world, &identity)
        .map(|body| body["properties"].clone())
        .unwrap_or_default();
    json!({ "resourceId": identity, "clientId": properties["clientId"], "objectId": properties["principalId"] })
}

fn check_version(call: &Call) -> Result<(), Answer> {
    let Some(version) = call.query("api-version") else {
        return Err(error::gateway(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    };
    let (date, stage) = match version.match_indices('-').nth(2) {
        Some((at, _)) => (&version[..at], &version[at + 1..]),
        None => (version, ""),
    };
    let dated = date.parse::<jiff::civil::Date>().is_ok() && date.len() == 10;
    let staged = stage
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
    if dated && staged {
        return Ok(());
    }
    Err(error::gateway(
        400,
        "InvalidApiVersionParameter",
        &format!(
            "The api-version '{version}' is invalid. The supported versions are dates like '2026-05-01' or '2026-05-02-preview'."
        ),
    ))
}

fn manage(world: &mut World, call: &Call, left: &mut Option<u32>) -> Outcome {
    let principal = entra::authenticate(world, call)?;
    let target = Target::parse(&call.segments)
        .ok_or_else(|| error::gateway(404, "InvalidResourceType", "The path names no resource."))?;
    check_version(call)?;
    *left = Some(gate::throttle(world, call, &target, &principal)?);
    if let Some(subscription) = &target.subscription
        && !seed::SUBSCRIPTIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(subscription))
    {
        return Err(error::gateway(
            404,
            "SubscriptionNotFound",
            &format!("The subscription '{subscription}' could not be found."),
        ));
    }
    if let Some(answer) = operations::answer(world, call, &target) {
        return Ok(answer);
    }
    let action = gate::action(call, &target);
    let scope = match (&target.scope, &target.group) {
        (Some(scope), _) => scope.clone(),
        (None, Some(_)) if target.provider.is_some() && !target.parts.is_empty() => {
            call.path.clone()
        }
        (None, Some(_)) => target.group_id(),
        (None, None) => format!("/subscriptions/{}", target.subscription()),
    };
    if target.subscription.is_some() {
        gate::authorize(world, &principal, &action, &scope)?;
    }
    refuse_lost_region(world, call, &target)?;
    let mut arm = Arm {
        world,
        call,
        target,
        principal,
    };
    let answer = route(&mut arm)?;
    Ok(pages::page(world, call, answer))
}

/// Everything about a resource group goes through the group's region; a resource needs its own too.
fn refuse_lost_region(world: &World, call: &Call, target: &Target) -> Result<(), Answer> {
    if target.group.is_none() {
        return Ok(());
    }
    let group = resource::find(world, &target.group_id())
        .and_then(|group| group["location"].as_str())
        .unwrap_or_default();
    let own = target.parts.first().and_then(|(kind, name)| {
        let id = format!(
            "{}/providers/{}/{kind}/{name}",
            target.group_id(),
            target.provider.as_deref().unwrap_or_default()
        );
        resource::find(world, &id)?["location"].as_str()
    });
    for region in [Some(group), own].into_iter().flatten() {
        let reads_group = target.provider.is_none() && call.method == "GET";
        if world.faults.lost_region("azure", region) && !reads_group {
            return Err(error::gateway(
                503,
                "ServiceUnavailable",
                &format!(
                    "The service in region '{region}' is unavailable. Please try again later."
                ),
            ));
        }
    }
    Ok(())
}

fn route(arm: &mut Arm<'_>) -> Outcome {
    let kind = arm.target.kind();
    let provider = arm.target.provider.clone();
    if provider.is_none() {
        return groups::answer(arm);
    }
    let provider = provider.unwrap_or_default();
    if provider == "microsoft.authorization" {
        return roles::answer(arm);
    }
    if arm.target.group.is_some() {
        groups::must_exist(arm)?;
    }
    match (provider.as_str(), kind.as_str()) {
        ("microsoft.containerservice", "locations/kubernetesversions") => {
            Ok(Answer::json(200, &versions::list()))
        }
        ("microsoft.containerservice", kind) if kind.starts_with("managedclusters/agentpools") => {
            pool::answer(arm)
        }
        ("microsoft.containerservice", "managedclusters/upgradeprofiles") => {
            let id = arm.id_of_parts(1);
            let Some(body) = resource::find(arm.world, &id).cloned() else {
                return Err(error::no_resource(
                    "Microsoft.ContainerService/managedClusters",
                    arm.target.name(0),
                    arm.target.group(),
                ));
            };
            Ok(Answer::json(
                200,
                &cluster::upgrade_profile(arm.world, &id, &body),
            ))
        }
        ("microsoft.containerservice", kind)
            if kind.starts_with("managedclusters")
                && arm.target.parts.len() < 2
                && !kind.ends_with("/maintenanceconfigurations") =>
        {
            cluster::answer(arm)
        }
        ("microsoft.compute", "skus") => {
            let only = arm
                .call
                .query("$filter")
                .and_then(|filter| filter.split('\'').nth(1));
            Ok(Answer::json(200, &catalogue::skus(only)))
        }
        ("microsoft.compute", "locations/usages") => Ok(Answer::json(
            200,
            &catalogue::usages(arm.world, arm.target.subscription(), arm.target.name(0)),
        )),
        _ => plain::answer(arm),
    }
}

impl Api for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn seed(&self, world: &mut World) -> Result<Map<String, Value>, String> {
        seed::sow(world)
    }

    fn answer(&self, world: &mut World, call: &Call) -> Answer {
        let mut left = None;
        let directory = entra::answer(world, call).or_else(|| issuer::answer(world, call));
        let answer = match directory {
            Some(answer) => answer,
            None => manage(world, call, &mut left).unwrap_or_else(|refusal| refusal),
        };
        gate::dress(answer, call, left)
    }

    fn complete(&self, world: &mut World, operation: &Operation) {
        if operation.detail["action"] == "delete group" {
            groups::complete(world, operation);
        } else if operation.target.contains("/agentpools/") {
            pool::complete(world, operation);
        } else {
            cluster::complete(world, operation);
        }
    }

    fn tick(&self, world: &mut World) {
        entra::sweep(world);
        if world.drifts {
            cluster::tick(world);
        }
    }

    fn inventory(&self, world: &World) -> Vec<Value> {
        resource::all(world)
            .filter(|(_, body)| resource::kept(body, "seeded").is_null())
            .map(|(_, body)| {
                let inner = &body["properties"];
                let stopped = inner["powerState"]["code"] == "Stopped" && inner["provisioningState"] == "Succeeded";
                json!({
                    "type": body["type"], "id": body["id"], "name": body["name"], "location": body["location"],
                    "tags": body["tags"],
                    "state": if stopped { &inner["powerState"]["code"] } else { &inner["provisioningState"] },
                    "version": inner.get("currentKubernetesVersion").or_else(|| inner.get("currentOrchestratorVersion")),
                    "machine_type": inner["vmSize"], "nodes": inner["count"],
                })
            })
            .collect()
    }
}
