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

impl Endpoint {
    /// What a kubeconfig says of it, or what is wrong with the file.
    fn of(kubeconfig: &str) -> Result<Self, &'static str> {
        let server = kubeconfig_value(kubeconfig, "server").ok_or("names no server")?;
        let authority = kubeconfig_value(kubeconfig, "certificate-authority-data")
            .ok_or("names no authority")?;
        let authority = STANDARD.decode(authority).ok();
        let certificate_authority = authority
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or("has an unreadable authority")?;
        Ok(Self {
            server,
            certificate_authority,
        })
    }
}

impl Azure {
    /// How the API server of `cluster` is reached, from the file that Azure hands to users.
    /// Whatever credential that file holds is dropped here.
    pub async fn endpoint(&self, cluster: &ArmId) -> Result<Endpoint, Error> {
        let file = self.user_kubeconfig(cluster).await?;
        Endpoint::of(&file).map_err(|what| {
            let text = format!("the file for users of {cluster} {what}");
            Error::new(ErrorKind::Malformed, text)
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

    #[test]
    fn of_a_kubeconfig_with_credentials_only_the_place_is_kept() {
        let of = |authority: &str| {
            let user = "users:\n- user:\n    token: canary\n    client-key-data: canary\n";
            let cluster = "clusters:\n- cluster:\n    server: https://a:443\n";
            let said = Endpoint::of(&format!("{user}{cluster}{authority}{user}"));
            let said = format!("{said:?}");
            assert!(!said.contains("canary"), "{said}");
            said
        };
        let authority = "    certificate-authority-data: cGVt\n";
        let expected = r#"Ok(Endpoint { server: "https://a:443", certificate_authority: "pem" })"#;
        assert_eq!(of(authority), expected);
        assert_eq!(of(""), r#"Err("names no authority")"#);
        let damaged = "    certificate-authority-data: canary!\n";
        assert_eq!(of(damaged), r#"Err("has an unreadable authority")"#);
    }
}
