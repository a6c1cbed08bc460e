//! Assertions with which a federated issuer vouches for an application.

use std::{env, fmt, fs, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    error::{Error, ErrorKind},
    http::ClientMethodOptions,
};
use azure_identity::ClientAssertion;
use paymesh_cloud::is_plainly_a_path;
use serde_json::Value;
use url::Url;

/// Whom the assertion is for: Entra, in every Azure cloud.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// Where a federated assertion is found.
#[derive(Clone, PartialEq, Eq)]
pub enum Assertion {
    /// In a file that the issuer keeps fresh.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
    /// At the CI system's own issuer, which gives a fresh one for each request (GitHub Actions,
    /// Azure Pipelines).
    Issuer {
        /// The address.
        url: String,
        /// What the issuer knows the job by. Secret.
        token: Arc<str>,
    },
}

/// An assertion, read anew at each use.
pub(super) struct Read {
    pub(super) assertion: Assertion,
    pub(super) http: reqwest::Client,
}

impl Assertion {
    /// Where the usual variables say that it is.
    pub(super) fn usual_from(variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let first = |names: [&str; 2]| names.iter().find_map(|name| variable(name));
        if let Some(path) = first(["ARM_OIDC_TOKEN_FILE_PATH", "AZURE_FEDERATED_TOKEN_FILE"]) {
            return Some(Self::File(path.into()));
        }
        if variable("ARM_OIDC_TOKEN").is_some() {
            return Some(Self::Variable("ARM_OIDC_TOKEN".to_owned()));
        }
        let url = first(["ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL"])?;
        let token = first(["ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])?;
        Some(Self::Issuer {
            url,
            token: token.into(),
        })
    }
}

impl Read {
    async fn text(&self) -> Result<String, String> {
        match &self.assertion {
            Assertion::File(path) => fs::read_to_string(path).map_err(|it| it.to_string()),
            Assertion::Variable(name) => env::var(name).map_err(|it| it.to_string()),
            Assertion::Issuer { url, token } => self.ask(url, token).await,
        }
    }

    async fn ask(&self, url: &str, token: &str) -> Result<String, String> {
        let mut url = Url::parse(url).map_err(|it| it.to_string())?;
        url.query_pairs_mut().append_pair("audience", AUDIENCE);
        let request = self.http.get(url).bearer_auth(token);
        let answer = request
            .send()
            .await
            .map_err(|it| it.without_url().to_string())?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        body["value"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("the issuer answers {status} without an assertion"))
    }
}

#[async_trait]
impl ClientAssertion for Read {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let found = self.text().await;
        found.map(|text| text.trim().to_owned()).map_err(|why| {
            let text = format!("the assertion {} cannot be read: {why}", self.assertion);
            Error::with_message(ErrorKind::Credential, text)
        })
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) if path.to_str().is_some_and(is_plainly_a_path) => {
                write!(f, "in {}", path.display())
            }
            Self::File(_) => f.write_str(
                "in the file that ARM_OIDC_TOKEN_FILE_PATH or AZURE_FEDERATED_TOKEN_FILE names (the \
                 value is not the path of a file)",
            ),
            Self::Variable(name) => write!(f, "in the variable {name}"),
            Self::Issuer { url, .. } => {
                write!(f, "from {}", url.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.assertion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_assertion_in_the_place_of_its_files_path_is_not_printed() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary";
        let variable = |name: &str| (name == "ARM_OIDC_TOKEN_FILE_PATH").then(|| token.to_owned());
        let assertion = Assertion::usual_from(&variable).unwrap();
        let read = Read {
            assertion,
            http: reqwest::Client::new(),
        };
        let error = read.secret(None).await.unwrap_err();
        let said = format!("{error} {error:?} {read:?}");
        assert!(said.contains("is not the path of a file"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
