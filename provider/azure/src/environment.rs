//! What the environment says of Azure, the same for every program of Paymesh: which cloud, which
//! subscription, and as whom. And what a simulated Azure says of itself.

use std::{env, fs, path::Path};

use paymesh_clock::Clock;

use crate::{AzureSettings, Credential, Sovereign};

/// The variable `name`, if it is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|it| !it.is_empty())
}

/// The subscription of whoever names none.
pub fn usual_subscription() -> Option<String> {
    subscription_from(variable)
}

fn subscription_from(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let names = ["ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID"];
    names.into_iter().find_map(variable)
}

impl Sovereign {
    /// The cloud of whoever names none, as `ARM_ENVIRONMENT` says.
    pub fn usual() -> Result<Self, String> {
        Self::named(variable("ARM_ENVIRONMENT").as_deref())
    }

    fn named(name: Option<&str>) -> Result<Self, String> {
        match name {
            None | Some("public") => Ok(Self::Public),
            Some("usgovernment") => Ok(Self::UsGovernment),
            Some("china") => Ok(Self::China),
            Some(other) => Err(format!(
                "ARM_ENVIRONMENT is {other:?}: write public, usgovernment or china"
            )),
        }
    }
}

/// Where a simulated Azure is, and who may sign in there.
#[derive(Clone, Copy, Debug)]
pub struct Simulated<'a> {
    /// The address of everything.
    pub address: &'a str,
    /// The file of the certificate authority that vouches for the address.
    pub ca: &'a Path,
    /// The directory.
    pub tenant_id: &'a str,
    /// The application.
    pub client_id: &'a str,
    /// The file of its secret.
    pub secret: &'a Path,
}

impl AzureSettings {
    /// What the environment says, where the caller names no cloud and no directory.
    pub fn usual(
        sovereign: Option<Sovereign>,
        tenant_id: Option<&str>,
        clock: Clock,
    ) -> Result<Self, String> {
        Ok(Self {
            sovereign: sovereign.map_or_else(Sovereign::usual, Ok)?,
            endpoint: None,
            authority: None,
            extra_ca: None,
            credential: Credential::usual(tenant_id),
            clock,
        })
    }

    /// A simulated Azure, and nothing of the environment.
    pub fn simulated(simulated: &Simulated<'_>, clock: Clock) -> Result<Self, String> {
        let read = |path: &Path| {
            fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        let secret = read(simulated.secret)?;
        Ok(Self {
            sovereign: Sovereign::Public,
            endpoint: Some(simulated.address.to_owned()),
            authority: Some(simulated.address.to_owned()),
            extra_ca: Some(read(simulated.ca)?),
            credential: Credential::ClientSecret {
                tenant_id: simulated.tenant_id.to_owned(),
                client_id: simulated.client_id.to_owned(),
                secret: String::from_utf8_lossy(&secret).trim().into(),
            },
            clock,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_terraforms_own_provider_comes_first() {
        let both = |name: &str| Some(name.to_lowercase());
        assert_eq!(subscription_from(both).unwrap(), "arm_subscription_id");
        let other = |name: &str| (name == "AZURE_SUBSCRIPTION_ID").then(|| "one".to_owned());
        assert_eq!(subscription_from(other).unwrap(), "one");
    }

    #[test]
    fn a_cloud_that_is_named_wrong_is_not_taken_for_the_public_one() {
        assert_eq!(
            Sovereign::named(Some("usgovernment")),
            Ok(Sovereign::UsGovernment)
        );
        assert_eq!(Sovereign::named(None), Ok(Sovereign::Public));
        assert!(Sovereign::named(Some("german")).is_err());
    }

    #[test]
    fn whoever_names_a_cloud_is_not_asked_for_another() {
        let clock = Clock::real();
        let settings = AzureSettings::usual(Some(Sovereign::China), None, clock).unwrap();
        assert_eq!(settings.sovereign, Sovereign::China);
    }
}
