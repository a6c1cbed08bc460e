//! What bears a mark in a project, whoever made it, and its removal without the configuration that
//! it was made from.

use paymesh_cloud::{Error, ErrorKind, Operation, Request};
use paymesh_engine::{Limits, Mark};
use serde_json::{Value, json};

use crate::{
    ClusterName, Google, Location,
    access::{self, Scope, Sign},
    client::Api,
};

/// What a marked object is.
#[derive(Clone, Debug)]
enum Kind {
    Cluster(ClusterName),
    Account { email: String },
}

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
    project: String,
    kind: Kind,
}

impl Marked {
    /// What it is.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Cluster(_) => "GKE cluster",
            Kind::Account { .. } => "service account",
        }
    }

    /// Its project.
    pub fn project(&self) -> &str {
        &self.project
    }

    fn of_cluster(project: &str, body: &Value) -> Option<Self> {
        let label = |key: &str| body["resourceLabels"][key].as_str().map(str::to_owned);
        let name = ClusterName {
            place: Location {
                project: project.to_owned(),
                location: body["location"].as_str()?.to_owned(),
            },
            cluster: body["name"].as_str()?.to_owned(),
        };
        Some(Self {
            id: name.to_string(),
            owner: label(Mark::OWNER_KEY)?,
            name: label(Mark::NAME_KEY)?,
            holder: label(Mark::HOLDER_KEY),
            project: project.to_owned(),
            kind: Kind::Cluster(name),
        })
    }

    fn of_account(project: &str, body: &Value) -> Option<Self> {
        let word = |key: &str| access::word(body, key).map(str::to_owned);
        Some(Self {
            id: body["name"].as_str()?.to_owned(),
            owner: word(Mark::OWNER_KEY)?,
            name: word(Mark::NAME_KEY)?,
            holder: word(Mark::HOLDER_KEY),
            project: project.to_owned(),
            kind: Kind::Account {
                email: body["email"].as_str()?.to_owned(),
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
        let clusters = clusters.iter();
        let clusters = clusters.filter_map(|body| Marked::of_cluster(project, body));
        let accounts = accounts.iter();
        let accounts = accounts.filter_map(|body| Marked::of_account(project, body));
        Ok(clusters.chain(accounts).collect())
    }

    /// Removes it, and the roles that were granted for it. In the policies of image repositories
    /// an account stays as a deleted one, which has no rights.
    pub async fn remove(&self, marked: &Marked) -> Result<(), Error> {
        match &marked.kind {
            Kind::Cluster(name) => {
                self.remove_cluster(name).await?;
                self.revoke(marked, &marked.id, None).await
            }
            Kind::Account { email } => {
                self.revoke(marked, "", Some(email.clone())).await?;
                let request = Request::delete(Api::Iam.address(&marked.id));
                self.gone(Api::Iam, request).await.map(|_| ())
            }
        }
    }

    async fn remove_cluster(&self, name: &ClusterName) -> Result<(), Error> {
        let client = self.client(Api::Container);
        let limit = Limits::writing(client.clock()).busy;
        let address = Api::Container.address(&name.to_string());
        let resting = Operation::of_object(&address, false);
        match client.wait(&resting, limit).await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if error.kind != ErrorKind::Operation => return Err(error),
            // How what ran on it ended does not matter.
            _ => {}
        }
        let request = Request::delete(address.as_str());
        let Some(answer) = self.gone(Api::Container, request).await? else {
            return Ok(());
        };
        let id = answer["name"].as_str().unwrap_or_default();
        let url = Api::Container.address(&format!("{}/operations/{id}", name.place));
        let deletion = Operation::google(&url, &address, true);
        client.wait(&deletion, limit).await.map(|_| ())
    }

    /// Takes away what was granted on the project for the cluster or to the account.
    async fn revoke(
        &self,
        marked: &Marked,
        cluster: &str,
        account: Option<String>,
    ) -> Result<(), Error> {
        let scope = Scope::Project(marked.project.clone());
        let policy = self.ask(Api::Projects, scope.read()).await?;
        let sign = Sign::of_digests([&marked.owner, &marked.name], cluster, account);
        let Some(policy) = access::without(&policy, &sign) else {
            return Ok(());
        };
        let address = Api::Projects.address(&format!("{scope}:setIamPolicy"));
        let request = Request::post(address, json!({ "policy": policy }));
        self.ask(Api::Projects, request).await.map(|_| ())
    }

    async fn ask(&self, api: Api, request: Request) -> Result<Value, Error> {
        let reply = self.client(api).send(request.api(api.name())).await?;
        Ok(reply.body)
    }

    /// The answer to a delete; nothing, if there was nothing to delete.
    async fn gone(&self, api: Api, request: Request) -> Result<Option<Value>, Error> {
        match self.ask(api, request).await {
            Ok(body) => Ok(Some(body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The list called `key` at `path`, all pages of it.
    async fn pages(&self, api: Api, path: &str, key: &str) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        let mut page = String::new();
        loop {
            let mut request = Request::get(api.address(path));
            if !page.is_empty() {
                request = request.query("pageToken", page.as_str());
            }
            let mut body = self.ask(api, request).await?;
            if let Value::Array(items) = body[key].take() {
                all.extend(items);
            }
            match body["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut page),
                _ => return Ok(all),
            }
        }
    }
}
