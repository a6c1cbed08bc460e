//! Tokens for Google: application default credentials, with impersonation and federation as the
//! credentials file says.

use std::path::PathBuf;

use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, external_account, impersonated, service_account, user_account,
};
use paymesh_cloud::{Token, TokenError, TokenSource};
use paymesh_engine::async_trait;
use serde_json::Value;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Google's access tokens live an hour (OAuth 2.0 service reference); a sixth is kept in hand.
const LIFETIME: std::time::Duration = std::time::Duration::from_mins(50);

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Google's usual chain: `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's login, the metadata
    /// server.
    ApplicationDefault,
    /// A credentials file of any type.
    File(PathBuf),
}

#[async_trait]
impl TokenSource for Credentials {
    /// Builds the credentials anew each time, because this is asked only when the last token has
    /// ended or was refused, and the library would hand out its cached one again. A file is read
    /// again, so a rotated key or assertion counts.
    async fn token(&self) -> Result<Token, TokenError> {
        let failed = |message: String| TokenError {
            message,
            transient: false,
        };
        let credentials = self.build().map_err(failed)?;
        let token = credentials
            .access_token()
            .await
            .map_err(|error| TokenError {
                message: format!("no Google access token from {}: {error}", self.name()),
                transient: error.is_transient(),
            })?;
        Ok(Token::new(token.token, Some(LIFETIME)))
    }
}

impl Credentials {
    fn name(&self) -> String {
        match self {
            Self::ApplicationDefault => "the application default credentials".into(),
            Self::File(path) => format!("the credentials file {}", path.display()),
        }
    }

    fn build(&self) -> Result<AccessTokenCredentials, String> {
        let built = match self {
            Self::ApplicationDefault => Builder::default()
                .with_scopes([SCOPE])
                .build_access_token_credentials(),
            Self::File(path) => return from_file(path),
        };
        built.map_err(|error| {
            format!(
                "no Google credentials: {error}. Run gcloud auth application-default login, or \
                 point GOOGLE_APPLICATION_CREDENTIALS at a credentials file"
            )
        })
    }
}

fn from_file(path: &std::path::Path) -> Result<AccessTokenCredentials, String> {
    let cannot = |why: &dyn std::fmt::Display| {
        format!(
            "the Google credentials file {} cannot be used: {why}",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
    // The parser's own message may quote the file.
    let json: Value = serde_json::from_str(&text).map_err(|_| cannot(&"it is not JSON"))?;
    let kind = json["type"].as_str().unwrap_or_default().to_owned();
    let built = match kind.as_str() {
        "authorized_user" => user_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
        "service_account" => service_account::Builder::new(json)
            .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
            .build_access_token_credentials(),
        "external_account" => external_account::Builder::new(json)
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
        "impersonated_service_account" => impersonated::Builder::new(json)
            .with_scopes([SCOPE])
            .build_access_token_credentials(),
        other => return Err(cannot(&format!("its type is \"{other}\""))),
    };
    built.map_err(|error| cannot(&error))
}
