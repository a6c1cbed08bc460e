//! The settings of a cluster that can be changed in place: where each is read, and the one field
//! of `ClusterUpdate` that writes it. GKE takes one field per request (container v1,
//! `ClusterUpdate`). Creation writes the same values at the same places.

use serde_json::{Value, json};

use super::{Access, ClusterWant};
use crate::json::agrees;

/// One setting.
pub(super) struct Setting {
    /// The attribute it stems from, as a user of the cloud knows it.
    pub(super) attribute: &'static str,
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
}

impl Setting {
    /// A setting whose update takes just what stands in the cluster.
    fn plain(
        attribute: &'static str,
        pointer: &'static str,
        field: &'static str,
        value: Value,
    ) -> Self {
        Self {
            attribute,
            pointer,
            update: value.clone(),
            value,
            field,
            unset: Value::Null,
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
            "release channel",
            "/releaseChannel",
            "desiredReleaseChannel",
            json!({ "channel": want.channel.as_str() }),
        ),
        Setting::plain(
            "private nodes",
            "/networkConfig/defaultEnablePrivateNodes",
            "desiredDefaultEnablePrivateNodes",
            json!(true),
        ),
        Setting::plain(
            "shielded nodes",
            "/shieldedNodes",
            "desiredShieldedNodes",
            on(true),
        ),
        Setting::plain(
            "security posture",
            "/securityPostureConfig",
            "desiredSecurityPostureConfig",
            json!({ "mode": "BASIC" }),
        ),
        Setting::plain(
            "dns cache",
            "/addonsConfig/dnsCacheConfig",
            "desiredAddonsConfig",
            on(features.dns_cache),
        )
        .updating(json!({ "dnsCacheConfig": on(features.dns_cache) })),
        Setting::plain(
            "cost allocation",
            "/costManagementConfig",
            "desiredCostManagementConfig",
            on(features.cost_allocation),
        ),
        Setting::plain(
            "vertical pod autoscaling",
            "/verticalPodAutoscaling",
            "desiredVerticalPodAutoscaling",
            on(features.vertical_pod_autoscaling),
        ),
        gateway(features.gateway_api),
        Setting::plain(
            "logs",
            "/loggingConfig",
            "desiredLoggingConfig",
            json!({ "componentConfig": { "enableComponents": log_components(features.control_plane_logs) } }),
        ),
        Setting::plain(
            "dataplane metrics",
            "/monitoringConfig/advancedDatapathObservabilityConfig",
            "desiredMonitoringConfig",
            json!({ "enableMetrics": features.dataplane_metrics }),
        )
        .updating(json!({
            "componentConfig": { "enableComponents": ["SYSTEM_COMPONENTS"] },
            "advancedDatapathObservabilityConfig": { "enableMetrics": features.dataplane_metrics },
        })),
        access(&want.access),
    ];
    if features.workload_identity {
        let pool = format!("{}.svc.id.goog", want.name.place.project);
        settings.push(Setting::plain(
            "workload identity",
            "/workloadIdentityConfig",
            "desiredWorkloadIdentityConfig",
            json!({ "workloadPool": pool }),
        ));
    }
    if let Some(key) = &want.kms_key {
        settings.push(Setting::plain(
            "kms key",
            "/databaseEncryption",
            "desiredDatabaseEncryption",
            json!({ "state": "ENCRYPTED", "keyName": key }),
        ));
    }
    if !want.zones.is_empty() {
        settings.push(Setting::plain(
            "zones",
            "/locations",
            "desiredLocations",
            json!(want.zones),
        ));
    }
    settings
}

impl Setting {
    fn updating(self, update: Value) -> Self {
        Self { update, ..self }
    }
}

fn gateway(on: bool) -> Setting {
    let channel = |name: &str| json!({ "channel": name });
    let wanted = if on {
        "CHANNEL_STANDARD"
    } else {
        "CHANNEL_DISABLED"
    };
    let setting = Setting::plain(
        "gateway api",
        "/networkConfig/gatewayApiConfig",
        "desiredGatewayApiConfig",
        channel(wanted),
    );
    Setting {
        unset: channel("CHANNEL_DISABLED"),
        ..setting
    }
}

fn log_components(control_plane: bool) -> Vec<&'static str> {
    let mut components = vec!["SYSTEM_COMPONENTS", "WORKLOADS"];
    if control_plane {
        components.extend(["APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"]);
    }
    components
}

fn access(access: &Access) -> Setting {
    let networks = match access {
        Access::Private => json!({ "enabled": false }),
        Access::AuthorizedCidrs(cidrs) => {
            let blocks: Vec<Value> = cidrs
                .iter()
                .map(|cidr| json!({ "cidrBlock": cidr }))
                .collect();
            json!({ "enabled": true, "cidrBlocks": blocks })
        }
    };
    Setting::plain(
        "api access",
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
