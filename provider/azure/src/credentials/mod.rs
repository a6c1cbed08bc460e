//! Where Azure tokens come from.
//!
//! The client caches tokens and decides when to renew; here every call signs in anew, so a
//! federated assertion is read again each time and a refused token is never handed out twice.

mod advice;
mod assertion;
mod source;

use std::{fmt, sync::Arc};

pub use assertion::Assertion;
pub(crate) use source::Source;

use crate::environment::variable;

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

/// Which identity of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The machine's own.
    System,
    /// The assigned one with this client id.
    Client(String),
}

impl Credential {
    /// The usual chain, from the usual variables: `ARM_*` before `AZURE_*`; a secret, an assertion,
    /// managed identity (when `ARM_USE_MSI` says so), and the command line. `ARM_USE_OIDC` and
    /// `ARM_USE_CLI` can say no.
    pub fn usual(tenant_id: Option<&str>) -> Self {
        Self::usual_from(tenant_id, variable)
    }

    fn usual_from(tenant_id: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&str; 2]| names.iter().find_map(|name| variable(name));
        let tenant = tenant_id
            .map(str::to_owned)
            .or_else(|| first(["ARM_TENANT_ID", "AZURE_TENANT_ID"]));
        let client = first(["ARM_CLIENT_ID", "AZURE_CLIENT_ID"]);
        let says =
            |name: &str, word: &str| variable(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
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
            if let Some(assertion) = Assertion::usual_from(&variable)
                && !says("ARM_USE_OIDC", "false")
            {
                chain.push(Self::Federated {
                    tenant_id,
                    client_id,
                    assertion,
                });
            }
        }
        if says("ARM_USE_MSI", "true") {
            chain.push(Self::ManagedIdentity(
                client.map_or(Identity::System, Identity::Client),
            ));
        }
        if !says("ARM_USE_CLI", "false") {
            chain.push(Self::Cli { tenant_id: tenant });
        }
        Self::Chain(chain)
    }

    /// What it is, for messages. No secret.
    fn name(&self) -> String {
        match self {
            Self::ClientSecret { client_id, .. } => format!("client secret of {client_id}"),
            Self::Federated {
                client_id,
                assertion,
                ..
            } => format!("federated assertion of {client_id} {assertion}"),
            Self::ManagedIdentity(Identity::System) => "managed identity".to_owned(),
            Self::ManagedIdentity(Identity::Client(id)) => format!("managed identity {id}"),
            Self::Cli { .. } => "Azure command line (az login)".to_owned(),
            Self::Chain(_) => "chain".to_owned(),
        }
    }
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
            &[
                ("AZURE_TENANT_ID", "t"),
                ("AZURE_CLIENT_ID", "app"),
                ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://issuer/token?v=1"),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary"),
            ],
            &expect![
                "[federated assertion of app from https://issuer/token, Azure command line (az login)]"
            ],
        );
        check_usual(
            &[("ARM_USE_MSI", "true"), ("AZURE_CLIENT_ID", "app")],
            &expect!["[managed identity app, Azure command line (az login)]"],
        );
        check_usual(
            &[
                ("ARM_TENANT_ID", "t"),
                ("ARM_CLIENT_ID", "app"),
                ("ARM_CLIENT_SECRET", "canary"),
                ("ARM_OIDC_TOKEN", "canary"),
                ("ARM_USE_OIDC", "false"),
                ("ARM_USE_CLI", "False"),
            ],
            &expect!["[client secret of app]"],
        );
    }
}
