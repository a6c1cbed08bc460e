//! Azure over the wire, as a client without any library would see it.

mod bed;

use bed::Bed;
use serde_json::{Value, json};

const API: &str = "api-version=2026-05-01";

/// One tenant of the simulator: a bed, a token, a subscription.
struct Azure {
    bed: Bed,
    token: String,
    subscription: String,
}

impl Azure {
    async fn start() -> Self {
        Self::on(Bed::start(), "deployer").await
    }

    async fn on(bed: Bed, principal: &str) -> Self {
        let token = token(&bed, principal).await;
        let subscription = bed.card["subscription_ids"][0].as_str().unwrap().to_owned();
        Self {
            bed,
            token,
            subscription,
        }
    }

    fn path(&self, rest: &str) -> String {
        if rest.starts_with("https:") {
            return rest.to_owned();
        }
        let joint = if rest.contains('?') { "&" } else { "?" };
        format!("/subscriptions/{}{rest}{joint}{API}", self.subscription)
    }

    async fn ask(&self, method: &str, rest: &str, body: Value) -> (u16, Value, http::HeaderMap) {
        let answer = self
            .bed
            .send(method, &self.path(rest), Some(&self.token), body)
            .await
            .unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::Null),
            headers,
        )
    }

    /// Sends a request that must be answered with `status`; the body.
    async fn expect(&self, status: u16, method: &str, rest: &str, body: Value) -> Value {
        let (got, body, _) = self.ask(method, rest, body).await;
        assert_eq!(got, status, "{method} {rest}: {body:#}");
        body
    }

    async fn step(&self, seconds: u32) {
        self.bed
            .control("POST", "clock", json!({ "step_seconds": seconds }))
            .await;
    }

    /// A resource group with a cluster of one pool that is ready; its path.
    async fn with_cluster(&self) -> &'static str {
        self.bed
            .control("POST", "clock", json!({ "freeze": true }))
            .await;
        self.expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
            .await;
        self.expect(201, "PUT", CLUSTER, cluster()).await;
        self.step(301).await;
        CLUSTER
    }
}

async fn token(bed: &Bed, principal: &str) -> String {
    let known = &bed.card["azure_principals"][principal];
    let secret = std::fs::read_to_string(known["client_secret_file"].as_str().unwrap()).unwrap();
    let base = bed.card["azure"].as_str().unwrap();
    let tenant = bed.card["tenant_id"].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", known["client_id"].as_str().unwrap()),
        ("client_secret", secret.trim()),
        ("scope", "https://management.azure.com/.default"),
    ];
    let answer = bed
        .client
        .post(format!("{base}/{tenant}/oauth2/v2.0/token"))
        .form(&form)
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    body["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"))
        .to_owned()
}

const GROUP: &str = "/resourceGroups/pay";
const CLUSTER: &str =
    "/resourceGroups/pay/providers/Microsoft.ContainerService/managedClusters/main";
const POOL: &str =
    "/resourceGroups/pay/providers/Microsoft.ContainerService/managedClusters/main/agentPools/work";

fn cluster() -> Value {
    json!({
        "location": "West Europe", "identity": { "type": "SystemAssigned" }, "tags": { "paymesh-owner": "test" },
        "properties": {
            "dnsPrefix": "main", "kubernetesVersion": "1.34",
            "agentPoolProfiles": [{ "name": "system", "mode": "System", "count": 3, "vmSize": "Standard_D4s_v5", "availabilityZones": ["1", "2", "3"] }],
        },
    })
}

fn pool(count: u32) -> Value {
    json!({ "properties": { "mode": "User", "count": count, "vmSize": "Standard_D8s_v5" } })
}

