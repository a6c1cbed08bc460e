//! Google Cloud over the wire: clusters, pools, operations, refusals, drift, disasters.

mod bed;

use std::cell::RefCell;

use bed::Bed;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

const HUB: &str = "/v1/projects/paymesh-hub/locations";
const REGION: &str = "/v1/projects/paymesh-hub/locations/europe-west1";
const PAY: &str = "/v1/projects/paymesh-hub/locations/europe-west1/clusters/pay";

/// A simulated Google Cloud and someone with a token.
struct Gcp {
    bed: Bed,
    token: RefCell<String>,
}

impl Gcp {
    /// A new cloud whose operations end at their second poll.
    async fn start() -> Self {
        Self::as_person(
            Bed::start_with(&["--operation-polls", "2"]),
            "google_credentials_file",
        )
        .await
    }

    /// The same with a clock that counts: what was just made is not known everywhere.
    async fn by_the_clock() -> Self {
        Self::as_person(Bed::start(), "google_credentials_file").await
    }

    async fn as_person(bed: Bed, file: &str) -> Self {
        let gcp = Self {
            bed,
            token: RefCell::default(),
        };
        gcp.sign_in(file).await;
        gcp
    }

    async fn sign_in(&self, file: &str) {
        let text = std::fs::read_to_string(self.bed.card[file].as_str().unwrap()).unwrap();
        let adc: Value = serde_json::from_str(&text).unwrap();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        for field in ["client_id", "client_secret", "refresh_token"] {
            form.append_pair(field, adc[field].as_str().unwrap());
        }
        let answer = reqwest::Client::new()
            .post(adc["token_uri"].as_str().unwrap())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await
            .unwrap();
        let token: Value = answer.json().await.unwrap();
        token["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.token.borrow_mut());
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let base = self.bed.card["google"].as_str().unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = reqwest::Client::new()
            .request(method, format!("{base}{path}"))
            .bearer_auth(self.token.borrow().clone());
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Sends a write and polls its operation to the end.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, operation) = self.ask(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {operation}");
        self.end(path, &operation).await
    }

    async fn end(&self, path: &str, operation: &Value) -> Value {
        let location = path.split("/clusters").next().unwrap();
        let at = format!(
            "{location}/operations/{}",
            operation["name"].as_str().unwrap()
        );
        let mut last = Value::Null;
        for _ in 0..5 {
            last = self.read(&at).await;
            if last["status"] == "DONE" {
                return last;
            }
        }
        panic!("the operation did not end: {last}");
    }

    async fn cluster(&self) {
        let operation = self
            .done("POST", &format!("{REGION}/clusters"), pay(&json!({})))
            .await;
        assert!(operation.get("error").is_none(), "{operation}");
    }

    async fn refused(&self, method: &str, path: &str, body: Value, expected: Expect) {
        let (status, body) = self.ask(method, path, body).await;
        let seen = format!(
            "{status} {} {}",
            body["error"]["status"].as_str().unwrap_or_default(),
            body["error"]["message"].as_str().unwrap_or_default()
        );
        expected.assert_eq(&hide_ids(&seen));
    }
}

/// Operation names hold the time and a number of their own.
fn hide_ids(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            if word.starts_with("operation-") {
                "operation-…"
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn pay(more: &Value) -> Value {
    let mut cluster = json!({
        "name": "pay",
        "releaseChannel": { "channel": "REGULAR" },
        "initialClusterVersion": "1.33",
        "ipAllocationPolicy": { "clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services" },
        "networkConfig": { "datapathProvider": "ADVANCED_DATAPATH", "defaultEnablePrivateNodes": true },
        "workloadIdentityConfig": { "workloadPool": "paymesh-hub.svc.id.goog" },
        "resourceLabels": { "paymesh-owner": "0a1b" },
        "nodePools": [{
            "name": "system", "initialNodeCount": 1, "config": { "machineType": "n2-standard-4" },
            "autoscaling": { "enabled": true, "totalMinNodeCount": 3, "totalMaxNodeCount": 6 },
        }],
    });
    for (field, value) in more.as_object().unwrap() {
        cluster[field] = value.clone();
    }
    json!({ "cluster": cluster })
}

#[tokio::test]
async fn a_cluster_lives_from_create_to_delete_and_over_a_restart() {
    let gcp = Gcp::start().await;
    let (_, operation) = gcp
        .ask("POST", &format!("{REGION}/clusters"), pay(&json!({})))
        .await;
    assert_eq!(operation["status"], "RUNNING");
    assert_eq!(gcp.read(PAY).await["status"], "PROVISIONING");
    let ended = gcp.end(PAY, &operation).await;
    assert_eq!(
        ended["progress"]["metrics"][0],
        json!({ "intValue": "8", "name": "CLUSTER_CONFIGURING" })
    );

    let Gcp { bed, token } = gcp;
    let gcp = Gcp {
        bed: bed.restart(),
        token,
    };
    let cluster = gcp.read(PAY).await;
    let shown = json!({
        "status": cluster["status"], "master": cluster["currentMasterVersion"], "nodes": cluster["currentNodeCount"],
        "private": cluster["privateClusterConfig"]["enablePrivateNodes"], "abac": cluster["legacyAbac"],
        "metadata": cluster["nodePools"][0]["config"]["workloadMetadataConfig"], "channel": cluster["releaseChannel"],
        "groups": cluster["nodePools"][0]["instanceGroupUrls"].as_array().map(Vec::len),
    });
    expect![[r#"{"status":"RUNNING","master":"1.33.10-gke.1067000","nodes":3,"private":true,"abac":{},"metadata":{"mode":"GKE_METADATA"},"channel":{"channel":"REGULAR"},"groups":3}"#]]
        .assert_eq(&shown.to_string());
    let group = cluster["nodePools"][0]["instanceGroupUrls"][0]
        .as_str()
        .unwrap()
        .replace("https://www.googleapis.com", "");
    assert_eq!(gcp.read(&group).await["targetSize"], 1);
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_again_after_delete() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let taken = expect![
        "409 ALREADY_EXISTS Already exists: projects/paymesh-hub/locations/europe-west1/clusters/pay."
    ];
    gcp.refused(
        "POST",
        &format!("{REGION}/clusters"),
        pay(&json!({})),
        taken,
    )
    .await;
    gcp.done("DELETE", PAY, Value::Null).await;
    let gone = expect![
        "404 NOT_FOUND Not found: projects/paymesh-hub/locations/europe-west1/clusters/pay."
    ];
    gcp.refused("GET", PAY, Value::Null, gone).await;
    let inventory = gcp.bed.control("GET", "inventory", Value::Null).await;
    assert_eq!(inventory["google"], json!([]));
    gcp.cluster().await;
}

#[tokio::test]
async fn one_operation_per_cluster_or_one_per_pool() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let pool = |name: &str| json!({ "nodePool": { "name": name, "initialNodeCount": 1, "config": { "machineType": "e2-standard-4" } } });
    let (_, one) = gcp
        .ask("POST", &format!("{PAY}/nodePools"), pool("one"))
        .await;
    let (status, two) = gcp
        .ask("POST", &format!("{PAY}/nodePools"), pool("two"))
        .await;
    assert_eq!(status, 200, "{two}");
    let busy =
        expect!["400 FAILED_PRECONDITION Cluster is running incompatible operation operation-…"];
    gcp.refused("DELETE", PAY, Value::Null, busy).await;
    assert_eq!(gcp.read(PAY).await["status"], "RECONCILING");
    gcp.end(PAY, &one).await;
    gcp.end(PAY, &two).await;
    gcp.done("DELETE", PAY, Value::Null).await;
}

#[tokio::test]
async fn reads_of_an_object_end_an_operation_for_those_who_watch_and_not_for_who_began_it() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let path = format!("{PAY}/nodePools/system:setManagement");
    let body = json!({ "management": { "autoUpgrade": true, "autoRepair": true } });
    let begin = async || gcp.ask("POST", &path, body.clone()).await.1;

    // A run reads the cluster beside its polls, more or less often.
    let operation = begin().await;
    for _ in 0..3 {
        assert_eq!(gcp.read(PAY).await["status"], "RECONCILING");
    }
    let name = operation["name"].as_str().unwrap();
    let poll = format!("{REGION}/operations/{name}");
    assert_eq!(gcp.read(&poll).await["status"], "RUNNING");
    assert_eq!(gcp.read(&poll).await["status"], "DONE");

    // The next run has no name and watches.
    begin().await;
    gcp.sign_in("google_credentials_file").await;
    assert_eq!(gcp.read(PAY).await["status"], "RECONCILING");
    assert_eq!(gcp.read(PAY).await["status"], "RUNNING");

    // A run that lost the answer has no name either.
    begin().await;
    let mut reads = 0;
    while reads < 20 && gcp.read(PAY).await["status"] == "RECONCILING" {
        reads += 1;
    }
    assert_eq!(reads, 10);
}

#[tokio::test]
async fn the_journal_tells_why_a_request_was_refused() {
    let gcp = Gcp::start().await;
    gcp.refused(
        "GET",
        PAY,
        Value::Null,
        expect![
            "404 NOT_FOUND Not found: projects/paymesh-hub/locations/europe-west1/clusters/pay."
        ],
    )
    .await;
    let journal = gcp.bed.control("GET", "journal", Value::Null).await;
    let last = journal["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last["refusal"],
        "Not found: projects/paymesh-hub/locations/europe-west1/clusters/pay."
    );
}

#[tokio::test]
async fn an_update_names_one_field() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let update = |update: Value| json!({ "update": update });
    gcp.refused(
        "PUT",
        PAY,
        update(json!({})),
        expect!["400 INVALID_ARGUMENT Must specify a field to update."],
    )
    .await;
    let two = json!({ "desiredVerticalPodAutoscaling": { "enabled": true }, "desiredShieldedNodes": { "enabled": true } });
    gcp.refused("PUT", PAY, update(two), expect!["400 INVALID_ARGUMENT Only one field can be updated with each request; found desiredVerticalPodAutoscaling, desiredShieldedNodes."]).await;
    let stale = json!({ "etag": "old", "desiredVerticalPodAutoscaling": { "enabled": true } });
    gcp.refused(
        "PUT",
        PAY,
        update(stale),
        expect![
            "409 ABORTED The etag of the cluster does not match: the cluster was changed meanwhile."
        ],
    )
    .await;
    let etag = gcp.read(PAY).await["etag"].clone();
    gcp.done(
        "PUT",
        PAY,
        update(json!({ "etag": etag, "desiredVerticalPodAutoscaling": { "enabled": true } })),
    )
    .await;
    let dns = json!({ "desiredControlPlaneEndpointsConfig": { "dnsEndpointConfig": { "allowExternalTraffic": true }, "ipEndpointsConfig": { "enabled": false } } });
    gcp.done("PUT", PAY, update(dns)).await;
    let cluster = gcp.read(PAY).await;
    assert_eq!(
        cluster["verticalPodAutoscaling"],
        json!({ "enabled": true })
    );
    assert_ne!(cluster["etag"], etag);
    assert!(
        cluster.get("endpoint").is_none(),
        "no address without IP endpoints"
    );
    assert_eq!(
        cluster["clusterTelemetry"],
        json!({ "type": "ENABLED" }),
        "what no model knows stays"
    );
}

#[tokio::test]
async fn versions_move_control_plane_first_and_one_minor_at_a_time() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let master = |version: &str| json!({ "update": { "desiredMasterVersion": version } });
    let nodes = |version: &str| json!({ "nodeVersion": version });
    let system = format!("{PAY}/nodePools/system");
    gcp.refused("PUT", &system, nodes("1.34"), expect![[r#"400 INVALID_ARGUMENT Node version "1.34.6-gke.1068000" must not have a greater version than the master version "1.33.10-gke.1067000"."#]]).await;
    gcp.refused("PUT", PAY, master("1.35"), expect![[r#"400 INVALID_ARGUMENT Master cannot be upgraded to "1.35.5-gke.1022000": cannot upgrade the master more than one minor version at a time; current version is "1.33.10-gke.1067000"."#]]).await;
    gcp.refused(
        "PUT",
        PAY,
        master("1.36"),
        expect![[r#"400 INVALID_ARGUMENT No valid versions with the prefix "1.36" found."#]],
    )
    .await;
    gcp.done("PUT", PAY, master("1.34")).await;
    let upgraded = gcp.done("PUT", &system, nodes("1.34")).await;
    assert_eq!(upgraded["operationType"], "UPGRADE_NODES");
    assert_eq!(gcp.read(&system).await["version"], "1.34.6-gke.1068000");
}

#[tokio::test]
async fn a_pool_counts_per_zone_and_limits_in_total() {
    let gcp = Gcp::start().await;
    gcp.bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    gcp.cluster().await;
    let system = format!("{PAY}/nodePools/system");
    gcp.done(
        "POST",
        &format!("{system}:setSize"),
        json!({ "nodeCount": 2 }),
    )
    .await;
    let cluster = gcp.read(PAY).await;
    assert_eq!(
        (
            &cluster["currentNodeCount"],
            &cluster["nodePools"][0]["initialNodeCount"]
        ),
        (&json!(6), &json!(2))
    );
    let both =
        json!({ "autoscaling": { "enabled": true, "maxNodeCount": 3, "totalMaxNodeCount": 9 } });
    gcp.refused("POST", &format!("{system}:setAutoscaling"), both, expect!["400 INVALID_ARGUMENT Cannot set both total_min_node_count/total_max_node_count and min_node_count/max_node_count: the limits are either per zone or in total."]).await;
    gcp.done(
        "POST",
        &format!("{system}:setAutoscaling"),
        json!({ "autoscaling": { "enabled": false } }),
    )
    .await;
    assert_eq!(gcp.read(&system).await["autoscaling"], json!({}));
    gcp.done("POST", &format!("{system}:setSize"), json!({}))
        .await;
    assert!(
        gcp.read(PAY).await.get("currentNodeCount").is_none(),
        "no nodes, no count"
    );
    let (status, body) = gcp.ask("PUT", &system, json!({ "imageType": "" })).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        status == 400 && message.starts_with("At least one of ['accelerators', "),
        "{message}"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_words_of_the_cloud() {
    let gcp = Gcp::start().await;
    let clusters = format!("{REGION}/clusters");
    let pool = |config: Value| json!({ "nodePools": [{ "name": "p", "initialNodeCount": 1, "config": config }] });
    for (more, expected) in [
        (
            json!({ "name": "Pay" }),
            expect![[
                r#"400 INVALID_ARGUMENT Invalid value for field "cluster.name": "Pay". Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?)'."#
            ]],
        ),
        (
            json!({ "resourceLabels": { "Owner": "x" } }),
            expect![[
                r#"400 INVALID_ARGUMENT Invalid field 'cluster.resource_labels': "Owner". Label keys must start with a lowercase character, can only contain lowercase letters, numeric characters, underscores and dashes, and have at most 63 characters."#
            ]],
        ),
        (
            json!({ "nodePoolz": [] }),
            expect![[
                r#"400 INVALID_ARGUMENT Invalid JSON payload received. Unknown name "nodePoolz" at 'cluster': Cannot find field."#
            ]],
        ),
        (
            json!({ "network": "other" }),
            expect![[r#"400 INVALID_ARGUMENT Network "other" does not exist."#]],
        ),
        (
            json!({ "ipAllocationPolicy": { "clusterSecondaryRangeName": "podz" } }),
            expect![[
                r#"400 INVALID_ARGUMENT Pods secondary range "podz" does not exist in network "default", subnetwork "default"."#
            ]],
        ),
        (
            json!({ "workloadIdentityConfig": { "workloadPool": "x.svc.id.goog" } }),
            expect![[
                r#"400 INVALID_ARGUMENT Workload Identity Pool "x.svc.id.goog" is not supported: only the pool of the project, "paymesh-hub.svc.id.goog", is."#
            ]],
        ),
        (
            json!({ "databaseEncryption": { "state": "ENCRYPTED", "keyName": "projects/paymesh-hub/locations/us-east1/keyRings/paymesh/cryptoKeys/clusters" } }),
            expect![[
                r#"400 INVALID_ARGUMENT Cloud KMS key "projects/paymesh-hub/locations/us-east1/keyRings/paymesh/cryptoKeys/clusters" must be in the region of the cluster, "europe-west1"."#
            ]],
        ),
        (
            json!({ "networkPolicy": { "enabled": true } }),
            expect![
                "400 INVALID_ARGUMENT Enabling NetworkPolicy for clusters with DatapathProvider=ADVANCED_DATAPATH is not allowed."
            ],
        ),
        (
            json!({ "masterAuthorizedNetworksConfig": { "enabled": true, "cidrBlocks": [{ "cidrBlock": "10.0.0.1/8" }] } }),
            expect![[
                r#"400 INVALID_ARGUMENT Invalid master authorized networks: network "10.0.0.1/8" is not a valid CIDR block."#
            ]],
        ),
        (
            pool(json!({ "machineType": "z9-huge" })),
            expect![
                "400 INVALID_ARGUMENT Machine type with name 'z9-huge' does not exist in zone 'europe-west1-b'."
            ],
        ),
        (
            pool(json!({ "serviceAccount": "no@paymesh-hub.iam.gserviceaccount.com" })),
            expect![[
                r#"400 INVALID_ARGUMENT Service account "no@paymesh-hub.iam.gserviceaccount.com" does not exist."#
            ]],
        ),
        (
            json!({ "nodePools": [{ "name": "p", "initialNodeCount": 100, "config": { "machineType": "n2-standard-8" } }] }),
            expect![[
                r#"403 PERMISSION_DENIED Insufficient regional quota to satisfy request: resource "N2_CPUS": request requires '2400.0' and is short '1900.0'. project has a quota of '500.0' with '500.0' available. View and manage quotas at https://console.cloud.google.com/iam-admin/quotas?usage=USED&project=paymesh-hub."#
            ]],
        ),
    ] {
        gcp.refused("POST", &clusters, pay(&more), expected).await;
    }
    gcp.refused(
        "POST",
        &format!("{HUB}/mars-1/clusters"),
        pay(&json!({})),
        expect![[r#"400 INVALID_ARGUMENT Location "mars-1" does not exist."#]],
    )
    .await;
    gcp.refused(
        "GET",
        "/v1/projects/other/locations/-/clusters",
        Value::Null,
        expect!["403 PERMISSION_DENIED Permission denied on resource project other."],
    )
    .await;
    assert_eq!(gcp.read(&format!("{HUB}/-/clusters")).await, json!({}));
}

#[tokio::test]
async fn nothing_else_in_the_network_has_the_addresses_of_a_control_plane() {
    let gcp = Gcp::start().await;
    let with = |range: &str| {
        let mut body = pay(&json!({}));
        body["cluster"]["privateClusterConfig"] = json!({ "masterIpv4CidrBlock": range });
        body
    };
    let clusters = |region: &str| format!("{HUB}/{region}/clusters");
    let path = clusters("europe-west1");
    gcp.done("POST", &path, with("172.16.0.0/28")).await;
    let east = clusters("us-east1");
    let other = expect![
        "400 INVALID_ARGUMENT The given master_ipv4_cidr 172.16.0.0/28 overlaps with an existing network 172.16.0.0/28."
    ];
    gcp.refused("POST", &east, with("172.16.0.0/28"), other)
        .await;
    let machines = expect![
        "400 INVALID_ARGUMENT The given master_ipv4_cidr 10.206.3.0/28 overlaps with an existing network 10.206.0.0/20."
    ];
    gcp.refused("POST", &east, with("10.206.3.0/28"), machines)
        .await;
    gcp.done("POST", &east, with("172.16.0.16/28")).await;
}

#[tokio::test]
async fn an_engineer_may_act_as_a_service_account() {
    let gcp = Gcp::start().await;
    let robot =
        "/v1/projects/-/serviceAccounts/paymesh-deployer@paymesh-hub.iam.gserviceaccount.com";
    let (status, lent) = gcp
        .ask(
            "POST",
            &format!("{robot}:generateAccessToken"),
            json!({ "scope": [] }),
        )
        .await;
    assert_eq!(status, 200, "{lent}");
    lent["accessToken"]
        .as_str()
        .unwrap()
        .clone_into(&mut gcp.token.borrow_mut());
    gcp.read(&format!("{REGION}/serverConfig")).await;
    let journal = gcp.bed.control("GET", "journal?since=0", Value::Null).await;
    let last = journal["entries"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(
        last["principal"],
        "serviceAccount:paymesh-deployer@paymesh-hub.iam.gserviceaccount.com"
    );
}

#[tokio::test]
async fn an_etag_outlives_what_moves_by_itself() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let etag = gcp.read(PAY).await["etag"].clone();
    let management = json!({ "management": { "autoUpgrade": true, "autoRepair": true } });
    let (_, operation) = gcp
        .ask(
            "POST",
            &format!("{PAY}/nodePools/system:setManagement"),
            management,
        )
        .await;
    let busy = gcp.read(PAY).await;
    assert_eq!(
        (&busy["status"], &busy["etag"]),
        (&json!("RECONCILING"), &etag)
    );
    gcp.end(PAY, &operation).await;
}

#[tokio::test]
async fn an_auditor_looks_and_touches_nothing() {
    let bed = Bed::start();
    let gcp = Gcp::as_person(bed, "google_auditor_credentials_file").await;
    gcp.read(&format!("{HUB}/-/clusters")).await;
    gcp.refused("POST", &format!("{REGION}/clusters"), pay(&json!({})), expect![[r#"403 PERMISSION_DENIED Required "container.clusters.create" permission(s) for "projects/paymesh-hub"."#]]).await;
    let asked = json!({ "permissions": ["container.clusters.create", "container.clusters.get"] });
    let (_, held) = gcp
        .ask("POST", "/v1/projects/paymesh-hub:testIamPermissions", asked)
        .await;
    assert_eq!(held, json!({ "permissions": ["container.clusters.get"] }));
}

#[tokio::test]
async fn a_token_ages_with_the_client() {
    let gcp = Gcp::start().await;
    gcp.read(&format!("{REGION}/serverConfig")).await;
    gcp.bed
        .control("POST", "clock", json!({ "step_seconds": 3700 }))
        .await;
    let (status, _) = gcp
        .ask("GET", &format!("{REGION}/serverConfig"), Value::Null)
        .await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_stockout_leaves_a_cluster_in_error_that_can_be_deleted() {
    let gcp = Gcp::start().await;
    let stockout = json!({ "method": "POST", "path": "*/clusters", "action": { "kind": "operation", "end": "failed", "code": "GCE_STOCKOUT", "message": "no room" } });
    gcp.bed.control("POST", "faults", stockout).await;
    let operation = gcp
        .done("POST", &format!("{REGION}/clusters"), pay(&json!({})))
        .await;
    assert_eq!(
        operation["error"],
        json!({ "code": 8, "message": "no room" })
    );
    let cluster = gcp.read(PAY).await;
    assert_eq!(cluster["status"], "ERROR");
    assert_eq!(
        cluster["conditions"][0],
        json!({ "canonicalCode": "RESOURCE_EXHAUSTED", "code": "GCE_STOCKOUT", "message": "no room" })
    );
    gcp.done("DELETE", PAY, Value::Null).await;
}

#[tokio::test]
async fn a_pool_in_a_lost_zone_runs_out_of_machines_and_a_lost_region_does_not_answer() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let lost = json!({ "id": "zone", "api": "google", "action": { "kind": "lose_zone", "region": "europe-west1", "zone": "europe-west1-c" } });
    gcp.bed.control("POST", "faults", lost).await;
    let pool = json!({ "nodePool": { "name": "more", "initialNodeCount": 1 } });
    let operation = gcp.done("POST", &format!("{PAY}/nodePools"), pool).await;
    assert_eq!(operation["nodepoolConditions"][0]["code"], "GCE_STOCKOUT");
    assert_eq!(
        gcp.read(&format!("{PAY}/nodePools/more")).await["status"],
        "ERROR"
    );
    let lost =
        json!({ "api": "google", "action": { "kind": "lose_region", "region": "europe-west1" } });
    gcp.bed.control("POST", "faults", lost).await;
    gcp.refused(
        "GET",
        PAY,
        Value::Null,
        expect!["503 UNAVAILABLE The service is currently unavailable."],
    )
    .await;
    assert_eq!(
        gcp.read(&format!("{HUB}/-/clusters")).await,
        json!({ "missingZones": ["europe-west1"] })
    );
}

#[tokio::test]
async fn time_brings_upgrades_and_takes_idle_nodes() {
    let gcp = Gcp::as_person(
        Bed::start_with(&["--clock-rate", "0.001"]),
        "google_credentials_file",
    )
    .await;
    let step = async |seconds: u32| {
        gcp.bed
            .control("POST", "clock", json!({ "step_seconds": seconds }))
            .await;
        gcp.read(PAY).await
    };
    let more = json!({ "nodePools": [{
        "name": "system", "initialNodeCount": 2, "config": { "machineType": "n2-standard-4" },
        "autoscaling": { "enabled": true, "totalMinNodeCount": 3, "totalMaxNodeCount": 6 },
    }] });
    let (status, operation) = gcp
        .ask("POST", &format!("{REGION}/clusters"), pay(&more))
        .await;
    assert_eq!(status, 200, "{operation}");
    assert_eq!(step(400).await["currentNodeCount"], 6);
    assert_eq!(step(600).await["currentNodeCount"], 3);
    let pods = json!({ "id": "pods", "action": { "kind": "pending_pods", "cluster": "pay" } });
    gcp.bed.control("POST", "faults", pods).await;
    assert_eq!(step(130).await["currentNodeCount"], 5);
    assert_eq!(step(1200).await["currentNodeCount"], 6);
    gcp.bed.control("DELETE", "faults", Value::Null).await;
    assert_eq!(step(300).await["currentNodeCount"], 6);
    assert_eq!(step(600).await["currentNodeCount"], 3);
    let held = json!({ "maintenancePolicy": { "window": { "maintenanceExclusions": { "freeze": {
        "startTime": "2020-01-01T00:00:00Z", "endTime": "2040-01-01T00:00:00Z",
        "maintenanceExclusionOptions": { "scope": "NO_MINOR_OR_NODE_UPGRADES" },
    } } } } });
    gcp.ask("POST", &format!("{PAY}:setMaintenancePolicy"), held)
        .await;
    let days = async |days: u32| {
        gcp.bed
            .control("POST", "clock", json!({ "step_seconds": days * 24 * 3600 }))
            .await;
        gcp.sign_in("google_credentials_file").await;
        gcp.read(PAY).await;
        gcp.bed
            .control("POST", "clock", json!({ "step_seconds": 600 }))
            .await;
        let cluster = gcp.read(PAY).await;
        format!(
            "{} {}",
            cluster["currentMasterVersion"], cluster["currentNodeVersion"]
        )
    };
    expect![[r#""1.33.10-gke.1067000" "1.33.10-gke.1067000""#]].assert_eq(&days(20).await);
    gcp.ask(
        "POST",
        &format!("{PAY}:setMaintenancePolicy"),
        json!({ "maintenancePolicy": {} }),
    )
    .await;
    expect![[r#""1.34.6-gke.1068000" "1.33.10-gke.1067000""#]].assert_eq(&days(1).await);
    expect![[r#""1.34.6-gke.1068000" "1.34.6-gke.1068000""#]].assert_eq(&days(15).await);
}

#[tokio::test]
async fn labels_change_under_their_fingerprint() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let labels =
        |print: &Value| json!({ "resourceLabels": { "team": "pay" }, "labelFingerprint": print });
    let path = format!("{PAY}:setResourceLabels");
    gcp.refused(
        "POST",
        &path,
        labels(&json!("old")),
        expect!["400 FAILED_PRECONDITION Labels could not be set due to fingerprint mismatch"],
    )
    .await;
    let print = gcp.read(PAY).await["labelFingerprint"].clone();
    gcp.done("POST", &path, labels(&print)).await;
    assert_eq!(
        gcp.read(PAY).await["resourceLabels"],
        json!({ "team": "pay" })
    );
}

#[tokio::test]
async fn zonal_clusters_keep_the_older_paths_and_links() {
    let gcp = Gcp::start().await;
    let zone = "/v1/projects/paymesh-hub/zones/us-central1-a";
    let (_, operation) = gcp
        .ask(
            "POST",
            &format!("{zone}/clusters"),
            json!({ "cluster": { "name": "old", "initialNodeCount": 1 } }),
        )
        .await;
    assert!(
        operation["targetLink"]
            .as_str()
            .unwrap()
            .ends_with("/zones/us-central1-a/clusters/old"),
        "{operation}"
    );
    gcp.end(&format!("{zone}/clusters"), &operation).await;
    assert_eq!(
        gcp.read(&format!("{zone}/clusters/old")).await["nodePools"][0]["name"],
        "default-pool"
    );
    let regional = expect![
        "400 INVALID_ARGUMENT 'zone' field cannot be used to access GKE regional clusters. Use 'name' or 'parent' fields instead."
    ];
    gcp.refused(
        "GET",
        "/v1/projects/paymesh-hub/zones/us-central1/clusters/old",
        Value::Null,
        regional,
    )
    .await;
}

#[tokio::test]
async fn a_service_account_signs_its_own_tokens_and_works_once_its_roles_count() {
    let gcp = Gcp::by_the_clock().await;
    gcp.bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    let accounts = "/v1/projects/paymesh-hub/serviceAccounts";
    let (_, account) = gcp
        .ask("POST", accounts, json!({ "accountId": "ci-robot" }))
        .await;
    let email = account["email"].as_str().unwrap().to_owned();
    let (status, key) = gcp
        .ask("POST", &format!("{accounts}/{email}/keys"), json!({}))
        .await;
    assert_eq!(
        (status, &key["keyAlgorithm"]),
        (200, &json!("KEY_ALG_RSA_2048"))
    );
    let (_, mut policy) = gcp
        .ask("POST", "/v1/projects/paymesh-hub:getIamPolicy", json!({}))
        .await;
    let binding =
        json!({ "role": "roles/container.viewer", "members": [format!("serviceAccount:{email}")] });
    policy["bindings"].as_array_mut().unwrap().push(binding);
    let policy = json!({ "policy": policy });
    gcp.refused("POST", "/v1/projects/paymesh-hub:setIamPolicy", policy.clone(), expect!["400 INVALID_ARGUMENT Service account ci-robot@paymesh-hub.iam.gserviceaccount.com does not exist."]).await;
    gcp.bed
        .control(
            "POST",
            "clock",
            json!({ "freeze": true, "step_seconds": 10 }),
        )
        .await;
    let (status, set) = gcp
        .ask(
            "POST",
            "/v1/projects/paymesh-hub:setIamPolicy",
            policy.clone(),
        )
        .await;
    assert_eq!(status, 200, "{set}");
    gcp.refused("POST", "/v1/projects/paymesh-hub:setIamPolicy", policy, expect!["409 ABORTED There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."]).await;
}

const POLICY: &str = "/v1/projects/paymesh-hub";

/// The bindings of the project's policy that name `words`, with the etag they came with.
async fn bindings_of(gcp: &Gcp, version: u32, words: &str) -> Vec<Value> {
    let body = json!({ "options": { "requestedPolicyVersion": version } });
    let (_, policy) = gcp
        .ask("POST", &format!("{POLICY}:getIamPolicy"), body)
        .await;
    let list = policy["bindings"].as_array().into_iter().flatten();
    list.filter(|binding| binding.to_string().contains(words))
        .cloned()
        .collect()
}

/// Adds `binding` to the project's policy.
async fn bind(gcp: &Gcp, binding: Value) {
    let body = json!({ "options": { "requestedPolicyVersion": 3 } });
    let (_, mut policy) = gcp
        .ask("POST", &format!("{POLICY}:getIamPolicy"), body)
        .await;
    policy["version"] = json!(3);
    policy["bindings"].as_array_mut().unwrap().push(binding);
    let (status, set) = gcp
        .ask(
            "POST",
            &format!("{POLICY}:setIamPolicy"),
            json!({ "policy": policy }),
        )
        .await;
    assert_eq!(status, 200, "{set}");
}

#[tokio::test]
async fn a_stale_policy_lacks_what_was_bound_since_and_nothing_is_written_under_its_etag() {
    let gcp = Gcp::start().await;
    // The first read is the binding's own.
    let rule = json!({ "path": "*:getIamPolicy", "nth": 2, "action": { "kind": "stale" } });
    gcp.bed.control("POST", "faults", rule).await;
    let member = "user:somebody@paymesh.example";
    bind(
        &gcp,
        json!({ "role": "roles/container.viewer", "members": [member] }),
    )
    .await;
    let body = json!({ "options": { "requestedPolicyVersion": 3 } });
    let (_, stale) = gcp
        .ask("POST", &format!("{POLICY}:getIamPolicy"), body)
        .await;
    assert!(!stale.to_string().contains(member), "{stale}");
    gcp.refused("POST", &format!("{POLICY}:setIamPolicy"), json!({ "policy": stale }), expect!["409 ABORTED There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."]).await;
    assert_eq!(bindings_of(&gcp, 3, member).await.len(), 1);
}

#[tokio::test]
async fn a_policy_has_a_new_etag_after_a_write_that_changes_nothing_of_it() {
    let gcp = Gcp::start().await;
    let body = json!({ "options": { "requestedPolicyVersion": 3 } });
    let (_, policy) = gcp
        .ask("POST", &format!("{POLICY}:getIamPolicy"), body)
        .await;
    let path = format!("{POLICY}:setIamPolicy");
    let same = json!({ "policy": policy });
    let (status, set) = gcp.ask("POST", &path, same.clone()).await;
    assert_eq!(status, 200, "{set}");
    assert_eq!(set["bindings"], policy["bindings"]);
    assert_ne!(set["etag"], policy["etag"]);
    gcp.refused("POST", &path, same, expect!["409 ABORTED There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."]).await;
}

async fn pass(gcp: &Gcp, seconds: u32) {
    let clock = json!({ "freeze": true, "step_seconds": seconds });
    gcp.bed.control("POST", "clock", clock).await;
}

#[tokio::test]
async fn a_role_on_one_cluster_opens_that_cluster_alone() {
    let gcp = Gcp::start().await;
    gcp.cluster().await;
    let condition =
        json!({ "title": "one", "expression": format!("resource.name == \"{}\"", &PAY[4..]) });
    bind(
        &gcp,
        json!({ "role": "roles/container.admin", "condition": condition,
            "members": ["user:auditor@paymesh.example"] }),
    )
    .await;
    pass(&gcp, 60).await;
    gcp.sign_in("google_auditor_credentials_file").await;
    let labels = gcp.read(PAY).await["labelFingerprint"].clone();
    let (status, _) = gcp
        .ask(
            "POST",
            &format!("{PAY}:setResourceLabels"),
            json!({ "labelFingerprint": labels, "resourceLabels": { "a": "b" } }),
        )
        .await;
    assert_eq!(status, 200);
    gcp.refused(
        "POST",
        &format!("{REGION}/clusters"),
        pay(&json!({ "name": "other" })),
        expect![[r#"403 PERMISSION_DENIED Required "container.clusters.create" permission(s) for "projects/paymesh-hub"."#]],
    )
    .await;
}

#[tokio::test]
async fn who_does_not_know_conditions_is_shown_none_and_cannot_write_them_away() {
    let gcp = Gcp::start().await;
    let binding = json!({ "role": "roles/container.admin", "members": ["group:pay@paymesh.example"],
        "condition": { "title": "one", "expression": format!("resource.name == \"{}\"", &PAY[4..]) } });
    bind(&gcp, binding.clone()).await;
    assert_eq!(
        bindings_of(&gcp, 3, "group:pay").await,
        std::slice::from_ref(&binding)
    );
    let old = bindings_of(&gcp, 1, "group:pay").await;
    assert!(old[0].get("condition").is_none(), "{old:?}");
    assert!(old[0]["role"].as_str().unwrap().contains("_withcond_"));
    let path = format!("{POLICY}:setIamPolicy");
    gcp.refused(
        "POST",
        &path,
        json!({ "policy": { "version": 1, "bindings": [binding] } }),
        expect!["400 INVALID_ARGUMENT Specified policy version (1) cannot be set on a policy with conditional role bindings. Policy version must be 3 or greater."],
    )
    .await;
    gcp.refused(
        "POST",
        &path,
        json!({ "policy": { "version": 3, "bindings": [{ "role": "roles/container.admin", "members": ["group:no@nowhere.example"] }] } }),
        expect!["400 INVALID_ARGUMENT Group no@nowhere.example does not exist."],
    )
    .await;
}

#[tokio::test]
async fn an_account_made_anew_has_none_of_the_old_ones_roles_and_one_taken_back_has_all() {
    let gcp = Gcp::by_the_clock().await;
    pass(&gcp, 0).await;
    let accounts = "/v1/projects/paymesh-hub/serviceAccounts";
    let email = "robot-1@paymesh-hub.iam.gserviceaccount.com";
    let member = format!("serviceAccount:{email}");
    let (_, first) = gcp
        .ask("POST", accounts, json!({ "accountId": "robot-1" }))
        .await;
    assert_eq!(first["email"], email);
    // Not yet shown where it was made.
    let (status, _) = gcp
        .ask("GET", &format!("{accounts}/{email}"), Value::Null)
        .await;
    assert_eq!(status, 404);
    pass(&gcp, 10).await;
    bind(
        &gcp,
        json!({ "role": "roles/container.viewer", "members": [member] }),
    )
    .await;
    let unique = first["uniqueId"].as_str().unwrap();
    gcp.ask("DELETE", &format!("{accounts}/{email}"), Value::Null)
        .await;
    let members = |bindings: Vec<Value>| bindings[0]["members"].clone();
    assert_eq!(
        members(bindings_of(&gcp, 3, "robot-1").await),
        json!([format!("deleted:{member}?uid={unique}")])
    );
    let (status, restored) = gcp
        .ask("POST", &format!("{accounts}/{unique}:undelete"), json!({}))
        .await;
    assert_eq!(status, 200, "{restored}");
    assert_eq!(
        members(bindings_of(&gcp, 3, "robot-1").await),
        json!([member])
    );
    gcp.ask("DELETE", &format!("{accounts}/{email}"), Value::Null)
        .await;
    pass(&gcp, 1).await;
    let (status, second) = gcp
        .ask("POST", accounts, json!({ "accountId": "robot-1" }))
        .await;
    assert_eq!(status, 200, "{second}");
    assert_ne!(second["uniqueId"], first["uniqueId"]);
    assert!(
        bindings_of(&gcp, 3, "\"serviceAccount:robot-1")
            .await
            .is_empty()
    );
    gcp.refused(
        "POST",
        &format!("{accounts}/{unique}:undelete"),
        json!({}),
        expect!["400 FAILED_PRECONDITION A service account with the email robot-1@paymesh-hub.iam.gserviceaccount.com already exists."],
    )
    .await;
}

#[tokio::test]
async fn nodes_without_their_role_and_pulls_without_theirs_show() {
    let gcp = Gcp::start().await;
    let accounts = "/v1/projects/paymesh-hub/serviceAccounts";
    gcp.ask("POST", accounts, json!({ "accountId": "nodes-1" }))
        .await;
    pass(&gcp, 10).await;
    let email = "nodes-1@paymesh-hub.iam.gserviceaccount.com";
    let nodes = json!([{ "name": "system", "initialNodeCount": 1,
        "config": { "machineType": "n2-standard-4", "serviceAccount": email } }]);
    gcp.done(
        "POST",
        &format!("{REGION}/clusters"),
        pay(&json!({ "nodePools": nodes })),
    )
    .await;
    assert_eq!(
        gcp.read(PAY).await["conditions"][0]["code"],
        "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS"
    );
    let member = format!("serviceAccount:{email}");
    bind(
        &gcp,
        json!({ "role": "roles/container.defaultNodeServiceAccount", "members": [member] }),
    )
    .await;
    pass(&gcp, 60).await;
    assert_eq!(gcp.read(PAY).await.get("conditions"), None);

    let images = format!("{REGION}/repositories/images");
    let mut policy = gcp
        .read(&format!(
            "{images}:getIamPolicy?options.requestedPolicyVersion=3"
        ))
        .await;
    policy["bindings"] = json!([{ "role": "roles/artifactregistry.reader", "members": [member] }]);
    let body = json!({ "policy": policy });
    let path = format!("{images}:setIamPolicy");
    let (status, set) = gcp.ask("POST", &path, body.clone()).await;
    assert_eq!((status, &set["bindings"]), (200, &policy["bindings"]));
    gcp.refused("POST", &path, body, expect!["409 ABORTED There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."]).await;
    gcp.refused(
        "GET",
        &format!("{REGION}/repositories/none:getIamPolicy"),
        Value::Null,
        expect!["404 NOT_FOUND Requested entity was not found."],
    )
    .await;
}
