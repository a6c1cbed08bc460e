//! One cluster that was applied, for what happens to it next.

use paymesh_acceptance::{
    Cloud, Run, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

/// One plain cluster that was applied, with the clock standing still.
pub(super) struct Bed<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) block: ClusterBlock,
    pub(super) workspace: Workspace<'a>,
    /// Where the cluster is in its cloud's API.
    pub(super) path: String,
}

impl<'a> Bed<'a> {
    pub(super) fn new(cloud: &'a Cloud, provider: Provider, changes: &str) -> Self {
        let block = ClusterBlock::plain(provider, "pay").with(changes);
        let workspace = Workspace::new(cloud, &block.to_string());
        workspace.apply().succeeds();
        cloud.ask(Method::POST, "clock", Some(&json!({ "freeze": true })));
        let id = workspace.attributes(&block.address())["id"].clone();
        let id = id.as_str().expect("the cluster has an id");
        let path = match provider {
            Provider::Aks => id.to_owned(),
            Provider::Gke => format!("/v1/{id}"),
        };
        Self {
            cloud,
            block,
            workspace,
            path,
        }
    }

    /// Lets simulated time pass, then lets operations that began in it end.
    pub(super) fn wait(&self, seconds: u32) {
        self.cloud.pass(seconds);
        self.cloud.rest();
    }

    /// The path of the only pool whose name begins with the key.
    pub(super) fn pool(&self, body: &Value, key: &str) -> String {
        let pools = body["nodePools"]
            .as_array()
            .or_else(|| body["properties"]["agentPoolProfiles"].as_array());
        let name = pools
            .into_iter()
            .flatten()
            .filter_map(|pool| pool["name"].as_str())
            .find(|name| name.starts_with(key))
            .unwrap_or_else(|| panic!("no pool {key} in {body}"));
        let kind = if body["nodePools"].is_array() {
            "nodePools"
        } else {
            "agentPools"
        };
        format!("{}/{kind}/{name}", self.path)
    }

    /// Applies the cluster with changes of something else.
    pub(super) fn update(&self, changes: &str) -> Run {
        let block = self.block.clone().with(changes);
        self.workspace.configure(&block.to_string());
        self.workspace.apply().succeeds()
    }
}

/// What a body must hold at a JSON pointer.
#[track_caller]
pub(super) fn check_value(body: &Value, at: &str, expected: &Value) {
    let found = body.pointer(at).cloned().unwrap_or_default();
    assert_eq!(found, *expected, "{at} in {body:#}");
}
