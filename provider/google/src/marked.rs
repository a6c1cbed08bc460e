//! What bears a mark in a project, whoever made it, and its removal without the configuration that
//! it was made from.

use paymesh_cloud::{Error, ErrorKind, Operation, Request};
use paymesh_engine::{Limits, Mark};
use serde_json::{Value, json};

use crate::{
    ClusterName, ClusterSeen, Google, Location,
    access::{self, Race, Scope, Sign},
    client::Api,
};

/// What a marked object is.
#[derive(Clone, Debug)]
enum Kind {
    Cluster(ClusterName),
    /// What was granted for a cluster that is gone, or never came.
    Grants,
    Account {
        email: String,
    },
}

/// Why it stays that somebody has taken over since it was listed.
const TAKEN: &str = "it was taken over meanwhile, and bears another mark";

/// An object that bears a mark.
#[derive(Clone, Debug)]
pub struct Marked {
    /// Its id.
    pub id: String,
    /// The digest of the mark's owner.
    pub owner: String,
    /// The digest of the mark's name.
    pub name: String,
    /// The state entry that holds it, if it says so.
    pub holder: Option<String>,
    /// The clusters of its project that use it, whosever they are, by their ids.
    pub users: Vec<String>,
    project: String,
    kind: Kind,
}

impl Marked {
    /// What it is.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Cluster(_) => "GKE cluster",
            Kind::Grants => "IAM grants on",
            Kind::Account { .. } => "service account",
        }
    }

    /// Its project.
    pub fn project(&self) -> &str {
        &self.project
    }

    fn of_cluster(name: ClusterName, body: &Value) -> Option<Self> {
        let label = |key: &str| body["resourceLabels"][key].as_str().map(str::to_owned);
        Some(Self {
            id: name.to_string(),
            owner: label(Mark::OWNER_KEY)?,
            name: label(Mark::NAME_KEY)?,
            holder: label(Mark::HOLDER_KEY),
            users: Vec::new(),
            project: name.place.project.clone(),
            kind: Kind::Cluster(name),
        })
    }

    fn of_grants([owner, name]: [&str; 2], cluster: ClusterName) -> Self {
        Self {
            id: cluster.to_string(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            holder: None,
            users: Vec::new(),
            project: cluster.place.project,
            kind: Kind::Grants,
        }
    }

    fn of_account(project: &str, body: &Value, clusters: &[(ClusterName, Value)]) -> Option<Self> {
        let email = body["email"].as_str()?;
        let is_user = |cluster: &Value| ClusterSeen::new(cluster).node_accounts().contains(email);
        let users = clusters.iter().filter(|(_, cluster)| is_user(cluster));
        let word = |key: &str| access::word(body, key).map(str::to_owned);
        Some(Self {
            id: body["name"].as_str()?.to_owned(),
            owner: word(Mark::OWNER_KEY)?,
            name: word(Mark::NAME_KEY)?,
            holder: word(Mark::HOLDER_KEY),
            users: users.map(|(name, _)| name.to_string()).collect(),
            project: project.to_owned(),
            kind: Kind::Account {
                email: email.to_owned(),
            },
        })
    }
}

impl Google {
    /// Everything in `project` that bears a mark, in the order in which it can be removed: what
    /// uses before what is used.
    pub async fn marked(&self, project: &str) -> Result<Vec<Marked>, Error> {
        let clusters = format!("projects/{project}/locations/-/clusters");
        let clusters = self.pages(Api::Container, &clusters, "clusters").await?;
        let accounts = format!("projects/{project}/serviceAccounts");
        let accounts = self.pages(Api::Iam, &accounts, "accounts").await?;
        let named = |body: Value| Some((name_of(project, &body)?, body));
        let clusters: Vec<_> = clusters.into_iter().filter_map(named).collect();
        let policy = self.policy(&Scope::Project(project.to_owned())).await?;
        let mut granted = access::marks(&policy);
        granted.retain(|(_, cluster)| clusters.iter().all(|(name, _)| name != cluster));
        let granted = granted.into_iter();
        let granted = granted.map(|(mark, cluster)| Marked::of_grants(mark, cluster));
        let accounts = accounts.iter();
        let accounts = accounts.filter_map(|body| Marked::of_account(project, body, &clusters));
        let marked = clusters.iter();
        let marked = marked.filter_map(|(name, body)| Marked::of_cluster(name.clone(), body));
        Ok(marked.chain(granted).chain(accounts).collect())
    }

