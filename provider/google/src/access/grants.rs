//! The roles that are granted for one cluster on a project or a repository.
//!
//! A policy is one document that everybody writes. All grants of a cluster in it are one object:
//! one read tells them, whoever made them and when, and one conditional write brings them to what
//! is wanted. The etag makes a lost race visible, and the lock keeps this process from racing
//! with itself. A lost race is run again here and not by the engine, which would look and decide
//! anew: a policy may be read as it was before, and only a write that is accepted under its etag
//! proves that what was read is true.

use std::{collections::BTreeSet, fmt, sync::Arc};

use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, LockKey, Mark, Object, ObjectId, Observation, Ownership,
    Seen, Sent, Subject, async_trait,
};
use serde_json::{Value, json};

use super::account::AccountWant;
use super::{
    Race, needs_role,
    policy::{self, Grant, Sign},
    roles, unknown_yet,
};
use crate::{ClusterName, Google, client::Api, cluster::Cluster, fault::fault};

/// What roles are granted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A project, by its id.
    Project(String),
    /// An image repository: `projects/PROJECT/locations/LOCATION/repositories/NAME`.
    Repository(String),
}

/// The grants of a cluster on one scope.
#[derive(Clone, Debug)]
pub struct GrantsWant {
    /// The cluster.
    pub cluster: ClusterName,
    /// On what.
    pub scope: Scope,
    /// The account that gets the scope's role for nodes; `None` grants it to nobody.
    pub account: Option<AccountWant>,
    /// Who administers the cluster: `group:payments@example.com`.
    pub admins: Vec<String>,
}

/// The grants of a cluster on one scope, as an object of the engine.
pub struct Grants {
    google: Arc<Google>,
    want: GrantsWant,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(project) => write!(f, "projects/{project}"),
            Self::Repository(path) => f.write_str(path),
        }
    }
}

impl Scope {
    fn api(&self) -> Api {
        match self {
            Self::Project(_) => Api::Projects,
            Self::Repository(_) => Api::Artifacts,
        }
    }

    /// The request that reads the policy, conditions included. The two services disagree on its
    /// verb.
    pub(crate) fn read(&self) -> Request {
        let address = self.api().address(&format!("{self}:getIamPolicy"));
        match self {
            Self::Project(_) => {
                let body = json!({ "options": { "requestedPolicyVersion": policy::VERSION } });
                Request::post(address, body).reading()
            }
            Self::Repository(_) => Request::get(address).query(
                "options.requestedPolicyVersion",
                policy::VERSION.to_string(),
            ),
        }
    }

    /// What nodes need here.
    fn node_role(&self) -> &'static str {
        match self {
            Self::Project(_) => roles::NODES,
            Self::Repository(_) => roles::PULL,
        }
    }

    /// What lets the deployer write the policy.
    fn writer(&self) -> &'static str {
        match self {
            Self::Project(_) => "roles/resourcemanager.projectIamAdmin",
            Self::Repository(_) => "roles/artifactregistry.admin",
        }
    }
}

impl GrantsWant {
    /// The engine's name of the grants.
    pub fn object_id(&self) -> ObjectId {
        ObjectId::new("IAM grants", format!("{} for {}", self.scope, self.cluster))
    }

    fn grants(&self) -> BTreeSet<Grant> {
        let nodes = self.account.iter().map(|account| Grant {
            role: self.scope.node_role().to_owned(),
            member: format!("serviceAccount:{}", account.email()),
            of_cluster: false,
        });
        let admins = self.admins.iter().map(|member| Grant {
            role: roles::CLUSTER_ADMIN.to_owned(),
            member: member.clone(),
            of_cluster: true,
        });
        nodes.chain(admins).collect()
    }
}

impl Google {
    /// Who administers `cluster` by grants of Paymesh, whoever's mark they bear:
    /// `group:payments@example.com`.
    pub async fn admins(&self, cluster: &ClusterName) -> Result<Vec<String>, Fault> {
        let scope = Scope::Project(cluster.place.project.clone());
        let object = ObjectId::new("IAM policy", scope.to_string());
        let answer = self.send(scope.api(), &object, scope.read()).await?;
        let policy = policy::policy_of(answer).map_err(|error| fault(object, &error))?;
        Ok(admins_in(&policy, cluster))
    }
}

/// Who administers `cluster` by the grants of Paymesh in `policy`.
pub fn admins_in(policy: &Value, cluster: &ClusterName) -> Vec<String> {
    let mark = Mark::of("", &Cluster::id_of(cluster));
    let sign = Sign::new(&mark, &cluster.to_string(), None);
    let ours = policy::ours(policy, &sign).into_iter();
    ours.filter(|grant| grant.role == roles::CLUSTER_ADMIN)
        .map(|grant| grant.member)
        .collect()
}

impl Grants {
    /// The grants that `want` describes.
    pub fn new(google: Arc<Google>, want: GrantsWant) -> Self {
        Self { google, want }
    }

    fn sign(&self, cx: &Context) -> Sign {
        let account = self.want.account.as_ref().map(AccountWant::email);
        Sign::new(&cx.mark, &self.want.cluster.to_string(), account)
    }

    async fn send(&self, request: Request) -> Result<Value, Fault> {
        let scope = &self.want.scope;
        let sent = self.google.send(scope.api(), &self.id(), request).await;
        sent.map_err(|fault| needs_role(fault, scope.writer(), &scope.to_string()))
    }

