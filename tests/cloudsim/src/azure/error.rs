//! Error bodies: the gateway's are wrapped in `error`, those of the AKS resource provider are flat.

use serde_json::{Value, json};

use crate::core::Answer;

/// An error of the ARM gateway.
pub(super) fn gateway(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({ "error": { "code": code, "message": message } });
    Answer::json(status, &body).with("x-ms-failure-cause", "gateway")
}

/// An error of a resource provider that wraps its errors.
pub(super) fn wrapped(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({ "error": { "code": code, "message": message } }),
    )
}

/// An error of the AKS resource provider.
pub(super) fn flat(status: u16, code: &str, message: &str) -> Answer {
    flat_at(status, code, message, None)
}

/// An error of the AKS resource provider about one property.
pub(super) fn flat_at(status: u16, code: &str, message: &str, target: Option<&str>) -> Answer {
    let mut body = json!({ "code": code, "details": null, "message": message, "subcode": "" });
    if let Some(target) = target {
        body["target"] = Value::from(target);
    }
    Answer::json(status, &body)
}

/// A parameter that the AKS resource provider refuses.
pub(super) fn invalid(target: &str, details: &str) -> Answer {
    let message = format!(
        "The value of parameter {target} is invalid. Error details: {details}. Please see https://aka.ms/aks-naming-rules for more details."
    );
    flat_at(400, "InvalidParameter", &message, Some(target))
}

/// A property that may not change.
pub(super) fn immutable(target: &str) -> Answer {
    let message = format!("Changing property '{target}' is not allowed.");
    flat_at(400, "PropertyChangeNotAllowed", &message, Some(target))
}

/// No such resource group.
pub(super) fn no_group(group: &str) -> Answer {
    gateway(
        404,
        "ResourceGroupNotFound",
        &format!("Resource group '{group}' could not be found."),
    )
}

/// No such resource.
pub(super) fn no_resource(kind: &str, name: &str, group: &str) -> Answer {
    let message = format!(
        "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    );
    gateway(404, "ResourceNotFound", &message)
}