    /// Removes it, and with it the roles that were granted for it: what is granted on a name would
    /// count for whatever bears that name next. In the policies of image repositories an account
    /// stays as a deleted one, which has no rights. Says why, if it stays.
    pub async fn remove(&self, marked: &Marked) -> Result<Option<String>, Error> {
        let container = Api::Container.address(&marked.id);
        match &marked.kind {
            Kind::Cluster(name) => {
                self.rest(&container).await?;
                let now = |body: &Value| Marked::of_cluster(name.clone(), body);
                if self
                    .is_taken(marked, Api::Container, &container, now)
                    .await?
                {
                    return Ok(Some(TAKEN.to_owned()));
                }
                let deletion = self.delete(Api::Container, &container).await?;
                // Only now: what the cloud refuses to delete goes on with what it has.
                self.revoke(marked, &marked.id, None).await?;
                if let Some(answer) = deletion {
                    self.await_deletion(name, &answer, &container).await?;
                }
            }
            Kind::Grants => {
                if !self.is_gone(Api::Container, &container).await? {
                    return Ok(Some("the cluster is there".to_owned()));
                }
                self.revoke(marked, &marked.id, None).await?;
            }
            Kind::Account { email } => {
                let address = Api::Iam.address(&marked.id);
                let now = |body: &Value| Marked::of_account(&marked.project, body, &[]);
                if self.is_taken(marked, Api::Iam, &address, now).await? {
                    return Ok(Some(TAKEN.to_owned()));
                }
                // A policy knows it by another name once it is gone.
                self.revoke(marked, "", Some(email.clone())).await?;
                self.delete(Api::Iam, &address).await?;
            }
        }
        Ok(None)
    }

    /// Whether what is at `address` bears another mark `now` than was listed: who imported it
    /// meanwhile has another holder.
    async fn is_taken(
        &self,
        marked: &Marked,
        api: Api,
        address: &str,
        now: impl FnOnce(&Value) -> Option<Marked>,
    ) -> Result<bool, Error> {
        match self.ask(api, Request::get(address)).await {
            Err(error) if error.is_not_found() => Ok(false),
            answer => Ok(now(&answer?).is_none_or(|it| {
                (it.owner, it.name, it.holder)
                    != (
                        marked.owner.clone(),
                        marked.name.clone(),
                        marked.holder.clone(),
                    )
            })),
        }
    }

