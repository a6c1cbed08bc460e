//! Google Cloud, as far as clusters touch it: tokens, container v1, compute v1 (read only),
//! resource manager, service accounts and policies, registries and keys by id.
//!
//! Every API answers under its real path on one address, as if the host names were gone.

mod access;
mod catalogue;
mod compute;
mod container;
mod iam;
mod json;
mod jwt;
mod keys;
mod names;
mod network;
mod policy;
mod project;
mod refusal;
mod registry;
mod schema;
mod token;

use serde_json::{Map, Value, json};

use self::{access::Caller, container::API, refusal::Refusal};
use crate::core::{Answer, Api, Budget, Call, Operation, World};

/// Requests of one project to the container API.
const CONTAINER_BUDGET: Budget = Budget {
    size: 3000.0,
    per_second: 50.0,
};

/// The simulated Google Cloud.
pub(crate) struct Google;

impl Api for Google {
    fn name(&self) -> &'static str {
        API
    }

    fn seed(&self, world: &mut World) -> Result<Map<String, Value>, String> {
        policy::seed(world);
        let mut lines = token::seed(world)?;
        lines.insert("google_projects".into(), json!(project::PROJECTS));
        Ok(lines)
    }

    /// Policies are read by POST too. Every read of IAM is eventually consistent, and writes are in
    /// order (IAM documentation, "Consistency model for the IAM API", read 2026-11): a policy of the
    /// past comes with its own etag, under which nothing can be written.
    fn is_read(&self, call: &Call) -> bool {
        let last = call.segments.last();
        call.method == "GET" || last.is_some_and(|last| last.ends_with(":getIamPolicy"))
    }

    fn answer(&self, world: &mut World, call: &Call) -> Answer {
        if call.method == "POST" && call.path == "/token" {
            return token::answer(world, call);
        }
        let mut answer = match route(world, call) {
            Ok(body) => Answer::json(200, &body),
            Err(refusal) => {
                let request = format!("0x{}", &call.correlation.replace('-', "")[..16]);
                let answer = Answer::json(refusal.code, &refusal.body(&request));
                match refusal.retry_after {
                    Some(seconds) => answer.with("retry-after", seconds.to_string()),
                    None => answer,
                }
            }
        };
        for (name, value) in [
            ("server", "ESF"),
            ("vary", "Origin, X-Origin, Referer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("x-xss-protection", "0"),
        ] {
            answer = answer.with(name, value);
        }
        answer
    }

    fn complete(&self, world: &mut World, operation: &Operation) {
        container::operations::complete(world, operation);
    }

    fn tick(&self, world: &mut World) {
        if world.drifts {
            container::drift::tick(world);
        }
    }

    fn inventory(&self, world: &World) -> Vec<Value> {
        let mut found = container::inventory(world);
        found.extend(iam::inventory(world));
        found
    }
}

fn route(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    let caller = Caller::of(world, call)?;
    world.principal = Some(caller.member.clone());
    let body = call.json().map_err(|error| {
        Refusal::payload("", &format!("Invalid JSON payload received. {error}"))
    })?;
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    let (segments, verb) = split_verb(&segments);
    match segments.as_slice() {
        ["compute", "v1", "projects", named, rest @ ..] => {
            compute::answer(world, &caller, call, &project::resolve(named)?, rest)
        }
        [version @ ("v1" | "v3"), "projects", named] => {
            let project = project::resolve(named)?;
            project::answer(world, &caller, version, method, &project, verb, &body)
        }
        ["v1", "projects", named, "serviceAccounts", rest @ ..] => {
            let project = if *named == "-" {
                (*named).to_owned()
            } else {
                project::resolve(named)?
            };
            iam::answer(world, &caller, method, &project, rest, verb, &body)
        }
        ["v1", "projects", named, "services", service] => {
            project::service(&caller, &project::resolve(named)?, service)
        }
        [
            "v1",
            "projects",
            named,
            "locations",
            location,
            "keyRings",
            rest @ ..,
        ] if method == "GET" => keys::answer(&caller, &project::resolve(named)?, location, rest),
        [
            "v1",
            "projects",
            named,
            "locations",
            location,
            "repositories",
            name,
        ] => {
            let version = call.query("options.requestedPolicyVersion");
            let request = registry::Request {
                method,
                project: &project::resolve(named)?,
                location,
                name,
                verb,
                policy_version: version
                    .and_then(|text| text.parse().ok())
                    .unwrap_or_default(),
                body,
            };
            registry::answer(world, &caller, &request)
        }
        [
            "v1" | "v1beta1",
            "projects",
            named,
            kind @ ("locations" | "zones"),
            location,
            rest @ ..,
        ] => {
            let project = project::resolve(named)?;
            let request = container::Request {
                method,
                zonal: *kind == "zones",
                location,
                rest: rest.to_vec(),
                verb,
                body,
                project,
            };
            take_from_budget(world, &request.project)?;
            container::answer(world, &caller, &request)
        }
        _ => Err(Refusal::no_such("Requested entity was not found.")),
    }
}

/// Takes the custom verb (`…/name:verb`) off the last segment.
fn split_verb<'a>(segments: &[&'a str]) -> (Vec<&'a str>, &'a str) {
    let mut segments = segments.to_vec();
    let mut verb = "";
    if let Some(last) = segments.last_mut()
        && let Some((name, after)) = last.rsplit_once(':')
    {
        *last = name;
        verb = after;
    }
    (segments, verb)
}

fn take_from_budget(world: &mut World, project: &str) -> Result<(), Refusal> {
    world
        .take(&format!("google container {project}"), CONTAINER_BUDGET)
        .map(|_| ())
        .map_err(|seconds| {
            Refusal::exhausted(
                "container.googleapis.com/default",
                "Requests per minute",
                "container.googleapis.com",
                names::project_number(project),
                seconds,
            )
        })
}
