//! What a cluster and its pools report, read out of their bodies.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use paymesh_cloud::{Error, ErrorKind, Request};
use serde_json::Value;

use crate::{
    ArmId, Azure,
    cluster::text,
    connection::{api, version},
};

/// A view of a managed cluster's body.
#[derive(Clone, Copy, Debug)]
pub struct ClusterSeen<'a>(pub &'a Value);

/// A view of an agent pool's body.
#[derive(Clone, Copy, Debug)]
pub struct PoolSeen<'a>(pub &'a Value);

/// How a client reaches an API server: no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The server's URL.
    pub server: String,
    /// The certificate authority that signs its certificate, in PEM.
    pub certificate_authority: String,
}

impl<'a> ClusterSeen<'a> {
    /// The id as the cloud spells it.
    pub fn id(self) -> Option<&'a str> {
        text(self.0, "/id")
    }

    /// The id of this incarnation.
    pub fn uid(self) -> Option<&'a str> {
        text(self.0, "/properties/resourceUID")
    }

    /// The region.
    pub fn location(self) -> Option<&'a str> {
        text(self.0, "/location")
    }

    /// The API server's name: the private one where there is one.
    pub fn fqdn(self) -> Option<&'a str> {
        text(self.0, "/properties/privateFQDN").or_else(|| text(self.0, "/properties/fqdn"))
    }

    /// The API server's URL.
    pub fn endpoint(self) -> Option<String> {
        self.fqdn().map(|fqdn| format!("https://{fqdn}:443"))
    }

    /// The version that runs.
    pub fn version(self) -> Option<&'a str> {
        text(self.0, "/properties/currentKubernetesVersion")
            .or_else(|| text(self.0, "/properties/kubernetesVersion"))
    }

    /// `Succeeded`, or what else is the matter.
    pub fn provisioning_state(self) -> &'a str {
        text(self.0, "/properties/provisioningState").unwrap_or("Succeeded")
    }

    /// Whether it is stopped.
    pub fn is_stopped(self) -> bool {
        text(self.0, "/properties/powerState/code") == Some("Stopped")
    }

    /// The group of its nodes.
    pub fn node_resource_group(self) -> Option<&'a str> {
        text(self.0, "/properties/nodeResourceGroup")
    }

    /// The issuer of its service accounts' tokens.
    pub fn oidc_issuer(self) -> Option<&'a str> {
        text(self.0, "/properties/oidcIssuerProfile/issuerURL")
    }

    /// The directory id of the kubelets' identity.
    pub fn kubelet_object_id(self) -> Option<&'a str> {
        text(
            self.0,
            "/properties/identityProfile/kubeletidentity/objectId",
        )
    }

    /// The directory id of the control plane's identity, made by Azure or by the user.
    pub fn principal_id(self) -> Option<&'a str> {
        text(self.0, "/identity/principalId").or_else(|| {
            let all = self
                .0
                .pointer("/identity/userAssignedIdentities")?
                .as_object()?;
            all.values().find_map(|it| text(it, "/principalId"))
        })
    }

    /// The user-assigned identity of the control plane.
    pub fn identity_id(self) -> Option<&'a str> {
        let all = self
            .0
            .pointer("/identity/userAssignedIdentities")?
            .as_object()?;
        all.keys().next().map(String::as_str)
    }

    /// The profiles of its pools.
    pub fn pools(self) -> impl Iterator<Item = &'a Value> {
        let all = self
            .0
            .pointer("/properties/agentPoolProfiles")
            .and_then(Value::as_array);
        all.into_iter().flatten()
    }
}

impl<'a> PoolSeen<'a> {
    fn field(self, name: &str) -> Option<&'a Value> {
        let inner = self.0.get("properties").unwrap_or(self.0);
        inner.get(name).filter(|it| !it.is_null())
    }

    /// Its name.
    pub fn name(self) -> Option<&'a str> {
        text(self.0, "/name")
    }

    /// The machine type.
    pub fn vm_size(self) -> Option<&'a str> {
        self.field("vmSize")?.as_str()
    }

    /// Nodes now.
    pub fn count(self) -> Option<u64> {
        self.field("count")?.as_u64()
    }

    /// The version that runs.
    pub fn version(self) -> Option<&'a str> {
        let running = self.field("currentOrchestratorVersion");
        running
            .or_else(|| self.field("orchestratorVersion"))?
            .as_str()
    }

    /// The image its nodes run.
    pub fn node_image(self) -> Option<&'a str> {
        self.field("nodeImageVersion")?.as_str()
    }

    /// Any other property.
    pub fn property(self, name: &str) -> Option<&'a Value> {
        self.field(name)
    }
}

impl Azure {
    /// How the API server of `cluster` is reached, from the file that Azure hands to users.
    /// Whatever credential that file holds is dropped here.
    pub async fn endpoint(&self, cluster: &ArmId) -> Result<Endpoint, Error> {
        let file = self.user_kubeconfig(cluster).await?;
        let bad = |what: &str| {
            Error::new(
                ErrorKind::Malformed,
                format!("the file for users of {cluster} {what}"),
            )
        };
        let server = kubeconfig_value(&file, "server").ok_or_else(|| bad("names no server"))?;
        let ca = kubeconfig_value(&file, "certificate-authority-data")
            .ok_or_else(|| bad("names no authority"))?;
        let ca = STANDARD
            .decode(ca)
            .map_err(|_| bad("has an unreadable authority"))?;
        let certificate_authority =
            String::from_utf8(ca).map_err(|_| bad("has an unreadable authority"))?;
        Ok(Endpoint {
            server,
            certificate_authority,
        })
    }

    /// The whole file that Azure hands to users of `cluster`. It may hold a credential: for
    /// ephemeral use only.
    pub async fn user_kubeconfig(&self, cluster: &ArmId) -> Result<String, Error> {
        let request = Request::post(format!("{cluster}/listClusterUserCredential"), Value::Null)
            .reading()
            .query("api-version", version::CLUSTERS)
            .api(api::CLUSTERS);
        let body = self.client().send(request).await?.body;
        let file = text(&body, "/kubeconfigs/0/value").and_then(|it| STANDARD.decode(it).ok());
        file.and_then(|it| String::from_utf8(it).ok())
            .ok_or_else(|| {
                let text = format!("Azure gave no readable file for users of {cluster}");
                Error::new(ErrorKind::Malformed, text)
            })
    }
}

/// A value of the first cluster in a kubeconfig, written as YAML or as JSON.
fn kubeconfig_value(file: &str, key: &str) -> Option<String> {
    if let Ok(json) = serde_json::from_str::<Value>(file) {
        return text(&json, &format!("/clusters/0/cluster/{key}")).map(str::to_owned);
    }
    let mut lines = file.lines().map(|line| line.trim_start_matches([' ', '-']));
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_server(file: &str) {
        let found = kubeconfig_value(file, "server");
        assert_eq!(found.as_deref(), Some("https://a:443"), "{file}");
    }

    #[test]
    fn a_kubeconfig_is_read_as_yaml_and_as_json() {
        check_server("clusters:\n- cluster:\n    server: https://a:443\n  name: a\n");
        check_server("clusters:\n- name: a\n  cluster: \n    server: \"https://a:443\"\n");
        check_server(r#"{"clusters": [{"cluster": {"server": "https://a:443"}}]}"#);
        assert_eq!(kubeconfig_value("users: []", "server"), None);
    }
}
