//! Registries of images, as far as nodes pull from them: one repository in each region.

use serde_json::{Value, json};

use super::{access::Caller, catalogue::places::Place, policy, project, refusal::Refusal};
use crate::core::World;

/// The repository that every project has in every region.
const REPOSITORY: &str = "images";

/// Answers a request below `…/locations/{location}/repositories`.
pub(crate) fn answer(
    world: &mut World,
    caller: &Caller,
    request: &Request,
) -> Result<Value, Refusal> {
    let Request {
        method,
        project,
        location,
        name,
        verb,
        ..
    } = *request;
    let resource = format!("projects/{project}/locations/{location}/repositories/{name}");
    let needs = |permission: &str| {
        caller.needs(
            &format!("artifactregistry.repositories.{permission}"),
            &resource,
        )
    };
    let known = name == REPOSITORY
        && Place::parse(location).is_some_and(|place| place.zone.is_none())
        && project::exists(world, project);
    let found = || {
        if known {
            Ok(())
        } else {
            Err(Refusal::no_such("Requested entity was not found."))
        }
    };
    match (method, verb) {
        ("GET", "") => {
            needs("get")?;
            found()?;
            Ok(json!({ "name": resource, "format": "DOCKER", "mode": "STANDARD_REPOSITORY" }))
        }
        ("GET", "getIamPolicy") => {
            needs("getIamPolicy")?;
            found()?;
            Ok(policy::policy(world, &resource, request.policy_version))
        }
        ("POST", "setIamPolicy") => {
            needs("setIamPolicy")?;
            found()?;
            policy::set_policy(world, &resource, &request.body["policy"])
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

/// A request about a repository.
pub(crate) struct Request<'a> {
    /// The verb of HTTP.
    pub(crate) method: &'a str,
    /// The project's id.
    pub(crate) project: &'a str,
    /// The region.
    pub(crate) location: &'a str,
    /// The repository.
    pub(crate) name: &'a str,
    /// The custom verb, or nothing.
    pub(crate) verb: &'a str,
    /// The version of policies that the client knows.
    pub(crate) policy_version: u64,
    /// The body.
    pub(crate) body: Value,
}
