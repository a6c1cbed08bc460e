//! `paymesh_cluster`: a managed Kubernetes cluster for payment workloads, on AKS or GKE.
//!
//! [`spec`] and [`status`] are what users see; [`checks`] is what a configuration must satisfy;
//! [`choice`] is what is decided while planning. `azure` and `google` say all of it in a cloud's words.

pub mod address;
mod azure;
pub mod checks;
pub mod choice;
pub mod credentials;
#[cfg(test)]
pub(crate) mod fixture;
mod google;
mod intent;
pub mod lookup;
pub mod machines;
mod moved;
pub mod naming;
mod near;
pub mod pool;
mod preflight;
pub mod profiles;
mod replacements;
mod review;
pub mod spec;
pub mod status;
pub mod totals;

use std::time::Duration;

use async_trait::async_trait;
use paymesh_azure::ArmId;
use paymesh_engine::{Graph, Holder, Memory, Observations, Seen};
use paymesh_google::ClusterName;
use paymesh_plugin::{
    findings::Findings,
    path::{Path, Step},
    resource::{ForeignState, Replacement},
    spec::{Attribute, Draft, DurationText, Field},
    value::Value,
};

pub use choice::Prior;
pub use google::Neighbour;
pub use spec::ClusterSpec;
use spec::Power;
pub use status::{ClusterStatus, PoolStatus};

use crate::{
    converge::{Act, Converged, Place, Whole},
    session::Session,
};

/// The resource `paymesh_cluster`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cluster;

#[async_trait]
impl Converged for Cluster {
    type Spec = ClusterSpec;
    type Status = ClusterStatus;

    fn title(spec: &ClusterSpec) -> String {
        spec.name.clone()
    }

