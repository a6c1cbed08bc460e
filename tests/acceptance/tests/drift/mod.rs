//! Clusters whose attributes are all set to something else than their defaults.

pub(crate) mod attributes;

use std::collections::BTreeSet;

use paymesh_acceptance::{
    Cloud,
    hcl::{ClusterBlock, Provider},
};
use serde_json::Value;

/// The clusters of a table, one for each line.
pub(crate) fn clusters(
    cloud: &Cloud,
    provider: Provider,
    lines: &[(&str, &str)],
) -> Vec<ClusterBlock> {
    lines
        .iter()
        .map(|(label, changes)| ClusterBlock::plain(provider, label).with(&cloud.seeded(changes)))
        .collect()
}

/// The paths of all attributes that a user can set, `*` for a key or index.
#[allow(dead_code, reason = "one of the two tests that share this asks for it")]
pub(crate) fn settable(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    descend(attributes_of(schema), "", &mut all);
    all
}

/// The paths of all attributes and objects that a user can leave out.
#[allow(dead_code, reason = "one of the two tests that share this asks for it")]
pub(crate) fn optional(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    descend_optional(attributes_of(schema), "", &mut all);
    all
}

fn attributes_of(schema: &Value) -> &Value {
    let providers = schema["provider_schemas"].as_object();
    let provider = providers.and_then(|providers| providers.values().next());
    let provider = provider.expect("the provider has a schema");
    &provider["resource_schemas"]["paymesh_cluster"]["block"]["attributes"]
}

fn descend_optional(attributes: &Value, below: &str, all: &mut BTreeSet<String>) {
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        let path = format!("{below}{name}");
        if attribute["optional"] == true {
            all.insert(path.clone());
        }
        let nested = &attribute["nested_type"];
        let inside = match nested["nesting_mode"].as_str() {
            Some("single") => format!("{path}."),
            Some(_) => format!("{path}.*."),
            None => continue,
        };
        descend_optional(&nested["attributes"], &inside, all);
    }
}

fn descend(attributes: &Value, below: &str, all: &mut Vec<String>) {
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        if attribute["optional"] != true && attribute["required"] != true {
            continue;
        }
        let path = format!("{below}{name}");
        let nested = &attribute["nested_type"];
        match nested["nesting_mode"].as_str() {
            None => all.push(path),
            Some("single") => descend(&nested["attributes"], &format!("{path}."), all),
            Some(_) => descend(&nested["attributes"], &format!("{path}.*."), all),
        }
    }
}
