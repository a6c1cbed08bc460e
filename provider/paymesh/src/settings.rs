//! The provider block.

use std::collections::BTreeMap;

use paymesh_plugin::{
    findings::Findings,
    path::Path,
    spec::{Attributes, Choice, Field, Spec},
};

use crate::codes;

/// Payments platforms on AKS and GKE, in the cloud or on the simulated cloud.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "paymesh", rule = check)]
pub struct Settings {
    /// Who owns what this configuration makes, unique per state: `payments/prod`. It is written
    /// on every object, so that an interrupted run finds its own again. A change replaces what is
    /// marked with the old one, which deletion protection refuses.
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
}

fn check(draft: &SettingsDraft, path: &Path, found: &mut Findings) {
    let simulated = draft.simulator.is(true);
    if let Some(azure) = draft.azure.known()
        && let Field::Known(file) = &azure.ca_file
    {
        found
            .warning(
                path.attribute("azure").attribute("ca_file"),
                "Custom certificate authority",
            )
            .code(codes::CUSTOM_CERTIFICATE_AUTHORITY)
            .detail(format!(
                "azure.ca_file is {file:?}: whoever holds its key can read what is sent to Azure"
            ))
            .hint("remove it unless a proxy of yours needs it");
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
            found
                .error(path, "Two places for one cloud")
                .code(codes::TWO_PLACES_FOR_ONE_CLOUD)
                .detail(format!(
                    "simulator is true and {cloud}.endpoint is {endpoint:?}"
                ))
                .hint("remove the endpoint: the simulator's file says where it is");
        } else if is_plain_http_elsewhere(endpoint) {
            found
                .error(path, "Credentials would travel in clear")
                .code(codes::CREDENTIALS_IN_CLEAR)
                .detail(format!(
                    "{cloud}.endpoint is {endpoint:?}, plain http to another machine"
                ))
                .hint("use https");
        } else {
            found
                .warning(path, "Custom endpoint")
                .code(codes::CUSTOM_ENDPOINT)
                .detail(format!("{cloud}.endpoint is {endpoint:?}: requests and tokens go there, not to the cloud"))
                .hint("remove it unless you mean it");
        }
    }
}

fn is_plain_http_elsewhere(endpoint: &str) -> bool {
    let loopback = |host: &str| {
        ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| {
            host.strip_prefix(local)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        })
    };
    endpoint
        .strip_prefix("http://")
        .is_some_and(|host| !loopback(host))
}