#[tokio::test]
async fn a_cluster_is_created_polled_read_and_deleted() {
    let azure = Azure::start().await;
    azure
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let (status, body, headers) = azure.ask("PUT", CLUSTER, cluster()).await;
    assert_eq!(status, 201, "{body:#}");
    assert_eq!(body["properties"]["provisioningState"], "Creating");
    assert_eq!(body["properties"]["kubernetesVersion"], "1.34");
    assert_eq!(body["properties"]["currentKubernetesVersion"], "1.34.5");
    assert_eq!(
        body["properties"]["nodeResourceGroup"],
        "MC_pay_main_westeurope"
    );
    assert!(
        body["eTag"].is_null()
            && headers.get("location").is_none()
            && headers.get("retry-after").is_none()
    );
    let poll = headers["azure-asyncoperation"].to_str().unwrap().to_owned();
    assert!(poll.len() > 3000);
    assert_eq!(
        azure.expect(200, "GET", &poll, Value::Null).await["status"],
        "InProgress"
    );
    azure.step(301).await;
    assert_eq!(
        azure.expect(200, "GET", &poll, Value::Null).await["status"],
        "Succeeded"
    );
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["provisioningState"], "Succeeded");
    assert!(body["eTag"].is_string());
    assert_eq!(
        body["properties"]["agentPoolProfiles"][0]["provisioningState"],
        "Succeeded"
    );

    let (status, _, headers) = azure.ask("DELETE", CLUSTER, Value::Null).await;
    assert_eq!(status, 202);
    let result = headers["location"].to_str().unwrap().to_owned();
    azure.expect(202, "GET", &result, Value::Null).await;
    azure.step(300).await;
    azure.expect(204, "GET", &result, Value::Null).await;
    azure.expect(404, "GET", CLUSTER, Value::Null).await;
    azure.expect(204, "DELETE", CLUSTER, Value::Null).await;
    let (status, _, headers) = azure.ask("DELETE", GROUP, Value::Null).await;
    assert_eq!(
        (status, headers["retry-after"].to_str().unwrap()),
        (202, "15")
    );
    azure.step(300).await;
    azure.expect(404, "GET", GROUP, Value::Null).await;
    assert_eq!(
        azure.bed.control("GET", "inventory", Value::Null).await["azure"],
        json!([])
    );
}

#[tokio::test]
async fn a_changed_poll_address_is_refused() {
    let azure = Azure::start().await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let (_, _, headers) = azure.ask("PUT", CLUSTER, cluster()).await;
    let poll = headers["azure-asyncoperation"]
        .to_str()
        .unwrap()
        .replace("&c=M", "&c=m");
    azure.expect(400, "GET", &poll, Value::Null).await;
}

#[tokio::test]
async fn a_second_operation_is_refused_while_one_runs() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    azure.expect(201, "PUT", POOL, pool(2)).await;
    let refusal = azure.expect(409, "PUT", CLUSTER, cluster()).await;
    assert_eq!(refusal["code"], "OperationNotAllowed");
    assert!(
        refusal["message"]
            .as_str()
            .unwrap()
            .contains("Another agentpool operation (work - Creating)")
    );
}

#[tokio::test]
async fn a_put_replaces_the_whole_object_pools_included() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    azure.expect(201, "PUT", POOL, pool(2)).await;
    azure.step(200).await;
    azure.expect(200, "PUT", CLUSTER, cluster()).await;
    azure.step(200).await;
    azure.expect(404, "GET", POOL, Value::Null).await;
}

#[tokio::test]
async fn an_operation_ends_at_its_kth_poll() {
    let azure = Azure::on(Bed::start_with(&["--operation-polls", "3"]), "deployer").await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let (_, _, headers) = azure.ask("PUT", CLUSTER, cluster()).await;
    let poll = headers["azure-asyncoperation"].to_str().unwrap().to_owned();
    for status in ["InProgress", "InProgress", "Succeeded"] {
        assert_eq!(
            azure.expect(200, "GET", &poll, Value::Null).await["status"],
            status
        );
    }
}

#[tokio::test]
async fn a_half_made_cluster_survives_a_kill() {
    let azure = Azure::start().await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    azure.expect(201, "PUT", CLUSTER, cluster()).await;
    let Azure {
        bed,
        token,
        subscription,
    } = azure;
    let azure = Azure {
        bed: bed.restart(),
        token,
        subscription,
    };
    azure.step(301).await;
    assert_eq!(
        azure.expect(200, "GET", CLUSTER, Value::Null).await["properties"]["provisioningState"],
        "Succeeded"
    );
}

