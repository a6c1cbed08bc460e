//! `moved` from the resources of other providers: nothing but the id is taken over, because the
//! read that follows finds the rest in the cloud.

use paymesh_azure::ArmId;
use paymesh_google::ClusterName;
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
    resource::ForeignState,
};
use serde_json::Value;

use super::status::ClusterStatus;
use crate::codes;

/// The cluster that `foreign` managed.
pub(super) fn moved(foreign: &ForeignState, found: &mut Findings) -> Option<ClusterStatus> {
    let provider = foreign.provider.rsplit('/').next().unwrap_or_default();
    match (provider, foreign.type_name.as_str()) {
        ("azurerm", "azurerm_kubernetes_cluster") => {
            from_id(foreign, |id| ArmId::parse(id).is_ok(), found)
        }
        ("google" | "google-beta", "google_container_cluster") => {
            if foreign.state["enable_autopilot"] == true {
                cannot(
                    foreign,
                    "an Autopilot cluster has no node pools of yours",
                    "keep it where it is, and make a standard cluster beside it",
                    found,
                );
                return None;
            }
            from_id(foreign, |id| ClusterName::parse(id).is_ok(), found)
        }
        (_, "azurerm_kubernetes_cluster_node_pool" | "google_container_node_pool") => {
            cannot(
                foreign,
                "a pool is a part of its cluster here, and comes along with it",
                "forget the old address with: removed { from = ... lifecycle { destroy = false } }",
                found,
            );
            None
        }
        _ => None,
    }
}

fn from_id(
    foreign: &ForeignState,
    is_id: impl Fn(&str) -> bool,
    found: &mut Findings,
) -> Option<ClusterStatus> {
    let id = foreign.state["id"].as_str().filter(|id| is_id(id));
    if id.is_none() {
        let what = match &foreign.state["id"] {
            Value::Null => "its state has no id: the cluster was never made".to_owned(),
            other => format!("its state has the id {other}, which names no cluster"),
        };
        cannot(
            foreign,
            &what,
            "refresh it with its own provider first, or import the cluster by its id",
            found,
        );
    }
    Some(ClusterStatus {
        id: Some(id?.to_owned()),
        ..ClusterStatus::default()
    })
}

fn cannot(foreign: &ForeignState, why: &str, next: &str, found: &mut Findings) {
    let row = &codes::CANNOT_BE_MOVED_HERE;
    let mut finding = row.finding_about(&foreign.type_name, Severity::Error, Path::root(), why);
    finding.hint(next);
    found.add(finding);
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(provider: &str, type_name: &str, state: Value, expected: &Expect) {
        let foreign = ForeignState {
            provider: format!("registry.terraform.io/hashicorp/{provider}"),
            type_name: type_name.to_owned(),
            version: 2,
            state,
        };
        let mut found = Findings::new();
        let status = moved(&foreign, &mut found);
        let id = status.and_then(|status| status.id).unwrap_or_default();
        expected.assert_eq(format!("{id}\n{found}").trim_end());
    }

    #[test]
    fn a_cluster_of_either_provider_brings_its_id() {
        let arm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c";
        check(
            "azurerm",
            "azurerm_kubernetes_cluster",
            json!({ "id": arm, "name": "c" }),
            &expect![
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerService/managedClusters/c"
            ],
        );
        check(
            "google",
            "google_container_cluster",
            json!({ "id": "projects/p/locations/europe-west1/clusters/c" }),
            &expect!["projects/p/locations/europe-west1/clusters/c"],
        );
    }

    #[test]
    fn what_cannot_be_moved_says_why_and_what_to_do() {
        check(
            "azurerm",
            "azurerm_kubernetes_cluster",
            json!({ "id": null }),
            &expect![[r#"

                error PM181: A resource of another provider cannot be moved here: azurerm_kubernetes_cluster
                  Its state has no id: the cluster was never made.
                  Refresh it with its own provider first, or import the cluster by its id."#]],
        );
        check(
            "google",
            "google_container_cluster",
            json!({ "id": "projects/p/locations/l/clusters/c", "enable_autopilot": true }),
            &expect![[r#"

                error PM181: A resource of another provider cannot be moved here: google_container_cluster
                  An Autopilot cluster has no node pools of yours.
                  Keep it where it is, and make a standard cluster beside it."#]],
        );
        check(
            "google",
            "google_container_node_pool",
            json!({ "id": "x" }),
            &expect![[r#"

                error PM181: A resource of another provider cannot be moved here: google_container_node_pool
                  A pool is a part of its cluster here, and comes along with it.
                  Forget the old address with: removed { from = ... lifecycle { destroy = false } }"#]],
        );
        check("aws", "aws_eks_cluster", json!({ "id": "x" }), &expect![""]);
    }
}
