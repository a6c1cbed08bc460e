//! Bad configurations, each refused at its attribute.

use paymesh_plugin::{findings::Findings, spec::Attributes, value::Value};

use super::super::spec::ClusterSpec;

fn aks() -> serde_json::Value {
    serde_json::json!({
        "name": "pay", "region": "westeurope", "kubernetes_version": "1.34", "azure": {},
        "node_pools": {
            "system": {"mode": "system", "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 5},
            "work": {"vcpu": 8, "memory_gb": 32, "min_nodes": 3, "max_nodes": 30}
        }
    })
}

fn gke() -> serde_json::Value {
    serde_json::json!({
        "name": "pay", "region": "europe-west1", "kubernetes_version": "1.34", "google": {},
        "network": {
            "subnet_id": "projects/acme-pay/regions/europe-west1/subnetworks/spoke",
            "pods_range": "pods", "services_range": "services"
        },
        "node_pools": {
            "system": {"mode": "system", "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 5},
            "work": {"vcpu": 8, "memory_gb": 32, "min_nodes": 3, "max_nodes": 30}
        }
    })
}

pub(crate) fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(bool) => (*bool).into(),
        serde_json::Value::Number(number) => number.as_i64().unwrap().into(),
        serde_json::Value::String(text) if text == "<unknown>" => Value::Unknown,
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(elements) => Value::list(elements.iter().map(value)),
        serde_json::Value::Object(entries) => Value::map(
            entries
                .iter()
                .map(|(key, element)| (key.clone(), value(element))),
        ),
    }
}

/// Sets what is at the JSON pointer `at`, making the objects on the way.
fn set(config: &mut serde_json::Value, at: &str, to: serde_json::Value) {
    let mut place = config;
    for part in at.split('/').skip(1) {
        let part = part.replace("~1", "/");
        if place.is_null() {
            *place = serde_json::json!({});
        }
        place = &mut place[part];
    }
    *place = to;
}

fn findings(config: &serde_json::Value) -> Findings {
    let mut found = Findings::new();
    ClusterSpec::read(&value(config), &mut found);
    found
}

struct Bad {
    refused_at: &'static str,
    code: u16,
    base: fn() -> serde_json::Value,
    changes: &'static [(&'static str, &'static str)],
}

const fn bad(
    refused_at: &'static str,
    code: u16,
    base: fn() -> serde_json::Value,
    changes: &'static [(&'static str, &'static str)],
) -> Bad {
    Bad {
        refused_at,
        code,
        base,
        changes,
    }
}

const IDENTITY: &str = r#""/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i""#;