    /// The policy that `read` asks for; `None` if there is no such project or repository.
    async fn policy(&self, read: Request) -> Result<Option<Value>, Fault> {
        match self.send(read).await {
            Ok(answer) => policy::policy_of(answer)
                .map(Some)
                .map_err(|error| fault(self.id(), &error)),
            Err(fault) if fault.kind == FaultKind::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Writes `wanted` in place of what is ours, again as long as the race is lost.
    async fn write(&self, cx: &Context, wanted: &BTreeSet<Grant>) -> Result<Sent, Fault> {
        let mut race = Race::begin(&cx.clock);
        loop {
            let fault = match self.write_once(cx, wanted).await {
                Err(fault) if fault.kind == FaultKind::LostRace => fault,
                result => return result,
            };
            let Some(wait) = race.lost(fault.retry_after) else {
                return Err(Fault {
                    kind: FaultKind::KeepsChanging,
                    message: format!("{} {}", fault.message, race.told()),
                    next: Some(Race::NEXT.to_owned()),
                    ..fault
                });
            };
            // A run that is asked to stop ends at the engine.
            if !cx.wait(wait).await {
                return Err(fault);
            }
        }
    }

    async fn write_once(&self, cx: &Context, wanted: &BTreeSet<Grant>) -> Result<Sent, Fault> {
        let scope = &self.want.scope;
        let Some(before) = self.policy(scope.read()).await? else {
            let fault = Fault::new(
                self.id(),
                FaultKind::Refused,
                format!("{scope} does not exist."),
            );
            return Err(fault
                .at("registries")
                .next("Create it first, or correct its id."));
        };
        let sign = self.sign(cx);
        let ours = self.managed(policy::ours(&before, &sign), wanted.is_empty());
        let after = policy::changed(&before, &sign, &ours, wanted);
        let address = scope.api().address(&format!("{scope}:setIamPolicy"));
        self.send(Request::post(address, json!({ "policy": after })))
            .await
            .map(|_| Sent::Done)
            .map_err(|fault| self.blame(fault))
    }

    /// Whether grants are to bear our owner instead of another, from which the cluster was imported.
    /// Until the cluster itself bears our mark, it is only looked at.
    fn takes_over(&self, cx: &Context, seen: &Seen) -> bool {
        let cluster = cx.seen(&Cluster::id_of(&self.want.cluster));
        cluster.is_none_or(|it| it.ownership == Ownership::Ours)
            && policy::bears_another_owner(&seen.body, &self.sign(cx))
    }

    /// What of `ours` may be taken away: roles that somebody gave the account by hand stay as
    /// long as the account does.
    fn managed(&self, ours: BTreeSet<Grant>, is_end: bool) -> BTreeSet<Grant> {
        let role = self.want.scope.node_role();
        let is_managed = |grant: &Grant| is_end || grant.of_cluster || grant.role == role;
        ours.into_iter().filter(is_managed).collect()
    }

    /// Whom the cloud does not know is either new, or misspelt in the configuration.
    fn blame(&self, fault: Fault) -> Fault {
        let names = |member: &String| {
            let address = member.split_once(':').map_or("", |(_, address)| address);
            fault.message.contains(address)
        };
        let culprit = self
            .want
            .admins
            .iter()
            .find(|member| names(member))
            .cloned();
        match culprit {
            Some(member) if fault.kind == FaultKind::Refused => fault
                .at("admins")
                .next(format!("Correct the address or the kind of {member}.")),
            _ => unknown_yet(fault),
        }
    }
}

#[async_trait]
impl Object for Grants {
    fn id(&self) -> ObjectId {
        self.want.object_id()
    }

    fn attribute(&self) -> Option<String> {
        match &self.want.scope {
            Scope::Repository(_) => Some("registries".to_owned()),
            Scope::Project(_) => (!self.want.admins.is_empty()).then(|| "admins".to_owned()),
        }
    }

    fn needs(&self) -> Vec<ObjectId> {
        let account = self.want.account.as_ref();
        account.map(AccountWant::object_id).into_iter().collect()
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(format!("{}:iamPolicy", self.want.scope))]
    }

    fn frees_locks_early(&self) -> bool {
        true
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let read = self.want.scope.read().shared();
        let shared = read.path().to_owned();
        let policy = self.policy(read).await?;
        let is_ours = |policy: &Value| !policy::ours(policy, &self.sign(cx)).is_empty();
        let Some(policy) = policy.filter(is_ours) else {
            // Whoever doubts that nothing is there must not be shown this answer again.
            let client = self.google.client(self.want.scope.api());
            client.forget_reads_around(&shared);
            return Ok(Observation::Absent);
        };
        let mut seen = Seen::new(policy);
        seen.ownership = Ownership::Ours;
        Ok(Observation::Present(seen))
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        let wanted = self.want.grants();
        let there = self.managed(policy::ours(&seen.body, &self.sign(cx)), false);
        let mut subjects: Vec<Subject> = Vec::new();
        for grant in wanted.symmetric_difference(&there) {
            let subject = match (&self.want.scope, grant.of_cluster) {
                (_, true) => Subject::Attribute("admins".to_owned()),
                (Scope::Repository(_), false) => Subject::Attribute("registries".to_owned()),
                (Scope::Project(_), false) => Subject::Setting("roles of the nodes".to_owned()),
            };
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        let admins = Subject::Attribute("admins".to_owned());
        if !subjects.contains(&admins) && self.takes_over(cx, seen) {
            subjects.push(admins);
        }
        if subjects.is_empty() {
            Difference::Same
        } else {
            Difference::change(subjects)
        }
    }

    async fn apply(&self, cx: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        self.write(cx, &self.want.grants()).await
    }

    async fn delete(&self, cx: &Context, _: &Seen) -> Result<Sent, Fault> {
        self.write(cx, &BTreeSet::new()).await
    }
}
