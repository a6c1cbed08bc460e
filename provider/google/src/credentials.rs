//! Tokens for Google: what Terraform's own Google provider takes from the environment, else the
//! application default credentials, with impersonation and federation as the credentials file says.

use std::{env, error::Error, fmt, io, path::PathBuf, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use google_cloud_auth::{
    credentials::{
        AccessTokenCredentials, Builder, external_account, impersonated, service_account,
        user_account,
    },
    errors::CredentialsError,
};
use paymesh_cloud::{Token, TokenError, TokenSource, is_plainly_a_path};
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
/// What holds credentials, or names the file that does.
const VARIABLE: &str = "GOOGLE_CREDENTIALS";
/// What to do without a token.
pub(crate) const LOG_IN: &str = "Run gcloud auth application-default login, or point \
                                 GOOGLE_APPLICATION_CREDENTIALS at a credentials file that is \
                                 still good";

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
                message: self.refused(&error),
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
            match variable(VARIABLE) {
                Some(text) => Self::written(&text),
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

    /// What somebody wrote into a variable: what a credentials file holds, the same in base64, or
    /// the path of one. The quotes of an `.env` file and a byte order mark may be around it.
    fn written(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').trim();
        let quoted = ['\'', '"'].iter().find_map(|quote| {
            text.strip_prefix(*quote)
                .and_then(|text| text.strip_suffix(*quote))
        });
        let text = quoted.unwrap_or(text);
        if text.trim_start().starts_with('{') {
            return Self::Text(text.into());
        }
        let packed: String = text.split_whitespace().collect();
        let unpacked = BASE64_STANDARD.decode(packed).ok();
        let unpacked = unpacked.and_then(|bytes| String::from_utf8(bytes).ok());
        match unpacked.filter(|text| text.trim_start().starts_with('{')) {
            Some(text) => Self::Text(text.into()),
            None if is_plainly_a_path(text) => Self::File(text.into()),
            None => Self::Text(text.into()),
        }
    }

    /// What is said when there is no token. The library's own sentences speak of its cache.
    fn refused(&self, error: &CredentialsError) -> String {
        let from = match self {
            Self::ApplicationDefault if asks_the_machine() => {
                "the machine's metadata server (GOOGLE_APPLICATION_CREDENTIALS is not set, and \
                 gcloud has left no login)"
                    .to_owned()
            }
            _ => self.name(),
        };
        format!(
            "no Google access token from {from}: {}. {LOG_IN}",
            cause(error)
        )
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
            Self::ApplicationDefault if !names_a_file() => Err(cannot(
                &"the value of GOOGLE_APPLICATION_CREDENTIALS is not the path of a file",
            )),
            Self::ApplicationDefault => Builder::default()
                .with_scopes([SCOPE])
                .build_access_token_credentials()
                .map_err(|error| {
                    let error = error.to_string();
                    let error = error.trim_end_matches('.');
                    format!("no Google credentials: {error}. {LOG_IN}")
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

/// Whether the variable of the application default credentials, if it is set, names a file.
fn names_a_file() -> bool {
    let set = env::var_os("GOOGLE_APPLICATION_CREDENTIALS");
    set.is_none_or(|path| path.to_str().is_some_and(is_plainly_a_path))
}

/// Whether nothing but the metadata server is left of the application default credentials.
fn asks_the_machine() -> bool {
    let login = ".config/gcloud/application_default_credentials.json";
    env::var_os("GOOGLE_APPLICATION_CREDENTIALS").is_none()
        && env::var_os("HOME").is_none_or(|home| !PathBuf::from(home).join(login).exists())
}

/// Why there is no token: what the issuer says, or why it cannot be reached. Other texts on the way
/// may quote what was sent.
fn cause(error: &CredentialsError) -> String {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    let mut reached = None;
    while let Some(it) = next {
        if let Some(said) = said(&it.to_string()) {
            return said;
        }
        if let Some(it) = it.downcast_ref::<io::Error>() {
            reached = Some(it.to_string());
        }
        next = it.source();
    }
    reached.unwrap_or_else(|| {
        if error.is_transient() {
            "it cannot be reached, or does not answer".to_owned()
        } else {
            "it gives none".to_owned()
        }
    })
}

/// The issuer's own words in a text of the library: `{"error": "invalid_grant", ...}`, or what a
/// Google API answers.
fn said(text: &str) -> Option<String> {
    let body = text.split_once("body=<")?.1;
    let body: Value = serde_json::from_str(&body[..body.rfind('>')?]).ok()?;
    let code = body["error"].as_str();
    match (code, body["error_description"].as_str()) {
        (Some(code), Some(more)) => Some(format!("{code} ({})", more.trim_end_matches('.'))),
        (Some(code), None) => Some(code.to_owned()),
        (None, _) => Some(body["error"]["message"].as_str()?.to_owned()),
    }
}

fn from_text(
    text: &str,
    cannot: impl Fn(&dyn fmt::Display) -> String,
) -> Result<AccessTokenCredentials, String> {
    // The parser's own message may quote the file.
    let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|_| cannot(&"it is neither JSON, plain or in base64, nor the path of a file"))?;
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

    #[test]
    fn a_variable_that_holds_credentials_is_read_however_they_are_wrapped() {
        let key = "{\"type\": \"authorized_user\", \"refresh_token\": \"canary\"}";
        let packed = BASE64_STANDARD.encode(key);
        let (one, two) = packed.split_at(20);
        for text in [
            format!("'{key}'"),
            format!("\"{key}\"\n"),
            format!("\u{feff}{key}"),
            packed.clone(),
            format!("{one}\n{two}\n"),
            format!("'{packed}'"),
        ] {
            assert_eq!(Credentials::written(&text), Credentials::Text(key.into()));
        }
        let file = Credentials::File("/home/me/key.json".into());
        assert_eq!(Credentials::written("\"/home/me/key.json\""), file);
        for odd in ["canary", "1//0canary", "Y2FuYXJ5", "ya29.canary"] {
            let said = format!("{:?}", Credentials::written(odd));
            assert_eq!(said, "the credentials in GOOGLE_CREDENTIALS", "{odd}");
        }
    }

    #[test]
    fn of_a_refusal_the_issuers_words_are_told() {
        let said = |body: &str| said(&format!("request failed, body=<{body}>")).unwrap_or_default();
        assert_eq!(
            said(
                r#"{"error": "invalid_grant", "error_description": "Token has been expired or revoked."}"#
            ),
            "invalid_grant (Token has been expired or revoked)"
        );
        assert_eq!(
            said(r#"{"error": {"code": 403, "message": "denied"}}"#),
            "denied"
        );
        assert_eq!(said("<html>canary</html>"), "");
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said_without_its_text() {
        for text in ["canary", "{canary", "{\"type\": \"odd\"}"] {
            let credentials = Credentials::written(text);
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
