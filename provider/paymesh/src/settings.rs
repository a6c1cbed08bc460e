//! The provider block.

use std::collections::BTreeMap;

use paymesh_plugin::{
    findings::Findings,
    path::Path,
    spec::{Attributes, Choice, Field, Spec},
};
use url::Url;

use crate::{
    cluster::checks,
    codes::{self, refuse, warn},
    simulator::is_here,
};

/// Payments platforms on AKS and GKE, in the cloud or on the simulated cloud.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "paymesh", rule = check)]
pub struct Settings {
    /// Who owns what this configuration makes, unique per state: `payments/prod`. It is written
    /// on every object, so that an interrupted run finds its own again. It cannot change while
    /// something is in state: let the state forget it, and import it under the new owner; or destroy
    /// it under the old owner first.
    #[attr(check = length(1..=128))]
    pub owner: String,
    /// Labels of every object.
    pub default_labels: Option<BTreeMap<String, String>>,
    /// Azure.
    pub azure: Option<AzureSettings>,
    /// Google Cloud.
    pub google: Option<GoogleSettings>,
    /// Use the simulated cloud that `paymesh sim up` started, and nothing else; leave `azure` and
    /// `google` out.
    pub simulator: Option<bool>,
}

/// Where and as whom the provider talks to Azure. Credentials come from the usual chain: workload
/// identity, client secret or OIDC assertion in the environment, managed identity, Azure CLI.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct AzureSettings {
    /// Subscription of every resource that does not name its own.
    pub subscription_id: Option<String>,
    /// Entra tenant.
    pub tenant_id: Option<String>,
    /// Which Azure cloud; left out, the public one.
    pub environment: Option<AzureEnvironment>,
    /// Address of Azure Resource Manager instead of the environment's own.
    pub endpoint: Option<String>,
    /// PEM file of a certificate authority to trust besides the usual ones.
    pub ca_file: Option<String>,
}

/// A cloud of Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum AzureEnvironment {
    /// The public cloud.
    Public,
    /// The cloud of the government of the United States.
    UsGovernment,
    /// The cloud in China.
    China,
}

/// Where and as whom the provider talks to Google Cloud. Credentials are the application-default
/// credentials.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct GoogleSettings {
    /// Project of every resource that does not name its own.
    pub project: Option<String>,
    /// Address of the Google APIs instead of their own.
    pub endpoint: Option<String>,
    /// PEM file of a certificate authority to trust besides the usual ones. Tokens come from the
    /// usual places all the same.
    pub ca_file: Option<String>,
}

fn check(draft: &SettingsDraft, path: &Path, found: &mut Findings) {
    words(draft, path, found);
    let simulated = draft.simulator.is(true);
    let authorities = [
        ("azure", draft.azure.known().map(|azure| &azure.ca_file)),
        ("google", draft.google.known().map(|google| &google.ca_file)),
    ];
    for (cloud, file) in authorities {
        if let Some(Field::Known(file)) = file {
            warn(
                found,
                path.attribute(cloud).attribute("ca_file"),
                &codes::CUSTOM_CERTIFICATE_AUTHORITY,
                format!(
                    "{cloud}.ca_file is {file:?}: whoever holds its key can read what is sent to \
                     the cloud"
                ),
            );
        }
    }
    let endpoints = [
        ("azure", draft.azure.known().map(|azure| &azure.endpoint)),
        (
            "google",
            draft.google.known().map(|google| &google.endpoint),
        ),
    ];
    for (cloud, endpoint) in endpoints {
        let Some(Field::Known(endpoint)) = endpoint else {
            continue;
        };
        let path = path.attribute(cloud).attribute("endpoint");
        if simulated {
            refuse(
                found,
                path,
                &codes::TWO_PLACES_FOR_ONE_CLOUD,
                format!("simulator is true and {cloud}.endpoint is {endpoint:?}"),
            );
        } else if is_plain_http_elsewhere(endpoint) {
            refuse(
                found,
                path,
                &codes::CREDENTIALS_IN_CLEAR,
                format!("{cloud}.endpoint is {endpoint:?}, plain http to another machine"),
            );
        } else {
            let detail = format!(
                "{cloud}.endpoint is {endpoint:?}: requests and tokens go there, not to the cloud"
            );
            warn(found, path, &codes::CUSTOM_ENDPOINT, detail);
        }
    }
}

fn is_plain_http_elsewhere(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| url.scheme() == "http" && !is_here(&url))
}

/// What goes into addresses and marks as it is written.
fn words(draft: &SettingsDraft, path: &Path, found: &mut Findings) {
    if let Field::Known(owner) = &draft.owner
        && (owner.trim() != owner || owner.contains(char::is_control))
    {
        refuse(
            found,
            path.attribute("owner"),
            &codes::NOT_AN_OWNER,
            format!("{owner:?} begins or ends with a space, or holds control characters"),
        );
    }
    let azure = draft.azure.known();
    if let Some(id) = azure.and_then(|azure| azure.subscription_id.known()) {
        checks::subscription(
            path.attribute("azure").attribute("subscription_id"),
            id,
            found,
        );
    }
    let google = draft.google.known();
    if let Some(id) = google.and_then(|google| google.project.known()) {
        checks::project(path.attribute("google").attribute("project"), id, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fixture::value;

    #[track_caller]
    fn check_refused(settings: &serde_json::Value, code: &str, at: &str) {
        let mut found = Findings::new();
        Settings::read(&value(settings), &mut found);
        let text = found.to_string();
        assert!(text.contains(code) && text.contains(at), "{text}");
    }

    #[test]
    fn what_goes_into_addresses_and_marks_is_checked_first() {
        for owner in [" ", "payments/prod ", "a\nb\u{1b}[2J"] {
            check_refused(&json!({ "owner": owner }), "PM190", "owner");
        }
        for id in [
            "",
            "../../x",
            "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e51/resourceGroups/a?x=",
        ] {
            let settings = json!({ "owner": "a", "azure": { "subscription_id": id } });
            check_refused(&settings, "PM045", "azure.subscription_id");
        }
        let settings = json!({ "owner": "a", "google": { "project": "../../x" } });
        check_refused(&settings, "PM052", "google.project");
    }

    #[test]
    fn credentials_do_not_travel_in_clear() {
        let elsewhere = [
            "http://evil.invalid",
            "HTTP://evil.invalid",
            "http://127.0.0.1:80@evil.invalid",
        ];
        for endpoint in elsewhere {
            let settings = json!({ "owner": "a", "azure": { "endpoint": endpoint } });
            check_refused(&settings, "PM111", "azure.endpoint");
        }
    }
}
