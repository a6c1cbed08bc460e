//! Long-running operations as Resource Manager shows them: signed poll URLs, status, result.
//!
//! A poll URL carries about four kilobytes of signature; a client that changes one byte is refused.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{error, path::Target};
use crate::core::{Answer, Call, Operation, Status, World, clock::text_of};

/// Version in poll URLs; differs from the one the client sent, as it does in the real service.
const POLL_VERSION: &str = "2025-03-01";

fn signature(id: &str, part: &str, length: usize) -> String {
    let mut text = String::new();
    let mut block = 0;
    while text.len() < length {
        text.push_str(&super::entra::hex(&Sha256::digest(format!(
            "{id}/{part}/{block}"
        ))));
        block += 1;
    }
    text.truncate(length);
    text
}

fn signed(id: &str) -> [(&'static str, String); 5] {
    [
        ("api-version", POLL_VERSION.into()),
        ("t", format!("6389{}", &signature(id, "t", 14))),
        ("c", format!("MIIH{}", signature(id, "c", 3200))),
        ("s", signature(id, "s", 342)),
        ("h", signature(id, "h", 43)),
    ]
}

fn url(world: &World, path: &str, id: &str) -> String {
    let query: Vec<String> = signed(id)
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{}{path}/{id}?{}", world.place.azure, query.join("&"))
}

/// The poll URL of `operation`.
pub(super) fn poll_url(
    world: &World,
    subscription: &str,
    provider: &str,
    location: &str,
    operation: &Operation,
) -> String {
    let path = format!(
        "/subscriptions/{subscription}/providers/{provider}/locations/{location}/operations"
    );
    url(world, &path, &operation.id)
}

/// The URL that answers with the operation's result.
pub(super) fn result_url(
    world: &World,
    subscription: &str,
    provider: &str,
    location: &str,
    operation: &Operation,
) -> String {
    let path = if provider.is_empty() {
        format!("/subscriptions/{subscription}/operationresults")
    } else {
        format!(
            "/subscriptions/{subscription}/providers/{provider}/locations/{location}/operationresults"
        )
    };
    url(world, &path, &operation.id)
}

/// Answers a poll, if the target is one.
pub(super) fn answer(world: &mut World, call: &Call, target: &Target) -> Option<Answer> {
    let (kind, id) = target.parts.last()?;
    let shows_result = match kind.as_str() {
        "operations" => false,
        "operationresults" => true,
        _ => return None,
    };
    if call.method != "GET" {
        return Some(Answer::empty(405));
    }
    for (key, value) in signed(id) {
        if key != "api-version" && call.query(key) != Some(&value) {
            return Some(error::gateway(
                400,
                "InvalidPollingSignature",
                &format!(
                    "The query parameter '{key}' of the polling address was changed. Pass the address back as it was received."
                ),
            ));
        }
    }
    let Some(operation) = world
        .poll_operation(id)
        .filter(|operation| operation.api == "azure")
    else {
        return Some(error::gateway(
            404,
            "OperationNotFound",
            &format!("The operation '{id}' was not found."),
        ));
    };
    Some(if shows_result {
        result(world, &operation)
    } else {
        status(call, &operation)
    })
}

fn failure(operation: &Operation) -> Value {
    match &operation.failure {
        Some(failure) => json!({ "code": failure.code, "message": failure.message }),
        None => json!({ "code": "OperationCanceled", "message": "The operation was canceled." }),
    }
}

fn status(call: &Call, operation: &Operation) -> Answer {
    let name = match operation.status {
        Status::Running => "InProgress",
        Status::Succeeded => "Succeeded",
        Status::Failed => "Failed",
        Status::Canceled => "Canceled",
    };
    let mut body = json!({
        "id": call.path, "name": swapped(&operation.id), "status": name, "startTime": text_of(operation.started),
    });
    if let Some(ended) = operation.ended {
        body["endTime"] = text_of(ended).into();
    }
    if matches!(operation.status, Status::Failed | Status::Canceled) {
        body["error"] = failure(operation);
    }
    Answer::json(200, &body)
}

fn result(world: &World, operation: &Operation) -> Answer {
    match operation.status {
        Status::Running => {
            let url = operation.detail["location"].as_str().unwrap_or_default();
            let answer = Answer::empty(202).with("location", url);
            match operation.detail["retry_after"].as_u64() {
                Some(seconds) => answer.with("retry-after", seconds.to_string()),
                None => answer,
            }
        }
        Status::Succeeded => match operation.detail["action"].as_str() {
            Some("delete group") => Answer::empty(200),
            Some("delete") => Answer::empty(204),
            _ => match super::resource::shown(world, &operation.target) {
                Some(body) => Answer::json(200, &body),
                None => Answer::empty(204),
            },
        },
        Status::Failed | Status::Canceled => {
            Answer::json(409, &json!({ "error": failure(operation) }))
        }
    }
}

/// The id with the bytes of its first three groups swapped, as the real service names it.
fn swapped(id: &str) -> String {
    let Ok(id) = uuid::Uuid::parse_str(id) else {
        return id.into();
    };
    uuid::Uuid::from_bytes_le(id.into_bytes()).to_string()
}
