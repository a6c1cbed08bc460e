//! The settings of a cluster that can be changed in place: where each is read, and the one field
//! of `ClusterUpdate` that writes it. GKE takes one field per request (container v1,
//! `ClusterUpdate`). Creation writes the same values at the same places.

use serde_json::{Value, json};

use super::{Access, ClusterWant, Encryption};
use crate::{Word, json::agrees};

/// What is logged; of the control plane too, as CIS GKE 5.7.1 asks.
const LOGS: [&str; 5] = [
    "SYSTEM_COMPONENTS",
    "WORKLOADS",
    "APISERVER",
    "SCHEDULER",
    "CONTROLLER_MANAGER",
];

/// One setting.
pub(super) struct Setting {
    /// What it is.
    pub(super) word: Word,
    /// Where it stands in the cluster (RFC 6901).
    pub(super) pointer: &'static str,
    /// What shall stand there.
    pub(super) value: Value,
    /// The field of `ClusterUpdate`.
    pub(super) field: &'static str,
    /// What that field takes.
    pub(super) update: Value,
    /// What it means when nothing stands there.
    unset: Value,
    /// The place whose other fields the update has to repeat, and its own field there.
    within: Option<(&'static str, &'static str)>,
}

impl Setting {
    /// A setting whose update takes just what stands in the cluster.
    fn plain(word: Word, pointer: &'static str, field: &'static str, value: Value) -> Self {
        Self {
            word,
            pointer,
            update: value.clone(),
            value,
            field,
            unset: Value::Null,
            within: None,
        }
    }

    /// Whether the cluster `body` is as this setting wants it.
    pub(super) fn holds(&self, body: &Value) -> bool {
        agrees(
            &self.value,
            body.pointer(self.pointer).or(Some(&self.unset)),
        )
    }
}

/// All settings of `want`, in the order in which they are written.
pub(super) fn settings(want: &ClusterWant) -> Vec<Setting> {
    let features = want.features;
    let on = |enabled: bool| json!({ "enabled": enabled });
    let mut settings = vec![
        Setting::plain(
            Word::ReleaseChannel,
            "/releaseChannel",
            "desiredReleaseChannel",
            json!({ "channel": want.channel.as_str() }),
        ),
        Setting::plain(
            Word::PrivateNodes,
            "/networkConfig/defaultEnablePrivateNodes",
            "desiredDefaultEnablePrivateNodes",
            json!(true),
        ),
        Setting::plain(
            Word::ShieldedNodes,
            "/shieldedNodes",
            "desiredShieldedNodes",
            on(true),
        ),
        Setting::plain(
            Word::IntraNodeVisibility,
            "/networkConfig/enableIntraNodeVisibility",
            "desiredIntraNodeVisibilityConfig",
            json!(true),
        )
        .updating(on(true)),
        // CIS GKE 4.1.8 to 4.1.10: nobody binds a role to everybody.
        Setting::plain(
            Word::RolesOfEverybody,
            "/rbacBindingConfig",
            "desiredRbacBindingConfig",
            json!({
                "enableInsecureBindingSystemUnauthenticated": false,
                "enableInsecureBindingSystemAuthenticated": false,
            }),
        ),
        Setting::plain(
            Word::SecurityPosture,
            "/securityPostureConfig",
            "desiredSecurityPostureConfig",
            json!({ "mode": "BASIC" }),
        ),
        Setting::plain(
            Word::AutoscalingProfile,
            "/autoscaling/autoscalingProfile",
            "desiredClusterAutoscaling",
            json!(want.autoscaling_profile),
        )
        .within("/autoscaling", "autoscalingProfile"),
        Setting::plain(
            Word::DnsCache,
            "/addonsConfig/dnsCacheConfig",
            "desiredAddonsConfig",
            on(features.dns_cache),
        )
        .updating(json!({ "dnsCacheConfig": on(features.dns_cache) })),
        Setting::plain(
            Word::CostAllocation,
            "/costManagementConfig",
            "desiredCostManagementConfig",
            on(features.cost_allocation),
        ),
        Setting::plain(
            Word::VerticalPodAutoscaling,
            "/verticalPodAutoscaling",
            "desiredVerticalPodAutoscaling",
            on(features.vertical_pod_autoscaling),
        ),
        gateway(features.gateway_api),
        Setting::plain(
            Word::Logs,
            "/loggingConfig",
            "desiredLoggingConfig",
            json!({ "componentConfig": { "enableComponents": LOGS } }),
        ),
        Setting::plain(
            Word::DataplaneMetrics,
            "/monitoringConfig/advancedDatapathObservabilityConfig",
            "desiredMonitoringConfig",
            json!({ "enableMetrics": features.dataplane_metrics }),
        )
        .updating(json!({
            "advancedDatapathObservabilityConfig": { "enableMetrics": features.dataplane_metrics },
        })),
        access(&want.access),
        workload_identity(want),
    ];
    settings.extend(encryption(&want.encryption));
    settings
}

