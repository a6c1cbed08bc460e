//! Clusters whose attributes are all set to something else than their defaults.

pub(crate) mod attributes;

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
pub(crate) fn settable(schema: &Value) -> Vec<String> {
    let block = &schema["provider_schemas"]
        .as_object()
        .and_then(|providers| providers.values().next())
        .expect("the provider has a schema")["resource_schemas"]["paymesh_cluster"]["block"];
    let mut all = Vec::new();
    descend(&block["attributes"], "", &mut all);
    all
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