    /// Waits until nothing works on what is at `address`; how that ended does not matter.
    async fn rest(&self, address: &str) -> Result<(), Error> {
        let client = self.client(Api::Container);
        let limit = Limits::writing(client.clock()).busy;
        let resting = Operation::of_object(address, false);
        match client.wait(&resting, limit).await {
            Err(error) if error.kind != ErrorKind::Operation && !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn await_deletion(
        &self,
        name: &ClusterName,
        answer: &Value,
        address: &str,
    ) -> Result<(), Error> {
        let client = self.client(Api::Container);
        let id = answer["name"].as_str().unwrap_or_default();
        let url = Api::Container.address(&format!("{}/operations/{id}", name.place));
        let deletion = Operation::google(&url, address, true);
        let limit = Limits::writing(client.clock()).busy;
        client.wait(&deletion, limit).await.map(|_| ())
    }

    /// Takes away what was granted on the project for the cluster or to the account. Whoever writes
    /// the policy meanwhile is not overwritten: the race is run again. A read may show the policy
    /// as it was before: of what was seen in it, only a write that is accepted proves that it is
    /// gone.
    async fn revoke(
        &self,
        marked: &Marked,
        cluster: &str,
        account: Option<String>,
    ) -> Result<(), Error> {
        let scope = Scope::Project(marked.project.clone());
        let sign = Sign::of_digests([&marked.owner, &marked.name], cluster, account);
        let address = Api::Projects.address(&format!("{scope}:setIamPolicy"));
        let clock = self.client(Api::Projects).clock();
        let mut race = Race::begin(clock);
        let mut was_seen = matches!(marked.kind, Kind::Grants);
        loop {
            let policy = self.policy(&scope).await?;
            let policy = match access::without(&policy, &sign) {
                Some(changed) => changed,
                None if was_seen => policy,
                None => return Ok(()),
            };
            was_seen = true;
            let request = Request::post(address.as_str(), json!({ "policy": policy }));
            let lost = match self.ask(Api::Projects, request).await {
                Err(error) if error.is_conflict() => error,
                answer => return answer.map(|_| ()),
            };
            let Some(wait) = race.lost(lost.retry_after) else {
                let (id, told, next) = (&marked.id, race.told(), Race::NEXT);
                let text =
                    format!("what was granted for {id} stays on {scope} ({lost}). {told} {next}");
                return Err(Error::new(ErrorKind::Answer, text));
            };
            clock.sleep(wait).await;
        }
    }

    async fn policy(&self, scope: &Scope) -> Result<Value, Error> {
        access::policy_of(self.ask(Api::Projects, scope.read()).await?)
    }

    async fn ask(&self, api: Api, request: Request) -> Result<Value, Error> {
        let reply = self.client(api).send(request.api(api.name())).await?;
        Ok(reply.body)
    }

    /// The answer to a delete of what is at `address`; nothing, if it is gone.
    async fn delete(&self, api: Api, address: &str) -> Result<Option<Value>, Error> {
        match self.ask(api, Request::delete(address)).await {
            Err(error) if error.is_not_found() && self.is_gone(api, address).await? => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Whether the cloud says so several times in a row.
    async fn is_gone(&self, api: Api, address: &str) -> Result<bool, Error> {
        let clock = self.client(api).clock();
        let limits = Limits::writing(clock);
        for _ in 0..limits.absent_reads {
            clock.sleep(limits.pause).await;
            match self.ask(api, Request::get(address)).await {
                Err(error) if error.is_not_found() => {}
                answer => return answer.map(|_| false),
            }
        }
        Ok(true)
    }

    /// The list called `key` at `path`, all pages of it.
    async fn pages(&self, api: Api, path: &str, key: &str) -> Result<Vec<Value>, Error> {
        let request = || Request::get(api.address(path)).api(api.name());
        let next = |page: &Value| {
            if let Some(Value::Array(silent)) = page.get("missingZones")
                && !silent.is_empty()
            {
                let why = format!("{} do not answer, so {path} is not all.", json!(silent));
                return Err(Error::new(ErrorKind::Answer, why));
            }
            let token = page["nextPageToken"].as_str();
            let token = token.filter(|token| !token.is_empty());
            Ok(token.map(|token| request().query("pageToken", token)))
        };
        self.client(api).list(request(), key, next).await
    }
}

/// The name of the cluster `body` of `project`.
fn name_of(project: &str, body: &Value) -> Option<ClusterName> {
    Some(ClusterName {
        place: Location {
            project: project.to_owned(),
            location: body["location"].as_str()?.to_owned(),
        },
        cluster: body["name"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_users(cluster: &Value, users: &[&str]) {
        let email = "pm-a@pay.iam.gserviceaccount.com";
        let account = json!({
            "name": format!("projects/pay/serviceAccounts/{email}"),
            "email": email,
            "description": Mark::new("payments/prod", "a").line(),
        });
        let name = "projects/pay/locations/europe-west1/clusters/a";
        let name = ClusterName::parse(name).expect("it is one");
        let marked = Marked::of_account("pay", &account, &[(name, cluster.clone())]);
        assert_eq!(marked.expect("it bears a mark").users, users);
    }

    #[test]
    fn an_account_has_the_clusters_as_users_that_run_any_node_as_it() {
        let a = "projects/pay/locations/europe-west1/clusters/a";
        let [own, other] = ["pm-a", "default"].map(|account| {
            json!({ "config": { "serviceAccount": format!("{account}@pay.iam.gserviceaccount.com") } })
        });
        check_users(&json!({ "nodePools": [other] }), &[]);
        check_users(&json!({ "nodePools": [other, own] }), &[a]);
        let made = &own["config"];
        check_users(
            &json!({ "autoscaling": { "autoprovisioningNodePoolDefaults": made } }),
            &[a],
        );
    }
}
