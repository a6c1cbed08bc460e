//! Which remote calls a real client made, and which of them the provider's schema announces.

use std::collections::BTreeSet;

use serde_json::Value;

/// The calls named in a trace log, by the client before it makes them or by the provider when it
/// receives them: no client tells them all.
pub fn called(trace: &str) -> BTreeSet<String> {
    let made = |line: &str| {
        Some(
            line.split_once("GRPCProvider")?
                .1
                .split_once(": ")?
                .1
                .to_owned(),
        )
    };
    let received = |line: &str| Some(line.split_once("tf_rpc=")?.1.to_owned());
    trace
        .lines()
        .filter_map(|line| made(line).or_else(|| received(line)))
        .map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// The calls that a client must be able to make for what `schema` announces.
pub fn announced(schema: &Value) -> BTreeSet<&'static str> {
    let provider = schema["provider_schemas"]
        .as_object()
        .and_then(|providers| providers.values().next())
        .unwrap_or(&Value::Null);
    let has = |key: &str| provider[key].as_object().is_some_and(|all| !all.is_empty());
    let mut calls = BTreeSet::from([
        "GetProviderSchema",
        "ValidateProviderConfig",
        "ConfigureProvider",
        "Stop",
    ]);
    if has("resource_schemas") {
        calls.extend([
            "ValidateResourceConfig",
            "PlanResourceChange",
            "ApplyResourceChange",
            "ReadResource",
            "UpgradeResourceState",
            "ImportResourceState",
            "MoveResourceState",
        ]);
    }
    if has("data_source_schemas") {
        calls.extend(["ValidateDataResourceConfig", "ReadDataSource"]);
    }
    if has("ephemeral_resource_schemas") {
        calls.extend([
            "ValidateEphemeralResourceConfig",
            "OpenEphemeralResource",
            "CloseEphemeralResource",
        ]);
    }
    if has("list_resource_schemas") {
        calls.extend(["ValidateListResourceConfig", "ListResource"]);
    }
    if has("action_schemas") {
        calls.extend(["ValidateActionConfig", "PlanAction", "InvokeAction"]);
    }
    if has("state_store_schemas") {
        calls.extend(["ValidateStateStoreConfig", "ConfigureStateStore"]);
        calls.extend(["ReadStateBytes", "WriteStateBytes"]);
    }
    if has("functions") {
        calls.insert("CallFunction");
    }
    if has("resource_identity_schemas") {
        calls.insert("GetResourceIdentitySchemas");
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_from_both_clients_logs() {
        let log = "2026-08-01T10:00:00.000Z [TRACE] provider.terraform-provider-x: GRPCProvider.v6: PlanResourceChange\n\
                   2026-08-01T10:00:00.000Z [TRACE] GRPCProvider.v6: GetProviderSchema\n\
                   2026-08-01T10:00:00.000Z [TRACE] GRPCProvider: MoveResourceState\n\
                   2026-08-01T10:00:00.000Z [DEBUG] nothing of the kind\n";
        let calls: Vec<String> = called(log).into_iter().collect();
        assert_eq!(
            calls,
            [
                "GetProviderSchema",
                "MoveResourceState",
                "PlanResourceChange"
            ]
        );
    }
}