#[tokio::test]
async fn what_may_not_change_is_named() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let mut changed = cluster();
    changed["properties"]["networkProfile"]["podCidr"] = "10.200.0.0/16".into();
    let refusal = azure.expect(400, "PUT", CLUSTER, changed).await;
    assert_eq!(
        (&refusal["code"], &refusal["target"]),
        (
            &json!("PropertyChangeNotAllowed"),
            &json!("networkProfile.podCidr")
        )
    );
    let mut changed = cluster();
    changed["properties"]["agentPoolProfiles"][0]["vmSize"] = "Standard_D8s_v5".into();
    let refusal = azure.expect(400, "PUT", CLUSTER, changed).await;
    assert_eq!(refusal["target"], "agentPoolProfile.vmSize");
}

#[tokio::test]
async fn versions_go_one_minor_at_a_time_and_an_alias_never_upgrades() {
    let azure = Azure::start().await;
    azure
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let with = |version: &str| {
        let mut body = cluster();
        body["properties"]["kubernetesVersion"] = version.into();
        body
    };
    azure.expect(201, "PUT", CLUSTER, with("1.33.7")).await;
    azure.step(301).await;
    let refusal = azure.expect(400, "PUT", CLUSTER, with("1.35")).await;
    assert!(
        refusal["message"]
            .as_str()
            .unwrap()
            .contains("Available upgrades: [1.33.8 1.34.4 1.34.5]")
    );
    azure.expect(200, "PUT", CLUSTER, with("1.33")).await;
    azure.step(700).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["currentKubernetesVersion"], "1.33.7");
    azure.step(100).await;
    let mut next = with("1.34");
    next["properties"]["agentPoolProfiles"][0]["orchestratorVersion"] = "1.33.7".into();
    azure.expect(200, "PUT", CLUSTER, next).await;
    azure.step(700).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["currentKubernetesVersion"], "1.34.5");
    assert_eq!(
        body["properties"]["agentPoolProfiles"][0]["currentOrchestratorVersion"],
        "1.33.7"
    );
}

#[tokio::test]
async fn a_quota_names_what_is_left() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let refusal = azure.expect(400, "PUT", POOL, pool(100)).await;
    assert_eq!(refusal["code"], "ErrCode_InsufficientVCPUQuota");
    assert!(
        refusal["message"]
            .as_str()
            .unwrap()
            .contains("requested 800, remaining 488 for family standardDSv5Family")
    );
}

#[tokio::test]
async fn preconditions_hold_for_clusters_and_pools_only() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let with = |path: &str, name: &'static str, value: &'static str, body: Value| {
        let base = azure.bed.card["azure"].as_str().unwrap();
        azure
            .bed
            .client
            .put(format!("{base}{}", azure.path(path)))
            .bearer_auth(&azure.token)
            .header(name, value)
            .json(&body)
            .send()
    };
    assert_eq!(
        with(CLUSTER, "if-none-match", "*", cluster())
            .await
            .unwrap()
            .status(),
        412
    );
    assert_eq!(
        with(CLUSTER, "if-match", "\"other\"", cluster())
            .await
            .unwrap()
            .status(),
        412
    );
    assert_eq!(
        with(
            GROUP,
            "if-none-match",
            "*",
            json!({ "location": "westeurope" })
        )
        .await
        .unwrap()
        .status(),
        200
    );
    assert_eq!(
        with(POOL, "if-none-match", "*", pool(1))
            .await
            .unwrap()
            .status(),
        201
    );
}

#[tokio::test]
async fn the_service_changes_things_nobody_set() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    azure.step(601).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["provisioningState"], "Updating");
    azure.step(61).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(
        body["properties"]["addonProfiles"]["extensionManager"]["enabled"],
        true
    );
}

