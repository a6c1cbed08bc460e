//! How a cluster's API server is reached.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use paymesh_cloud::{Error, ErrorKind, Request};
use serde_json::Value;

use crate::{
    ArmId, Azure,
    connection::{api, version},
    json::text,
};

/// How a client reaches an API server: no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The server's URL.
    pub server: String,
    /// The certificate authority that signs its certificate, in PEM.
    pub certificate_authority: String,
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
