//! Where Azure tokens come from.
//!
//! The client caches tokens and decides when to renew; here every call signs in anew, so a
//! federated assertion is read again each time and a refused token is never handed out twice.

use std::{
    env, fmt, fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret, TokenCredential},
    http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use paymesh_cloud::{Token, TokenError, TokenSource};

/// How to sign in.
#[derive(Clone)]
pub enum Credential {
    /// An application with a secret.
    ClientSecret {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Its secret.
        secret: Arc<str>,
    },
    /// An application that a federated issuer vouches for: CI systems, workload identity.
    Federated {
        /// The directory.
        tenant_id: String,
        /// The application.
        client_id: String,
        /// Where the issuer's assertion is found; read again each time.
        assertion: Assertion,
    },
    /// The identity of the machine this runs on.
    ManagedIdentity(Identity),
    /// Whoever is signed in to the Azure command line.
    Cli {
        /// The directory, where it is not the command line's own.
        tenant_id: Option<String>,
    },
    /// The first of these that yields a token.
    Chain(Vec<Credential>),
}

/// Where a federated assertion is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// In a file that the issuer keeps fresh.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

/// Which identity of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The machine's own.
    System,
    /// The assigned one with this client id.
    Client(String),
}

pub(crate) struct Source {
    pub(crate) credential: Credential,
    pub(crate) authority: String,
    pub(crate) scope: String,
    pub(crate) http: reqwest::Client,
}

#[derive(Debug)]
struct Read(Assertion);

impl Credential {
    /// The usual chain, from the usual variables: `ARM_*` before `AZURE_*`, then workload
    /// identity, managed identity (when `ARM_USE_MSI` says so), and the command line.
    pub fn usual(tenant_id: Option<&str>) -> Self {
        Self::usual_from(tenant_id, |name| {
            env::var(name).ok().filter(|it| !it.is_empty())
        })
    }

    fn usual_from(tenant_id: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| names.iter().find_map(|name| variable(name));
        let tenant = tenant_id
            .map(str::to_owned)
            .or_else(|| first(["ARM_TENANT_ID", "AZURE_TENANT_ID"]));
        let client = first(["ARM_CLIENT_ID", "AZURE_CLIENT_ID"]);
        let mut chain = Vec::new();
        if let (Some(tenant_id), Some(client_id)) = (&tenant, &client) {
            let (tenant_id, client_id) = (tenant_id.clone(), client_id.clone());
            if let Some(secret) = first(["ARM_CLIENT_SECRET", "AZURE_CLIENT_SECRET"]) {
                chain.push(Self::ClientSecret {
                    tenant_id: tenant_id.clone(),
                    client_id: client_id.clone(),
                    secret: secret.into(),
                });
            }
            let file = first(["ARM_OIDC_TOKEN_FILE_PATH", "AZURE_FEDERATED_TOKEN_FILE"]);
            let assertion = match file {
                Some(path) => Some(Assertion::File(path.into())),
                None => variable("ARM_OIDC_TOKEN")
                    .map(|_| Assertion::Variable("ARM_OIDC_TOKEN".to_owned())),
            };
            if let Some(assertion) = assertion {
                chain.push(Self::Federated {
                    tenant_id,
                    client_id,
                    assertion,
                });
            }
        }
        if variable("ARM_USE_MSI").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            chain.push(Self::ManagedIdentity(
                client.map_or(Identity::System, Identity::Client),
            ));
        }
        chain.push(Self::Cli { tenant_id: tenant });
        Self::Chain(chain)
    }

    /// What it is, for messages. No secret.
    fn name(&self) -> String {
        match self {
            Self::ClientSecret { client_id, .. } => format!("client secret of {client_id}"),
            Self::Federated {
                client_id,
                assertion: Assertion::File(path),
                ..
            } => {
                format!("federated assertion of {client_id} in {}", path.display())
            }
            Self::Federated {
                client_id,
                assertion: Assertion::Variable(name),
                ..
            } => {
                format!("federated assertion of {client_id} in the variable {name}")
            }
            Self::ManagedIdentity(Identity::System) => "managed identity".to_owned(),
            Self::ManagedIdentity(Identity::Client(id)) => format!("managed identity {id}"),
            Self::Cli { .. } => "Azure command line (az login)".to_owned(),
            Self::Chain(_) => "chain".to_owned(),
        }
    }
}