#[tokio::test]
async fn a_fresh_identity_and_a_fresh_role_need_time() {
    let azure = Azure::start().await;
    azure
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let path =
        "/resourceGroups/pay/providers/Microsoft.ManagedIdentity/userAssignedIdentities/main";
    let identity = azure
        .expect(201, "PUT", path, json!({ "location": "westeurope" }))
        .await;
    let subnet = format!(
        "/subscriptions/{}/resourceGroups/shared/providers/Microsoft.Network/virtualNetworks/westeurope/subnets/aks-1",
        azure.subscription
    );
    let role = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555",
        subnet.split_at(subnet.find("/resourceGroups").unwrap()).1
    );
    let wish = json!({ "properties": {
        "principalId": identity["properties"]["principalId"],
        "roleDefinitionId": format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7", azure.subscription),
    }});
    let refusal = azure.expect(400, "PUT", &role, wish.clone()).await;
    assert_eq!(refusal["error"]["code"], "PrincipalNotFound");
    azure.step(31).await;
    azure.expect(201, "PUT", &role, wish.clone()).await;
    azure.expect(200, "PUT", &role, wish).await;
    let mut body = cluster();
    body["identity"] = json!({ "type": "UserAssigned", "userAssignedIdentities": { (identity["id"].as_str().unwrap()): {} } });
    body["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = subnet.into();
    let refusal = azure.expect(400, "PUT", CLUSTER, body.clone()).await;
    assert_eq!(refusal["code"], "ResourceMissingPermissionError");
    azure.step(61).await;
    azure.expect(201, "PUT", CLUSTER, body).await;
}

#[tokio::test]
async fn a_role_limits_its_holder() {
    let azure = Azure::on(Bed::start(), "reader").await;
    let refusal = azure
        .expect(403, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    assert_eq!(refusal["error"]["code"], "AuthorizationFailed");
    azure
        .expect(200, "GET", "/resourceGroups", Value::Null)
        .await;
}

#[tokio::test]
async fn tokens_expire_by_the_clock_and_by_order() {
    let azure = Azure::start().await;
    azure.step(3601).await;
    let refusal = azure
        .expect(401, "GET", "/resourceGroups", Value::Null)
        .await;
    assert_eq!(refusal["error"]["code"], "ExpiredAuthenticationToken");
    let azure = Azure::on(azure.bed, "deployer").await;
    azure
        .expect(200, "GET", "/resourceGroups", Value::Null)
        .await;
    azure
        .bed
        .control(
            "POST",
            "faults",
            json!({ "action": { "kind": "expire_tokens" } }),
        )
        .await;
    azure
        .expect(401, "GET", "/resourceGroups", Value::Null)
        .await;
    Azure::on(azure.bed, "deployer")
        .await
        .expect(200, "GET", "/resourceGroups", Value::Null)
        .await;
}

#[tokio::test]
async fn an_operation_fails_on_order() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let action = json!({ "kind": "operation", "end": "failed", "code": "UpgradeFailed", "message": "Drain node failed" });
    azure
        .bed
        .control(
            "POST",
            "faults",
            json!({ "method": "PUT", "path": "*/agentPools/*", "action": action }),
        )
        .await;
    let (_, _, headers) = azure.ask("PUT", POOL, pool(1)).await;
    azure.step(400).await;
    let poll = headers["azure-asyncoperation"].to_str().unwrap().to_owned();
    let end = azure.expect(200, "GET", &poll, Value::Null).await;
    assert_eq!(
        (&end["status"], &end["error"]["code"]),
        (&json!("Failed"), &json!("UpgradeFailed"))
    );
    assert_eq!(
        azure.expect(200, "GET", POOL, Value::Null).await["properties"]["provisioningState"],
        "Failed"
    );
}

#[tokio::test]
async fn a_lost_region_holds_its_groups() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    azure
        .bed
        .control(
            "POST",
            "faults",
            json!({ "id": "dark", "action": { "kind": "lose_region", "region": "westeurope" } }),
        )
        .await;
    azure.expect(503, "PUT", POOL, pool(1)).await;
    azure
        .bed
        .control("DELETE", "faults/dark", Value::Null)
        .await;
    azure.expect(201, "PUT", POOL, pool(1)).await;
}