/// The request that makes `update` (a `ClusterUpdate`), unless another changed the cluster after it
/// was read as `body`: then GKE answers ABORTED.
pub(super) fn under_etag(mut update: Value, body: &Value) -> Value {
    if let Some(etag) = body.get("etag") {
        update["etag"] = etag.clone();
    }
    json!({ "update": update })
}

impl Setting {
    fn updating(self, update: Value) -> Self {
        Self { update, ..self }
    }

    fn within(self, place: &'static str, field: &'static str) -> Self {
        Self {
            within: Some((place, field)),
            ..self
        }
    }

    /// The `ClusterUpdate` that makes the cluster `body` as this setting wants it.
    pub(super) fn update_of(&self, body: &Value) -> Value {
        let update = match self.within {
            None => self.update.clone(),
            Some((place, field)) => {
                let whole = body.pointer(place).filter(|it| it.is_object());
                let mut whole = whole.cloned().unwrap_or_else(|| json!({}));
                whole[field] = self.update.clone();
                whole
            }
        };
        under_etag(json!({ self.field: update }), body)
    }
}

/// The pool of identities that pods act as. An empty one switches it off.
fn workload_identity(want: &ClusterWant) -> Setting {
    let pool = if want.features.workload_identity {
        format!("{}.svc.id.goog", want.name.place.project)
    } else {
        String::new()
    };
    Setting::plain(
        Word::WorkloadIdentity,
        "/workloadIdentityConfig/workloadPool",
        "desiredWorkloadIdentityConfig",
        json!(pool),
    )
    .updating(json!({ "workloadPool": pool }))
}

fn encryption(want: &Encryption) -> Option<Setting> {
    let value = match want {
        Encryption::Key(key) => json!({ "state": "ENCRYPTED", "keyName": key }),
        Encryption::Gone => json!({ "state": "DECRYPTED" }),
        Encryption::AsItIs => return None,
    };
    Some(Setting::plain(
        Word::KmsKey,
        "/databaseEncryption",
        "desiredDatabaseEncryption",
        value,
    ))
}

fn gateway(on: bool) -> Setting {
    let channel = |name: &str| json!({ "channel": name });
    let wanted = if on {
        "CHANNEL_STANDARD"
    } else {
        "CHANNEL_DISABLED"
    };
    let setting = Setting::plain(
        Word::GatewayApi,
        "/networkConfig/gatewayApiConfig",
        "desiredGatewayApiConfig",
        channel(wanted),
    );
    Setting {
        unset: channel("CHANNEL_DISABLED"),
        ..setting
    }
}

fn access(access: &Access) -> Setting {
    let mut networks = match access {
        Access::Private => json!({ "enabled": false }),
        Access::AuthorizedCidrs(cidrs) => {
            let blocks: Vec<Value> = cidrs
                .iter()
                .map(|cidr| json!({ "cidrBlock": cidr }))
                .collect();
            json!({ "enabled": true, "cidrBlocks": blocks })
        }
    };
    // Otherwise every machine of Google's customers is authorized too.
    networks["gcpPublicCidrsAccessEnabled"] = json!(false);
    Setting::plain(
        Word::ApiAccess,
        "/controlPlaneEndpointsConfig",
        "desiredControlPlaneEndpointsConfig",
        json!({
            "dnsEndpointConfig": { "allowExternalTraffic": true },
            "ipEndpointsConfig": {
                "enabled": true,
                "enablePublicEndpoint": *access != Access::Private,
                "authorizedNetworksConfig": networks,
            },
        }),
    )
}
