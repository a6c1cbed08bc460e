//! Data source `paymesh_cluster`: a cluster that is looked up and not managed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use paymesh_azure::ArmId;
use paymesh_google::{ClusterName, Location};
use paymesh_plugin::{
    call::Call,
    data_source::DataSource,
    findings::{Findings, Severity},
    path::Path,
    spec::{Attributes, Draft, Field, Spec},
};

use super::{
    ClusterSpec, ClusterStatus, PoolStatus, azure, choice, google, intent,
    spec::{AzureCluster, GoogleCluster},
};
use crate::{
    codes::{self, refuse},
    converge::{INCOMPLETE, READY},
    session::Session,
};

/// An existing cluster, whoever made it: by its id, or by name, region and cloud.
///
/// It reports what the resource reports, and no credential: those are ephemeral, see
/// `paymesh_cluster_credentials`. A cluster that does not exist is an error.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "paymesh_cluster", version = 1, status = ClusterStatus, rule = check)]
pub struct LookupSpec {
    /// Identifier in the cloud; with it, nothing else is set.
    pub cluster_id: Option<String>,
    /// Name of the cluster.
    pub name: Option<String>,
    /// Region, in the cloud's own words.
    pub region: Option<String>,
    /// Where on AKS; with `name` and `region`, exactly one of `azure` and `google`.
    pub azure: Option<AzurePlace>,
    /// Where on GKE; with `name` and `region`, exactly one of `azure` and `google`.
    pub google: Option<GooglePlace>,
}

/// Where an AKS cluster is.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct AzurePlace {
    /// Subscription; left out, the provider's.
    pub subscription_id: Option<String>,
    /// Resource group; left out, the one that the provider makes for its owner in the region.
    pub resource_group: Option<String>,
}

/// Where a GKE cluster is.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct GooglePlace {
    /// Project; left out, the provider's.
    pub project: Option<String>,
}

/// The data source `paymesh_cluster`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup;

#[async_trait]
impl DataSource for Lookup {
    type Spec = LookupSpec;
    type Session = Session;

    async fn read(
        &self,
        call: Call<Session>,
        spec: LookupSpec,
        found: &mut Findings,
    ) -> Option<ClusterStatus> {
        let assumed = assumed(&call, &spec);
        let id = id_of(&call, spec, found)?;
        let mut answers = Findings::new();
        let status = look_up(&call, &id, &mut answers).await;
        for mut finding in answers {
            if finding.severity == Severity::Error {
                finding.detail.extend(assumed.as_deref());
            }
            found.add(finding);
        }
        status
    }
}

/// What of the address nobody wrote, for whom nothing is found there.
fn assumed(session: &Session, spec: &LookupSpec) -> Option<String> {
    let place = spec.azure.as_ref()?;
    place.resource_group.is_none().then(|| {
        format!(
            ". azure.resource_group is left out, so the group is the one that Paymesh makes for owner \
             {:?}, whether it exists or not: name the group if the cluster is in another",
            session.owner()
        )
    })
}

/// What the cluster `id` reports.
pub(super) async fn look_up(
    session: &Session,
    id: &str,
    found: &mut Findings,
) -> Option<ClusterStatus> {
    if !session.is_known() {
        refuse(
            found,
            Path::root(),
            &codes::LOOKUP_NEEDS_SETTINGS,
            "part of the provider block depends on something that does not exist yet",
        );
        return None;
    }
    let status = if let Ok(name) = ClusterName::parse(id) {
        google::report(session, &name, found).await?
    } else if let Ok(id) = ArmId::parse(id) {
        azure::report(session, &id, found).await?
    } else {
        not_an_id(id, Path::root().attribute("cluster_id"), found);
        return None;
    };
    Some(status)
}

/// The word for a cluster that is there and sound, or not.
pub(super) fn standing(is_sound: bool) -> String {
    if is_sound { READY } else { INCOMPLETE }.to_owned()
}

/// The pools as they are, under the names they have.
pub(super) fn chosen(spec: &ClusterSpec) -> BTreeMap<String, PoolStatus> {
    let mut pools = intent::pools(&choice::choose(spec, None));
    for (key, pool) in &mut pools {
        pool.cloud_name = Some(key.clone());
    }
    pools
}

/// Says that `id` names no cluster.
pub(super) fn not_an_id(id: &str, path: Path, found: &mut Findings) {
    let detail = format!(
        "{id:?} is neither the ARM id of an AKS cluster nor projects/P/locations/L/clusters/C"
    );
    refuse(found, path, &codes::NOT_A_CLUSTER_ID, detail);
}

/// Says why there is no token.
pub(super) fn no_token(why: &str, found: &mut Findings) {
    refuse(found, Path::root(), &codes::NO_TOKEN_FOR_CLUSTER, why);
}

fn id_of(session: &Session, spec: LookupSpec, found: &mut Findings) -> Option<String> {
    if let Some(id) = spec.cluster_id {
        return Some(id);
    }
    let (name, region) = (spec.name?, spec.region?);
    let id = match (spec.azure, spec.google) {
        (Some(place), _) => {
            let azure = AzureCluster {
                subscription_id: place.subscription_id,
                resource_group: place.resource_group,
                ..AzureCluster::default()
            };
            azure::id_at(session, &azure, &region, &name).map(|id| id.to_string())
        }
        (None, place) => {
            let google = GoogleCluster {
                project: place.and_then(|place| place.project),
                ..GoogleCluster::default()
            };
            google::project_of(session, &google).map(|project| {
                let place = Location {
                    project,
                    location: region,
                };
                ClusterName {
                    place,
                    cluster: name,
                }
                .to_string()
            })
        }
    };
    id.map_err(|why| refuse(found, Path::root(), &codes::PLACE_NOT_KNOWN, why))
        .ok()
}

/// Either an id, or a name with its region and cloud.
fn check(draft: &Draft<LookupSpec>, path: &Path, found: &mut Findings) {
    let set = |field: bool, name: &'static str| field.then_some(name);
    let named: Vec<_> = [
        set(!draft.name.is_null(), "name"),
        set(!draft.region.is_null(), "region"),
        set(!draft.azure.is_null(), "azure"),
        set(!draft.google.is_null(), "google"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let clouds = u8::from(!draft.azure.is_null()) + u8::from(!draft.google.is_null());
    let is_whole = !draft.name.is_null() && !draft.region.is_null() && clouds == 1;
    let detail = match (&draft.cluster_id, is_whole) {
        (Field::Null, true) => return,
        (Field::Null, false) if named.is_empty() => {
            "nothing says which; id is what is found, cluster_id is what is looked for".to_owned()
        }
        (Field::Null, false) => format!("set are only: {}", named.join(", ")),
        _ if named.is_empty() => return,
        _ => format!("cluster_id is set, and so is {}", named.join(", ")),
    };
    refuse(found, path.clone(), &codes::LOOKUP_AMBIGUOUS, detail);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fixture;

    #[test]
    fn who_looks_for_nothing_is_told_which_attribute_says_what() {
        let place = json!({
            "cluster_id": null, "name": null, "region": null, "azure": null, "google": null,
        });
        let mut found = Findings::new();
        LookupSpec::read(&fixture::value(&place), &mut found);
        let said = found.to_string();
        assert!(said.contains("cluster_id is what is looked for"), "{said}");
    }
}