#[tokio::test]
async fn a_pool_in_a_lost_zone_finds_no_room_and_one_beside_it_does() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let lost = json!({ "action": { "kind": "lose_zone", "region": "westeurope", "zone": "2" } });
    azure.bed.control("POST", "faults", lost).await;
    for (zone, state) in [("2", "Failed"), ("3", "Succeeded")] {
        let mut body = pool(1);
        body["properties"]["availabilityZones"] = json!([zone]);
        let path = POOL.replace("work", &format!("work{zone}"));
        let (status, answer, headers) = azure.ask("PUT", &path, body).await;
        assert_eq!(status, 201, "{answer:#}");
        azure.step(151).await;
        let pool = azure.expect(200, "GET", &path, Value::Null).await;
        assert_eq!(pool["properties"]["provisioningState"], state, "{pool:#}");
        let address = headers["azure-asyncoperation"].to_str().unwrap();
        let operation = azure.expect(200, "GET", address, Value::Null).await;
        assert_eq!(operation["status"], state);
        let code = operation["error"]["code"].as_str();
        assert_eq!(code, (zone == "2").then_some("ZonalAllocationFailed"));
    }
}

#[tokio::test]
async fn a_stopped_cluster_wants_to_be_started_first() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    azure
        .expect(202, "POST", &format!("{CLUSTER}/stop"), Value::Null)
        .await;
    azure.step(200).await;
    assert_eq!(
        azure.expect(200, "GET", CLUSTER, Value::Null).await["properties"]["powerState"]["code"],
        "Stopped"
    );
    azure.expect(400, "PUT", POOL, pool(1)).await;
    azure
        .expect(202, "POST", &format!("{CLUSTER}/start"), Value::Null)
        .await;
    azure.step(300).await;
    azure.expect(201, "PUT", POOL, pool(1)).await;
}

#[tokio::test]
async fn the_deployers_rights_reach_what_it_links_to() {
    let owner = Azure::start().await;
    owner
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    owner
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let role = |id: &str, scope: &str, name: &str, object: &Value| {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let definition = format!(
            "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{id}",
            owner.subscription
        );
        (
            path,
            json!({ "properties": { "principalId": object, "roleDefinitionId": definition } }),
        )
    };
    let nobody = owner.bed.card["azure_principals"]["nobody"]["object_id"].clone();
    let (path, wish) = role(
        "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
        GROUP,
        "11111111-2222-3333-4444-000000000001",
        &nobody,
    );
    owner.expect(201, "PUT", &path, wish).await;
    owner.step(61).await;
    let mut body = cluster();
    body["properties"]["agentPoolProfiles"][0]["vnetSubnetID"] = format!(
        "/subscriptions/{}/resourceGroups/shared/providers/Microsoft.Network/virtualNetworks/westeurope/subnets/aks-1",
        owner.subscription
    )
    .into();
    let limited = Azure::on(owner.bed, "nobody").await;
    let refusal = limited.expect(403, "PUT", CLUSTER, body).await;
    assert_eq!(refusal["error"]["code"], "LinkedAuthorizationFailed");
    limited.expect(201, "PUT", CLUSTER, cluster()).await;
}

#[tokio::test]
async fn the_autoscaler_takes_idle_nodes_away() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let wish = json!({ "properties": {
        "mode": "User", "count": 5, "enableAutoScaling": true, "minCount": 2, "maxCount": 9, "vmSize": "Standard_D4s_v5",
    }});
    azure.expect(201, "PUT", POOL, wish).await;
    azure.step(200).await;
    azure.expect(200, "GET", POOL, Value::Null).await;
    azure.step(700).await;
    azure.expect(200, "GET", POOL, Value::Null).await;
    azure.step(100).await;
    azure.expect(200, "GET", POOL, Value::Null).await;
    azure.step(3600).await;
    let azure = Azure::on(azure.bed, "deployer").await;
    let pool = azure.expect(200, "GET", POOL, Value::Null).await;
    assert_eq!(pool["properties"]["count"], 2);
}

