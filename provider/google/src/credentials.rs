//! Tokens for Google: what Terraform's own Google provider takes from the environment, else the
//! application default credentials, with impersonation and federation as the credentials file says.

use std::{env, fmt, path::PathBuf, sync::Arc};

use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, external_account, impersonated, service_account, user_account,
};
use paymesh_cloud::{Token, TokenError, TokenSource};
use paymesh_engine::async_trait;
use serde_json::Value;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Google's access tokens live an hour (OAuth 2.0 service reference); a sixth is kept in hand.
const LIFETIME: std::time::Duration = std::time::Duration::from_mins(50);

/// Where Terraform's own Google provider looks for the project, in its order.
const PROJECTS: [&str; 4] = [
    "GOOGLE_PROJECT",
    "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT",
    "CLOUDSDK_CORE_PROJECT",
];

/// The project of whoever names none.
pub fn usual_project() -> Option<String> {
    PROJECTS.into_iter().find_map(variable)
}

/// The variable `name`, if it is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|it| !it.is_empty())
}

/// Where credentials come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Google's usual chain: `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's login, the metadata
    /// server.
    ApplicationDefault,
    /// A credentials file of any type.
    File(PathBuf),
    /// What such a file holds. Secret.
    Text(Arc<str>),
    /// A token that somebody else had. It is not renewed. Secret.
    Token(Arc<str>),
    /// A service account in whose name others act.
    Impersonated {
        /// Its address.
        account: String,
        /// Who acts.
        by: Box<Self>,
    },
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
        if let Self::Token(token) = self {
            return Ok(Token::new(token.to_string(), None));
        }
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
    /// What the variables of Terraform's own Google provider say, else the application default
    /// credentials.
    pub fn usual() -> Self {
        Self::usual_from(variable)
    }

    fn usual_from(variable: impl Fn(&str) -> Option<String>) -> Self {
        let own = if let Some(token) = variable("GOOGLE_OAUTH_ACCESS_TOKEN") {
            Self::Token(token.into())
        } else {
            match variable("GOOGLE_CREDENTIALS") {
                Some(text) if text.trim_start().starts_with('{') => Self::Text(text.into()),
                Some(path) => Self::File(path.into()),
                None => Self::ApplicationDefault,
            }
        };
        match variable("GOOGLE_IMPERSONATE_SERVICE_ACCOUNT") {
            Some(account) => Self::Impersonated {
                account,
                by: Box::new(own),
            },
            None => own,
        }
    }

    /// What it is, for messages. No secret.
    fn name(&self) -> String {
        match self {
            Self::ApplicationDefault => "the application default credentials".into(),
            Self::File(path) => format!("the credentials file {}", path.display()),
            Self::Text(_) => "the credentials in GOOGLE_CREDENTIALS".into(),
            Self::Token(_) => "the token in GOOGLE_OAUTH_ACCESS_TOKEN".into(),
            Self::Impersonated { account, by } => format!("{account}, by {}", by.name()),
        }
    }

    fn build(&self) -> Result<AccessTokenCredentials, String> {
        let cannot = |why: &dyn fmt::Display| format!("{} cannot be used: {why}", self.name());
        match self {
            Self::ApplicationDefault => Builder::default()
                .with_scopes([SCOPE])
                .build_access_token_credentials()
                .map_err(|error| {
                    let error = error.to_string();
                    let error = error.trim_end_matches('.');
                    format!(
                        "no Google credentials: {error}. Run gcloud auth application-default \
                         login, or point GOOGLE_APPLICATION_CREDENTIALS at a credentials file"
                    )
                }),
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| cannot(&error))
                .and_then(|text| from_text(&text, cannot)),
            Self::Text(text) => from_text(text, cannot),
            // Asked for only where a token is to be had for somebody else.
            Self::Token(_) => Err(cannot(
                &"it is no login that could act for a service account",
            )),
            Self::Impersonated { account, by } => {
                impersonated::Builder::from_source_credentials(by.build()?.into())
                    .with_target_principal(account)
                    .with_scopes([SCOPE])
                    .build_access_token_credentials()
                    .map_err(|error| cannot(&error))
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

fn from_text(
    text: &str,
    cannot: impl Fn(&dyn fmt::Display) -> String,
) -> Result<AccessTokenCredentials, String> {
    // The parser's own message may quote the file.
    let json: Value = serde_json::from_str(text).map_err(|_| cannot(&"it is not JSON"))?;
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_usual(variables: &[(&str, &str)], expected: &Expect) {
        let find = |name: &str| {
            let mut known = variables.iter();
            known
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        expected.assert_eq(&format!("{:?}", Credentials::usual_from(find)));
    }

    #[test]
    fn the_variables_of_googles_own_provider_count_and_no_secret_is_printed() {
        check_usual(&[], &expect!["the application default credentials"]);
        check_usual(
            &[("GOOGLE_CREDENTIALS", "/home/me/key.json")],
            &expect!["the credentials file /home/me/key.json"],
        );
        check_usual(
            &[
                ("GOOGLE_CREDENTIALS", "{\"private_key\": \"canary\"}"),
                (
                    "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
                    "tf@p.iam.gserviceaccount.com",
                ),
            ],
            &expect!["tf@p.iam.gserviceaccount.com, by the credentials in GOOGLE_CREDENTIALS"],
        );
        check_usual(
            &[
                ("GOOGLE_OAUTH_ACCESS_TOKEN", "canary"),
                ("GOOGLE_CREDENTIALS", "/key.json"),
            ],
            &expect!["the token in GOOGLE_OAUTH_ACCESS_TOKEN"],
        );
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said_without_its_text() {
        for text in ["{canary", "{\"type\": \"odd\"}"] {
            let credentials = Credentials::Text(text.into());
            let message = credentials.token().await.unwrap_err().message;
            assert!(
                message.starts_with("the credentials in GOOGLE_CREDENTIALS cannot be used"),
                "{message}"
            );
            assert!(!message.contains("canary"), "{message}");
        }
        let borrowed = Credentials::Impersonated {
            account: "tf@p.iam.gserviceaccount.com".to_owned(),
            by: Box::new(Credentials::Token("canary".into())),
        };
        let message = borrowed.token().await.unwrap_err().message;
        assert!(
            message.contains("could act for a service account"),
            "{message}"
        );
        let token = Credentials::Token("lent".into()).token().await;
        assert!(token.is_ok());
    }
}
