//! Configurations for tests, as a user writes them.

use paymesh_plugin::{
    findings::Findings,
    spec::{Attribute, Attributes},
    value::Value,
};
use serde_json::{Value as Json, json};

use super::ClusterSpec;

/// The cluster that `config` configures; it must have no mistake.
pub(super) fn spec(config: &Json) -> ClusterSpec {
    let mut found = Findings::new();
    let draft = ClusterSpec::read(&value(config), &mut found);
    assert_eq!(found.to_string(), "");
    ClusterSpec::recall(&ClusterSpec::draft_value(&draft), &mut found).unwrap()
}

/// What stands for a value that is not known yet.
pub(super) const UNKNOWN: &str = "<unknown>";

/// A value of Terraform's.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(it) => (*it).into(),
        Json::Number(it) => it.as_i64().unwrap().into(),
        Json::String(it) if it == UNKNOWN => Value::Unknown,
        Json::String(it) => it.as_str().into(),
        Json::Array(all) => Value::list(all.iter().map(value)),
        Json::Object(all) => Value::map(all.iter().map(|(key, it)| (key.clone(), value(it)))),
    }
}

/// A cluster of one pool, with what `change` says about it.
pub(super) fn cluster(cloud: &str, change: &Json) -> ClusterSpec {
    spec(&config(cloud, change))
}

/// The same, as a user writes it.
pub(super) fn config(cloud: &str, change: &Json) -> Json {
    let mut config = json!({
        "name": "pay",
        "region": "westeurope",
        "kubernetes_version": "1.34",
        "node_pools": {"system": {
            "mode": "system", "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 6,
        }},
        cloud: {},
    });
    if cloud == "google" {
        config["region"] = "europe-west1".into();
        config["network"] = json!({
            "subnet_id": "projects/pay/regions/europe-west1/subnetworks/nodes",
            "pods_range": "pods",
            "services_range": "services",
        });
    }
    for (attribute, value) in change.as_object().into_iter().flatten() {
        config[attribute] = value.clone();
    }
    config
}