/// Attribute, rule, and the changes (as JSON) that break it in a good configuration.
const BAD: &[Bad] = &[
    bad("name", 5, aks, &[("/name", r#""Pay""#)]),
    bad("region", 20, aks, &[("/region", r#""West Europe""#)]),
    bad("region", 5, aks, &[("/region", r#""""#)]),
    bad("role", 4, aks, &[("/role", r#""spare""#)]),
    bad("profile", 4, aks, &[("/profile", r#""cheap""#)]),
    bad("power", 4, aks, &[("/power", r#""sleep""#)]),
    bad(
        "upgrade_channel",
        4,
        aks,
        &[("/upgrade_channel", r#""fast""#)],
    ),
    bad(
        "node_image_channel",
        4,
        aks,
        &[("/node_image_channel", r#""weekly""#)],
    ),
    bad(
        "kubernetes_version",
        21,
        aks,
        &[("/kubernetes_version", r#""latest""#)],
    ),
    bad(
        "kubernetes_version",
        22,
        aks,
        &[("/kubernetes_version", r#""1.34.2-gke.1""#)],
    ),
    bad(
        "standby",
        23,
        aks,
        &[("/standby", "true"), ("/role", r#""hub""#)],
    ),
    bad(
        "power",
        24,
        aks,
        &[("/standby", "true"), ("/power", r#""off""#)],
    ),
    bad(
        "upgrade_channel",
        25,
        gke,
        &[("/upgrade_channel", r#""patch""#)],
    ),
    bad(
        "upgrade_channel",
        26,
        aks,
        &[("/upgrade_channel", r#""regular""#)],
    ),
    bad(
        "node_image_channel",
        27,
        gke,
        &[("/node_image_channel", r#""none""#)],
    ),
    bad(
        "features.dataplane_metrics",
        28,
        aks,
        &[
            ("/features/cilium", "false"),
            ("/features/dataplane_metrics", "true"),
        ],
    ),
    bad(
        "features.gateway_api",
        29,
        aks,
        &[("/features/gateway_api", "true")],
    ),
    bad(
        "deployer_admin",
        30,
        aks,
        &[("/deployer_admin", "false"), ("/role", r#""hub""#)],
    ),
    bad(
        "labels[\"paymesh-owner\"]",
        32,
        aks,
        &[("/labels/paymesh-owner", r#""me""#)],
    ),
    bad(
        "labels[\"Team\"]",
        33,
        gke,
        &[("/labels/Team", r#""payments""#)],
    ),
    bad("labels[\"a?b\"]", 34, aks, &[("/labels/a?b", r#""c""#)]),
    bad("kms_key_id", 35, aks, &[("/kms_key_id", r#""my-key""#)]),
    bad("kms_key_id", 36, gke, &[("/kms_key_id", r#""my-key""#)]),
    bad(
        "kms_key_id",
        37,
        gke,
        &[(
            "/kms_key_id",
            r#""projects/p/locations/us-east1/keyRings/r/cryptoKeys/k""#,
        )],
    ),
    bad("logs", 38, gke, &[("/logs", "{}")]),
    bad("deployer_admin", 170, gke, &[("/deployer_admin", "false")]),
    bad(
        "upgrade_channel",
        171,
        gke,
        &[("/upgrade_channel", r#""none""#)],
    ),
    bad(
        "maintenance.window.hours",
        172,
        gke,
        &[(
            "/maintenance/window",
            r#"{"day": "sunday", "start": "22:00", "hours": 11}"#,
        )],
    ),
    bad(
        "logs.workspace_id",
        39,
        aks,
        &[("/logs/workspace_id", r#""w""#)],
    ),
    bad(
        "network.subnet_id",
        40,
        aks,
        &[("/network/subnet_id", r#""spoke""#)],
    ),
    bad(
        "network.pods_range",
        41,
        aks,
        &[("/network/pods_range", r#""pods""#)],
    ),
    bad(
        "azure.services_cidr",
        42,
        aks,
        &[("/azure/services_cidr", r#""10.244.8.0/21""#)],
    ),
    bad(
        "azure.services_cidr",
        43,
        aks,
        &[("/azure/services_cidr", r#""10.0.0.0/30""#)],
    ),
    bad(
        "azure.pods_cidr",
        44,
        aks,
        &[("/azure/pods_cidr", r#""10.244.0.0/24""#)],
    ),
    bad(
        "azure.subscription_id",
        45,
        aks,
        &[("/azure/subscription_id", r#""prod""#)],
    ),
    bad(
        "azure.resource_group",
        46,
        aks,
        &[("/azure/resource_group", r#""group.""#)],
    ),
    bad("network", 47, gke, &[("/network", "null")]),
    bad(
        "network.subnet_id",
        48,
        gke,
        &[("/network/subnet_id", r#""spoke""#)],
    ),
    bad(
        "network.subnet_id",
        49,
        gke,
        &[(
            "/network/subnet_id",
            r#""projects/acme-pay/regions/us-east1/subnetworks/s""#,
        )],
    ),
    bad(
        "network.services_range",
        50,
        gke,
        &[("/network/services_range", "null")],
    ),
    bad(
        "network.services_range",
        51,
        gke,
        &[("/network/services_range", r#""pods""#)],
    ),
    bad(
        "google.project",
        52,
        gke,
        &[("/google/project", r#""My Project""#)],
    ),
    bad(
        "google.control_plane_cidr",
        53,
        gke,
        &[("/google/control_plane_cidr", r#""172.16.0.0/24""#)],
    ),
    bad(
        "azure.pods_cidr",
        54,
        aks,
        &[("/azure/pods_cidr", r#""10.244.0.1/16""#)],
    ),
    bad(
        "azure.pods_cidr",
        55,
        aks,
        &[("/azure/pods_cidr", r#""8.0.0.0/16""#)],
    ),
    bad(
        "admins[0].entra_object_id",
        56,
        aks,
        &[("/admins", r#"[{"google_email": "a@b.c"}]"#)],
    ),
    bad(
        "admins[1].google_email",
        57,
        gke,
        &[(
            "/admins",
            r#"[{"google_email": "a@b.c"}, {"google_email": "A@b.c"}]"#,
        )],
    ),
    bad(
        "admins[0].entra_object_id",
        58,
        aks,
        &[("/admins", r#"[{"entra_object_id": "platform"}]"#)],
    ),
    bad(
        "admins[0].google_email",
        59,
        gke,
        &[("/admins", r#"[{"google_email": "platform"}]"#)],
    ),
    bad(
        "admins[0].kind",
        60,
        gke,
        &[(
            "/admins",
            r#"[{"google_email": "a@b.c", "kind": "service_principal"}]"#,
        )],
    ),
    bad(
        "admins[0].kind",
        4,
        gke,
        &[("/admins", r#"[{"google_email": "a@b.c", "kind": "robot"}]"#)],
    ),
    bad(
        "azure.control_plane_identity_id",
        61,
        aks,
        &[("/azure/control_plane_identity_id", r#""id""#)],
    ),
    bad(
        "azure.kubelet_identity_id",
        62,
        aks,
        &[(
            "/azure/kubelet_identity_id",
            r#""/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i""#,
        )],
    ),
    bad(
        "google.node_service_account",
        63,
        gke,
        &[("/google/node_service_account", r#""nodes@acme.example""#)],
    ),
    bad(
        "registries[0]",
        64,
        aks,
        &[("/registries", r#"["acme.azurecr.io"]"#)],
    ),
    bad(
        "registries",
        65,
        gke,
        &[
            (
                "/registries",
                r#"["projects/p/locations/l/repositories/r"]"#,
            ),
            (
                "/google/node_service_account",
                r#""n@p.iam.gserviceaccount.com""#,
            ),
        ],
    ),
    bad(
        "api_access.authorized_cidrs",
        66,
        aks,
        &[("/api_access/authorized_cidrs", "[]")],
    ),
    bad(
        "api_access.authorized_cidrs[0]",
        68,
        aks,
        &[("/api_access/authorized_cidrs", r#"["203.0.113.7"]"#)],
    ),
    bad(
        "api_access.authorized_cidrs[0]",
        69,
        aks,
        &[("/api_access/authorized_cidrs", r#"["0.0.0.0/0"]"#)],
    ),
    bad(
        "api_access.authorized_cidrs[1]",
        70,
        aks,
        &[(
            "/api_access/authorized_cidrs",
            r#"["203.0.113.0/24", "203.0.113.7/32"]"#,
        )],
    ),
    bad(
        "maintenance.window.start",
        71,
        aks,
        &[(
            "/maintenance/window",
            r#"{"day": "sunday", "start": "10pm"}"#,
        )],
    ),
    bad(
        "maintenance.window.day",
        4,
        aks,
        &[("/maintenance/window", r#"{"day": "Sun", "start": "22:00"}"#)],
    ),
    bad(
        "maintenance.window.hours",
        5,
        aks,
        &[(
            "/maintenance/window",
            r#"{"day": "sunday", "start": "22:00", "hours": 2}"#,
        )],
    ),
    bad(
        "maintenance.exclusions[\"xmas\"].first_day",
        73,
        aks,
        &[(
            "/maintenance/exclusions/xmas",
            r#"{"first_day": "24 Dec", "last_day": "2026-12-27"}"#,
        )],
    ),
    bad(
        "maintenance.exclusions[\"xmas\"].last_day",
        74,
        aks,
        &[(
            "/maintenance/exclusions/xmas",
            r#"{"first_day": "2026-12-24", "last_day": "2026-12-01"}"#,
        )],
    ),
    bad(
        "maintenance.exclusions[\"year\"].last_day",
        75,
        gke,
        &[(
            "/maintenance/exclusions/year",
            r#"{"first_day": "2026-01-01", "last_day": "2026-12-01"}"#,
        )],
    ),
    bad("node_pools", 76, aks, &[("/node_pools", "{}")]),
    bad(
        "node_pools",
        77,
        aks,
        &[("/node_pools/system/mode", r#""user""#)],
    ),
    bad(
        "node_pools[\"card-payments\"]",
        79,
        aks,
        &[(
            "/node_pools/card-payments",
            r#"{"vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 5}"#,
        )],
    ),
    bad(
        "node_pools[\"Card\"]",
        80,
        gke,
        &[(
            "/node_pools/Card",
            r#"{"vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 5}"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].vcpu",
        81,
        aks,
        &[("/node_pools/work/machine_type", r#""Standard_D8s_v5""#)],
    ),
    bad(
        "node_pools[\"work\"].memory_gb",
        82,
        aks,
        &[("/node_pools/work/memory_gb", "null")],
    ),
    bad(
        "node_pools[\"work\"].memory_gb",
        83,
        aks,
        &[
            ("/node_pools/work/vcpu", "64"),
            ("/node_pools/work/memory_gb", "513"),
        ],
    ),
    bad(
        "node_pools[\"work\"].machine_type",
        84,
        gke,
        &[(
            "/node_pools/work",
            r#"{"machine_type": "Standard_D8s_v5", "min_nodes": 3, "max_nodes": 9}"#,
        )],
    ),
    bad(
        "node_pools[\"system\"].machine_type",
        85,
        gke,
        &[(
            "/node_pools/system",
            r#"{"mode": "system", "machine_type": "n2-highcpu-2", "min_nodes": 3, "max_nodes": 9}"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].max_nodes",
        86,
        aks,
        &[("/node_pools/work/max_nodes", "1")],
    ),
    bad(
        "node_pools[\"work\"].max_nodes",
        87,
        aks,
        &[
            ("/node_pools/work/min_nodes", "0"),
            ("/node_pools/work/max_nodes", "0"),
        ],
    ),
    bad(
        "node_pools[\"work\"].min_nodes",
        88,
        gke,
        &[
            (
                "/node_pools/work/zones",
                r#"["europe-west1-b", "europe-west1-c"]"#,
            ),
            ("/node_pools/work/max_nodes", "3"),
        ],
    ),
    bad(
        "node_pools[\"work\"].zones[1]",
        89,
        aks,
        &[("/node_pools/work/zones", r#"["1", "1"]"#)],
    ),
    bad(
        "node_pools[\"work\"].zones[0]",
        90,
        aks,
        &[("/node_pools/work/zones", r#"["westeurope-1"]"#)],
    ),
    bad(
        "node_pools[\"work\"].zones[0]",
        91,
        gke,
        &[("/node_pools/work/zones", r#"["us-east1-b"]"#)],
    ),
    bad(
        "node_pools[\"system\"].zones",
        92,
        aks,
        &[("/node_pools/system/zones", r#"["1"]"#)],
    ),
    bad(
        "node_pools[\"work\"].disk_type",
        93,
        gke,
        &[("/node_pools/work/disk_type", r#""ephemeral""#)],
    ),
    bad(
        "node_pools[\"work\"].disk_type",
        4,
        gke,
        &[("/node_pools/work/disk_type", r#""tape""#)],
    ),
    bad(
        "node_pools[\"work\"].disk_gb",
        5,
        aks,
        &[("/node_pools/work/disk_gb", "8")],
    ),
    bad(
        "node_pools[\"work\"].max_pods",
        5,
        aks,
        &[("/node_pools/work/max_pods", "500")],
    ),
    bad(
        "node_pools[\"work\"].surge",
        5,
        aks,
        &[("/node_pools/work/surge", "0")],
    ),
    bad(
        "node_pools[\"work\"].mode",
        4,
        aks,
        &[("/node_pools/work/mode", r#""gateway""#)],
    ),
    bad(
        "node_pools[\"system\"].min_nodes",
        94,
        aks,
        &[("/node_pools/system/min_nodes", "0")],
    ),
    bad(
        "node_pools[\"system\"].spot",
        95,
        aks,
        &[("/node_pools/system/spot", "true")],
    ),
    bad(
        "node_pools[\"system\"].max_pods",
        96,
        aks,
        &[("/node_pools/system/max_pods", "20")],
    ),
    bad(
        "node_pools[\"work\"].labels[\"-x\"]",
        97,
        aks,
        &[("/node_pools/work/labels/-x", r#""y""#)],
    ),
    bad(
        "node_pools[\"work\"].labels[\"kubernetes.io/os\"]",
        98,
        aks,
        &[(
            "/node_pools/work/labels",
            r#"{"kubernetes.io/os": "linux"}"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].labels[\"tier\"]",
        99,
        aks,
        &[("/node_pools/work/labels/tier", r#""a b""#)],
    ),
    bad(
        "node_pools[\"work\"].taints[0].key",
        100,
        aks,
        &[("/node_pools/work/taints", r#"[{"key": "-"}]"#)],
    ),
    bad(
        "node_pools[\"work\"].taints[0].key",
        101,
        aks,
        &[(
            "/node_pools/work/taints",
            r#"[{"key": "kubernetes.azure.com/scalesetpriority", "value": "spot"}]"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].taints[0].value",
        102,
        aks,
        &[(
            "/node_pools/work/taints",
            r#"[{"key": "a", "value": "b c"}]"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].taints[0].effect",
        4,
        aks,
        &[(
            "/node_pools/work/taints",
            r#"[{"key": "a", "effect": "evict"}]"#,
        )],
    ),
    bad(
        "node_pools[\"work\"].taints[1].effect",
        103,
        aks,
        &[("/node_pools/work/taints", r#"[{"key": "a"}, {"key": "a"}]"#)],
    ),
    bad(
        "node_pools[\"system\"].taints[0].key",
        104,
        aks,
        &[("/node_pools/system/taints", r#"[{"key": "payments"}]"#)],
    ),
    bad(
        "node_pools[\"work\"].disk_type",
        160,
        aks,
        &[("/node_pools/work/disk_type", r#""ssd""#)],
    ),
    bad(
        "node_pools[\"work\"].surge",
        161,
        aks,
        &[
            ("/node_pools/work/spot", "true"),
            ("/node_pools/work/surge", "2"),
        ],
    ),
    bad(
        "maintenance.exclusions",
        162,
        aks,
        &[(
            "/maintenance/exclusions/freeze",
            r#"{"first_day": "2026-11-20", "last_day": "2026-12-02"}"#,
        )],
    ),
    bad(
        "kms_key_id",
        163,
        aks,
        &[(
            "/kms_key_id",
            r#""https://pay.vault.azure.net/keys/etcd/0123""#,
        )],
    ),
    bad(
        "admins[0].kind",
        164,
        aks,
        &[
            ("/azure/control_plane_identity_id", IDENTITY),
            (
                "/admins",
                r#"[{"kind": "user", "entra_object_id": "2e4b63df-1d4c-4e1c-9b87-107a3b2cad22"}]"#,
            ),
        ],
    ),
    bad(
        "timeouts.create",
        5,
        aks,
        &[("/timeouts/create", r#""soon""#)],
    ),
];

#[test]
fn good_configurations_are_accepted() {
    for config in [aks(), gke()] {
        assert_eq!(findings(&config).to_string(), "");
    }
}

#[test]
fn each_bad_configuration_is_refused_at_its_attribute() {
    let mut wrong = Vec::new();
    for Bad {
        refused_at,
        code,
        base,
        changes,
    } in BAD
    {
        let mut config = base();
        for (at, to) in *changes {
            set(&mut config, at, serde_json::from_str(to).unwrap());
        }
        let found = findings(&config);
        let hit = found.iter().any(|finding| {
            finding.path.to_string() == *refused_at
                && finding.code.is_some_and(|given| given.0 == *code)
                && !finding.next_step.is_empty()
        });
        if !hit {
            wrong.push(format!("{refused_at} {code} {changes:?}:\n{found}"));
        }
    }
    assert_eq!(wrong.join("\n"), "");
}

#[test]
fn there_are_as_many_rules_as_promised() {
    let distinct: std::collections::BTreeSet<_> =
        BAD.iter().map(|bad| (bad.refused_at, bad.code)).collect();
    assert!(distinct.len() >= 60, "{}", distinct.len());
    assert!(BAD.iter().filter(|bad| bad.changes.len() > 1).count() >= 8);
}

#[test]
fn nothing_is_refused_while_it_is_unknown() {
    for base in [aks(), gke()] {
        for at in [
            "/region",
            "/kubernetes_version",
            "/node_pools",
            "/network",
            "/admins",
        ] {
            let mut config = base.clone();
            set(&mut config, at, "<unknown>".into());
            assert_eq!(findings(&config).to_string(), "", "{at}");
        }
    }
}