#[tokio::test]
async fn pending_pods_make_nodes_where_a_pool_may_grow() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    let grows = json!({ "properties": {
        "mode": "User", "count": 0, "enableAutoScaling": true, "minCount": 0, "maxCount": 5, "vmSize": "Standard_D4s_v5",
    }});
    azure.expect(201, "PUT", POOL, grows).await;
    let pods = json!({ "id": "pods", "action": { "kind": "pending_pods", "cluster": "main" } });
    let count = async |seconds: u32| {
        azure.step(seconds).await;
        let pool = azure.expect(200, "GET", POOL, Value::Null).await;
        pool["properties"]["count"].clone()
    };
    assert_eq!(count(200).await, 0);
    // The extension manager comes and settles.
    assert_eq!(count(700).await, 0);
    assert_eq!(count(100).await, 0);
    azure.bed.control("POST", "faults", pods).await;
    assert_eq!(count(130).await, 2);
    assert_eq!(count(600).await, 5);
    let mut fixed = azure.expect(200, "GET", POOL, Value::Null).await;
    for limit in ["minCount", "maxCount"] {
        fixed["properties"][limit] = Value::Null;
    }
    fixed["properties"]["enableAutoScaling"] = false.into();
    fixed["properties"]["count"] = 1.into();
    azure.expect(200, "PUT", POOL, fixed).await;
    assert_eq!(count(600).await, 1);
    assert_eq!(count(600).await, 1);
}

#[tokio::test]
async fn a_channel_upgrades_and_rewrites_the_alias() {
    let azure = Azure::start().await;
    azure
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let mut body = cluster();
    body["properties"]["kubernetesVersion"] = "1.33.7".into();
    body["properties"]["autoUpgradeProfile"] = json!({ "upgradeChannel": "patch" });
    azure.expect(201, "PUT", CLUSTER, body).await;
    for _ in 0..3 {
        azure.step(1000).await;
        azure.expect(200, "GET", CLUSTER, Value::Null).await;
    }
    azure.step(8 * 86_400).await;
    let azure = Azure::on(azure.bed, "deployer").await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["provisioningState"], "Upgrading");
    azure.step(1000).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["kubernetesVersion"], "1.33.8");
    assert_eq!(
        body["properties"]["agentPoolProfiles"][0]["currentOrchestratorVersion"],
        "1.33.8"
    );
}

#[tokio::test]
async fn a_budget_runs_out_and_says_when_it_is_back() {
    let azure = Azure::start().await;
    azure.with_cluster().await;
    // While the clock stands nobody is refused.
    for _ in 0..80 {
        azure.expect(200, "GET", CLUSTER, Value::Null).await;
    }
    let slow = json!({ "freeze": false, "rate": 0.001 });
    azure.bed.control("POST", "clock", slow).await;
    let mut refused = None;
    for _ in 0..80 {
        let (status, body, headers) = azure.ask("GET", CLUSTER, Value::Null).await;
        if status == 429 {
            refused = Some((body, headers));
            break;
        }
    }
    let (body, headers) = refused.expect("80 reads at once exceed a budget of 60");
    assert_eq!(
        (&body["code"], headers["retry-after"].to_str().unwrap()),
        (&json!("TooManyRequests"), "1")
    );
    azure.step(1).await;
    azure.expect(200, "GET", CLUSTER, Value::Null).await;
}

#[tokio::test]
async fn unknown_members_survive() {
    let azure = Azure::start().await;
    azure
        .bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let mut body = cluster();
    body["properties"]["somethingNew"] = json!({ "level": 3 });
    body["properties"]["agentPoolProfiles"][0]["alsoNew"] = true.into();
    azure.expect(201, "PUT", CLUSTER, body).await;
    azure.step(301).await;
    let body = azure.expect(200, "GET", CLUSTER, Value::Null).await;
    assert_eq!(body["properties"]["somethingNew"]["level"], 3);
    assert_eq!(body["properties"]["agentPoolProfiles"][0]["alsoNew"], true);
}