    fn cloud(spec: &ClusterSpec) -> &'static str {
        spec.cloud()
    }

    fn is_protected(spec: &ClusterSpec) -> bool {
        spec.deletion_protection
    }

    fn limit(spec: &ClusterSpec, act: Act) -> Option<Duration> {
        let timeouts = spec.timeouts.as_ref()?;
        let set = match act {
            Act::Create => &timeouts.create,
            Act::Read => &timeouts.read,
            Act::Update => &timeouts.update,
            Act::Delete => &timeouts.delete,
        };
        set.as_ref().map(DurationText::duration)
    }

    fn import_id(session: &Session, spec: &ClusterSpec) -> Option<String> {
        if !spec.on_azure() {
            return google::cluster_name(session, spec)
                .ok()
                .map(|name| name.to_string());
        }
        azure::cluster_id(session, spec)
            .ok()
            .map(|id| id.to_string())
    }

    fn wanted(session: &Session, spec: &ClusterSpec) -> ClusterSpec {
        ClusterSpec {
            labels: session.labels(&spec.labels),
            ..spec.clone()
        }
    }

    fn applied(session: &Session, (spec, status): &Whole<Self>) -> ClusterSpec {
        match &status.effective_labels {
            Some(labels) => ClusterSpec {
                labels: labels.clone(),
                ..spec.clone()
            },
            None => Self::wanted(session, spec),
        }
    }

    fn plan_additions(plan: &mut Draft<ClusterStatus>, wanted: Option<&ClusterSpec>) {
        plan.effective_labels =
            wanted.map_or(Field::Unknown, |wanted| wanted.labels.clone().into_draft());
    }

    fn graph(
        session: &Session,
        spec: &ClusterSpec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    ) -> Option<Graph> {
        let prior = prior.map(Prior::from);
        if spec.on_azure() {
            azure::graph(session, spec, prior.as_ref(), found)
        } else {
            google::graph(session, spec, prior.as_ref(), found)
        }
    }

    fn status(
        spec: &ClusterSpec,
        prior: Option<&Whole<Self>>,
        seen: &Observations,
        graph: &Graph,
    ) -> ClusterStatus {
        let prior = prior.map(Prior::from);
        let mut status = if spec.on_azure() {
            azure::status(spec, prior.as_ref(), seen, graph)
        } else {
            google::status(spec, prior.as_ref(), seen, graph)
        };
        // Labels of others are nobody's business here; where there is no cluster yet, the plan's
        // word stands.
        status.effective_labels = Some(match status.effective_labels {
            Some(seen) => near::labels(&spec.labels, seen),
            None => spec.labels.clone(),
        });
        status
    }

    fn described(
        session: &Session,
        spelling: &ClusterSpec,
        prior: &ClusterStatus,
        seen: &Observations,
    ) -> Option<ClusterSpec> {
        if spelling.on_azure() {
            azure::described(session, spelling, prior, seen)
        } else {
            google::described(spelling, prior, seen)
        }
    }

    fn together(path: Path) -> Vec<Path> {
        let names = match path.steps() {
            [Step::Attribute(name)] if name == "labels" => {
                return vec![path.clone(), Path::root().attribute("role")];
            }
            [Step::Attribute(pools), Step::Key(_), Step::Attribute(name)]
                if pools == "node_pools" =>
            {
                ["min_nodes", "max_nodes"].map(|it| (it, it == name))
            }
            _ => return vec![path],
        };
        if !names.iter().any(|(_, is_this)| *is_this) {
            return vec![path];
        }
        let pool = path.steps()[..2].iter().cloned();
        let pool = pool.fold(Path::root(), |path, step| path.step(step));
        names.map(|(name, _)| pool.attribute(name)).to_vec()
    }

    fn rests(before: &ClusterSpec, spec: &ClusterSpec, status: &ClusterStatus) -> bool {
        // The control plane of GKE runs and takes changes while no node does.
        spec.on_azure() && status.is_stopped() && spec.power != Power::On && !spec.stops(before)
    }

    fn as_applied(status: &mut ClusterStatus, before: &ClusterStatus) {
        status.effective_labels.clone_from(&before.effective_labels);
    }

    fn as_chosen(status: &mut ClusterStatus, before: &ClusterStatus) {
        status.pools.clone_from(&before.pools);
    }

    fn is_leaving(spec: &ClusterSpec, principal: &Seen) -> bool {
        if spec.on_azure() {
            paymesh_azure::ClusterSeen::new(&principal.body).is_leaving()
        } else {
            paymesh_google::ClusterSeen::new(&principal.body).is_leaving()
        }
    }

    fn forget_incarnation(status: &mut ClusterStatus) {
        status.uid = None;
        status.endpoint = None;
        status.ca_certificate = None;
        status.running_kubernetes_version = None;
        status.running_power = None;
        status.workload_identity_issuer = None;
    }

    fn set_standing(status: &mut ClusterStatus, standing: &str) {
        status.status = Some(standing.to_owned());
    }

    fn id(status: &ClusterStatus) -> Option<&str> {
        status.id.as_deref()
    }

    fn standing(status: &ClusterStatus) -> Option<&str> {
        status.status.as_deref()
    }

    fn holder(status: &ClusterStatus) -> Option<&str> {
        status.holder.as_deref()
    }

    fn set_holder(status: &mut ClusterStatus, holder: Option<&Holder>) {
        status.holder = holder.map(|holder| holder.as_str().to_owned());
    }

    fn plan_holder(plan: &mut Draft<ClusterStatus>, holder: Option<&Holder>) {
        let holder = holder.map(|holder| holder.as_str().to_owned());
        plan.holder = holder.map_or(Field::Null, Field::Known);
    }

    fn replacements(spec: &ClusterSpec, (before, _): &Whole<Self>) -> Vec<Replacement> {
        replacements::replacements(spec, before)
    }

    fn intend(
        plan: &mut Draft<ClusterStatus>,
        spec: Option<&ClusterSpec>,
        prior: Option<&Whole<Self>>,
    ) {
        let prior = prior.map(Prior::from);
        intent::intend(plan, spec, prior.as_ref());
    }

    async fn review(
        session: &Session,
        spec: &ClusterSpec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    ) {
        let prior = prior.map(Prior::from);
        review::review(session, spec, prior.as_ref(), found);
        if !spec.on_azure() {
            google::neighbours::check(session, spec, found).await;
        }
    }

    fn beware(spec: &ClusterSpec, seen: &Observations, graph: &Graph, found: &mut Findings) {
        if spec.on_azure() {
            azure::beware(spec, seen, graph, found);
        }
    }

    async fn locate(
        session: &Session,
        spec: &ClusterSpec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    ) -> bool {
        let prior = prior.map(Prior::from);
        if spec.on_azure() {
            azure::preflight::locate(session, spec, prior.as_ref(), found).await
        } else {
            google::preflight::locate(session, spec, found).await
        }
    }

    async fn preflight(
        session: &Session,
        spec: &ClusterSpec,
        prior: Option<&Whole<Self>>,
        memory: &Memory,
        found: &mut Findings,
    ) {
        let prior = prior.map(Prior::from);
        if spec.on_azure() {
            azure::preflight::check(session, spec, (prior.as_ref(), memory), found).await;
        } else {
            google::preflight::check(session, spec, (prior.as_ref(), memory), found).await;
        }
    }

    async fn complete(
        session: &Session,
        prior: Option<&Whole<Self>>,
        spec: &ClusterSpec,
        status: &mut ClusterStatus,
    ) {
        if spec.on_azure() {
            azure::complete(session, prior.map(|(_, status)| status), status).await;
        }
        near::machines(spec, status);
    }

    fn place(session: &Session, spec: &ClusterSpec, (_, status): &Whole<Self>) -> Option<Place> {
        let is = status.id.as_deref()?;
        let wanted = Self::import_id(session, spec)?;
        // ARM compares ids without case; Google's have no capitals.
        Some(if is.eq_ignore_ascii_case(&wanted) {
            Place::Stays
        } else {
            Place::Moves(format!(
                "the cluster is {is}, and the configuration places it at {wanted}: another owner, \
                 subscription or project in the provider block does not move what exists"
            ))
        })
    }

    fn only_places(path: &Path) -> bool {
        [
            "azure.subscription_id",
            "azure.resource_group",
            "google.project",
        ]
        .contains(&path.to_string().as_str())
    }

    async fn find(session: &Session, id: &str, found: &mut Findings) -> Option<Whole<Self>> {
        let spec = if let Ok(name) = ClusterName::parse(id) {
            google::find(session, &name, found).await?
        } else if let Ok(id) = ArmId::parse(id) {
            azure::find(session, &id, found).await?
        } else {
            lookup::not_an_id(id, Path::root(), found);
            return None;
        };
        // Pools keep the names they have.
        let pools = spec.node_pools.iter().map(|(key, pool)| {
            let pool = PoolStatus {
                cloud_name: Some(key.clone()),
                running_machine_type: pool.machine_type.clone(),
            };
            (key.clone(), pool)
        });
        let status = ClusterStatus {
            id: Some(id.to_owned()),
            pools: pools.collect(),
            ..ClusterStatus::default()
        };
        Some((spec, status))
    }

    fn moved(foreign: &ForeignState, found: &mut Findings) -> Option<ClusterStatus> {
        moved::moved(foreign, found)
    }

    fn id_of_identity(identity: &Value) -> Option<String> {
        identity.entry("id").as_str().map(str::to_owned)
    }
}

impl From<&Whole<Cluster>> for Prior {
    fn from((spec, status): &Whole<Cluster>) -> Self {
        Self {
            spec: spec.clone(),
            status: status.clone(),
        }
    }
}
