//! Signing in.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use paymesh_cloud::{Token, TokenError, TokenSource};

use super::{Credential, Identity, advice::advice, assertion::Read};

/// Signs in by a credential.
pub(crate) struct Source {
    pub(crate) credential: Credential,
    pub(crate) authority: String,
    pub(crate) scope: String,
    pub(crate) http: reqwest::Client,
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
                    Read {
                        assertion: assertion.clone(),
                        http: self.http.clone(),
                    },
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
        let fault = |fault: azure_core::Error| {
            let mut message = format!("{}: {}", credential.name(), told(&fault));
            if let Some(what) = advice(credential, &message) {
                message = format!("{message}. What to do: {what}");
            }
            TokenError {
                message,
                transient: is_transient(&fault),
            }
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
                 ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH",
                tried.join("; ")
            ),
            transient: false,
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