#[tokio::test]
async fn secrets_are_not_in_the_journal() {
    let azure = Azure::start().await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    let (_, _, headers) = azure.ask("PUT", CLUSTER, cluster()).await;
    let poll = headers["azure-asyncoperation"].to_str().unwrap().to_owned();
    azure.expect(200, "GET", &poll, Value::Null).await;
    let journal = azure.bed.control("GET", "journal", Value::Null).await;
    let entries = journal["entries"].as_array().unwrap();
    let last = entries.last().unwrap();
    assert!(last["operation"].is_string() && last["principal"].is_string());
    assert!(last["query"].as_str().unwrap().contains("s=REDACTED"));
    let file = azure.bed.card["client_secret_file"].as_str().unwrap();
    let secret = std::fs::read_to_string(file).unwrap();
    let text = journal.to_string();
    assert!(!text.contains(secret.trim()) && !text.contains(&azure.token));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_the_directorys_words() {
    let azure = Azure::start().await;
    let base = azure.bed.card["azure"].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", azure.bed.card["client_id"].as_str().unwrap()),
        ("client_secret", "wrong"),
        ("scope", "https://management.azure.com/.default"),
    ];
    let url = format!(
        "{base}/{}/oauth2/v2.0/token",
        azure.bed.card["tenant_id"].as_str().unwrap()
    );
    let answer = azure.bed.client.post(url).form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["error"], &body["error_codes"]),
        (&json!("invalid_client"), &json!([7_000_215]))
    );
}

#[tokio::test]
async fn a_stale_read_does_not_doubt_the_token() {
    let bed = Bed::start();
    let rule =
        json!({ "method": "GET", "path": "*/resourceGroups/pay", "action": { "kind": "stale" } });
    bed.control("POST", "faults", rule).await;
    let azure = Azure::on(bed, "deployer").await;
    azure
        .expect(201, "PUT", GROUP, json!({ "location": "westeurope" }))
        .await;
    azure.expect(404, "GET", GROUP, Value::Null).await;
    azure.expect(200, "GET", GROUP, Value::Null).await;
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let azure = Azure::start().await;
    let body = json!({ "location": "westeurope" });
    azure.expect(201, "PUT", GROUP, body.clone()).await;
    for number in 0..53 {
        let path = format!(
            "{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one-{number}"
        );
        azure.expect(201, "PUT", &path, body.clone()).await;
    }
    let mut next = Some(format!("{GROUP}/resources"));
    let mut sizes = Vec::new();
    while let Some(path) = next {
        let (status, page, _) = azure.ask("GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{page:#}");
        sizes.push(page["value"].as_array().unwrap().len());
        next = page["nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(sizes, [50, 3]);
}

/// Trades an assertion for a token; the code of the refusal.
async fn trade(bed: &Bed, principal: &str, assertion: &str) -> Result<String, u64> {
    let base = bed.card["azure"].as_str().unwrap();
    let tenant = bed.card["tenant_id"].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        (
            "client_id",
            bed.card["azure_principals"][principal]["client_id"]
                .as_str()
                .unwrap(),
        ),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
        ("scope", "https://management.azure.com/.default"),
    ];
    let answer = bed
        .client
        .post(format!("{base}/{tenant}/oauth2/v2.0/token"))
        .form(&form)
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    match body["access_token"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err(body["error_codes"][0].as_u64().unwrap()),
    }
}

#[tokio::test]
async fn an_assertion_is_believed_if_its_issuer_signed_it_for_a_trusted_job() {
    let bed = Bed::start();
    let issuer = &bed.card["azure_ci"];
    let job = std::fs::read_to_string(issuer["request_token_file"].as_str().unwrap()).unwrap();
    let url = format!(
        "{}&audience=api://AzureADTokenExchange",
        issuer["request_url"].as_str().unwrap()
    );
    let refused = bed
        .client
        .get(&url)
        .bearer_auth("else")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let answer = bed
        .client
        .get(&url)
        .bearer_auth(job.trim())
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    let assertion = answer["value"].as_str().unwrap();
    let token = trade(&bed, "deployer", assertion).await.unwrap();
    let azure = Azure {
        subscription: bed.card["subscription_ids"][0].as_str().unwrap().to_owned(),
        token,
        bed,
    };
    azure
        .expect(200, "GET", "/resourceGroups", Value::Null)
        .await;
    let bed = &azure.bed;

    // The same claims with another signature, another audience, another application, no token.
    let forged = format!("{}.{}", assertion.rsplit_once('.').unwrap().0, "AAAA");
    assert_eq!(trade(bed, "deployer", &forged).await, Err(50_013));
    assert_eq!(trade(bed, "reader", assertion).await, Err(700_211));
    assert_eq!(trade(bed, "deployer", "no token").await, Err(50_027));
}
