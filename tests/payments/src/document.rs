//! The published OpenAPI document: the only thing known about the services from their own hand.

use std::sync::LazyLock;

use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../services/contracts/openapi.json"))
        .expect("the OpenAPI document is JSON")
});

/// What is wrong with an answer, by the document: its status, or the members of its body.
pub fn mistake(method: &str, path: &str, status: u16, body: &[u8]) -> Option<String> {
    let answers = &DOCUMENT["paths"][path][method]["responses"];
    let answer = &answers[status.to_string()];
    if answer.is_null() {
        return Some(format!("{method} {path} does not document status {status}"));
    }
    let schema = &answer["content"]["application/json"]["schema"];
    if schema.is_null() {
        return (!body.is_empty()).then(|| format!("status {status} has no body"));
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => return Some(format!("the body of status {status} is not JSON")),
    };
    differ(schema, &value, "body")
}

/// The first place where a value is not what a schema says.
fn differ(schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return differ(&DOCUMENT["components"]["schemas"][name], value, place);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().find_map(|part| differ(part, value, place));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Some(format!("{place} is {value}, not one of {allowed:?}"));
    }
    let members = schema["properties"].as_object();
    for name in schema["required"].as_array().into_iter().flatten() {
        if value[name.as_str().unwrap_or_default()].is_null() {
            return Some(format!("{place} has no {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let Some(known) = members.and_then(|members| members.get(name)) else {
            return members.map(|_| format!("{place}.{name} is not documented"));
        };
        if let Some(mistake) = differ(known, member, &format!("{place}.{name}")) {
            return Some(mistake);
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(mistake) = differ(&schema["items"], item, &format!("{place}[{index}]")) {
            return Some(mistake);
        }
    }
    None
}