impl Source {
    fn options(&self) -> ClientOptions {
        let mut custom = CustomConfiguration::default();
        custom.authority_host.clone_from(&self.authority);
        ClientOptions {
            // The one retry loop is the client's: it waits on the clock.
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(self.http.clone()))),
            cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
            ..ClientOptions::default()
        }
    }

    fn build(&self, credential: &Credential) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match credential {
            Credential::ClientSecret {
                tenant_id,
                client_id,
                secret,
            } => {
                let options = ClientSecretCredentialOptions {
                    client_options: self.options(),
                };
                let secret = Secret::new(secret.to_string());
                ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options))?
            }
            Credential::Federated {
                tenant_id,
                client_id,
                assertion,
            } => {
                let options = ClientAssertionCredentialOptions {
                    client_options: self.options(),
                };
                ClientAssertionCredential::new(
                    tenant_id.clone(),
                    client_id.clone(),
                    Read(assertion.clone()),
                    Some(options),
                )?
            }
            Credential::ManagedIdentity(identity) => {
                let user_assigned_id = match identity {
                    Identity::System => None,
                    Identity::Client(id) => Some(UserAssignedId::ClientId(id.clone())),
                };
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id,
                    client_options: self.options(),
                }))?
            }
            Credential::Cli { tenant_id } => {
                AzureCliCredential::new(Some(AzureCliCredentialOptions {
                    tenant_id: tenant_id.clone(),
                    ..AzureCliCredentialOptions::default()
                }))?
            }
            Credential::Chain(_) => unreachable!("chains are walked by the caller"),
        })
    }

    async fn sign_in(&self, credential: &Credential) -> Result<Token, TokenError> {
        let fault = |fault: azure_core::Error| TokenError {
            message: format!("{}: {}", credential.name(), told(&fault)),
            transient: is_transient(&fault),
        };
        let token = self
            .build(credential)
            .map_err(fault)?
            .get_token(&[&self.scope], None)
            .await
            .map_err(fault)?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX));
        let seconds = token.expires_on.unix_timestamp().saturating_sub(now);
        let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Ok(Token::new(token.token.secret(), Some(lifetime)))
    }
}

#[async_trait]
impl TokenSource for Source {
    async fn token(&self) -> Result<Token, TokenError> {
        let Credential::Chain(chain) = &self.credential else {
            return self.sign_in(&self.credential).await;
        };
        let mut tried = Vec::new();
        for credential in chain {
            match self.sign_in(credential).await {
                Ok(token) => return Ok(token),
                // A credential that is set up but cannot be served now must not be silently
                // replaced by another account.
                Err(fault) if fault.transient => return Err(fault),
                Err(fault) => tried.push(fault.message),
            }
        }
        Err(TokenError {
            message: format!(
                "no Azure credentials. Tried: {}. Sign in with `az login`, or set ARM_TENANT_ID, \
                 ARM_CLIENT_ID and ARM_CLIENT_SECRET or ARM_OIDC_TOKEN_FILE_PATH",
                tried.join("; ")
            ),
            transient: false,
        })
    }
}

#[async_trait]
impl ClientAssertion for Read {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let found = match &self.0 {
            Assertion::File(path) => fs::read_to_string(path).map_err(|it| it.to_string()),
            Assertion::Variable(name) => env::var(name).map_err(|it| it.to_string()),
        };
        found.map(|text| text.trim().to_owned()).map_err(|why| {
            let text = format!("the assertion in {:?} cannot be read: {why}", self.0);
            azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, text)
        })
    }
}

/// The fault and its causes on one line.
fn told(fault: &azure_core::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(it) = cause {
        let more = it.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = it.source();
    }
    text.replace('\n', " ")
}

fn is_transient(fault: &azure_core::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(fault);
    while let Some(it) = cause {
        if let Some(it) = it.downcast_ref::<azure_core::Error>() {
            match it.kind() {
                azure_core::error::ErrorKind::HttpResponse { status, .. } => {
                    let status = u16::from(*status);
                    return status == 429 || status >= 500;
                }
                azure_core::error::ErrorKind::Io => return true,
                _ => {}
            }
        }
        cause = it.source();
    }
    false
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(chain) => f.debug_list().entries(chain).finish(),
            one => f.write_str(&one.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_usual(variables: &[(&str, &str)], expected: &Expect) {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        expected.assert_eq(&format!("{:?}", Credential::usual_from(None, find)));
    }

    #[test]
    fn the_usual_chain_takes_what_the_environment_offers_and_prints_no_secret() {
        check_usual(&[], &expect!["[Azure command line (az login)]"]);
        check_usual(
            &[
                ("ARM_TENANT_ID", "t"),
                ("ARM_CLIENT_ID", "app"),
                ("ARM_CLIENT_SECRET", "canary"),
                ("AZURE_FEDERATED_TOKEN_FILE", "/var/token"),
            ],
            &expect![
                "[client secret of app, federated assertion of app in /var/token, Azure command line (az login)]"
            ],
        );
        check_usual(
            &[("ARM_USE_MSI", "true"), ("AZURE_CLIENT_ID", "app")],
            &expect!["[managed identity app, Azure command line (az login)]"],
        );
    }
}
