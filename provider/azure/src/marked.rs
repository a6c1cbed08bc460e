//! What bears a mark in a subscription, whoever made it, and its removal without the configuration
//! that it was made from.
//!
//! AKS copies a cluster's tags onto everything in the group that it manages for it. All of that
//! goes with the cluster, and is nothing of ours to remove.

use std::time::Duration;

use paymesh_cloud::{Error, ErrorKind, Operation, Request};
use paymesh_engine::{Limits, Mark};
use serde_json::Value;

use crate::{
    ArmId, Azure, ClusterSeen, cluster_object_id,
    connection::{api, busy, version},
    diagnostics, group,
    json::text,
    role, tags,
};

/// The kinds of marked resources, in the order in which they go: what uses before what is used.
const KINDS: [(&str, &str); 3] = [
    (
        "managed cluster",
        "Microsoft.ContainerService/managedClusters",
    ),
    (
        "managed identity",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
    ),
    ("resource group", "Microsoft.Resources/resourceGroups"),
];

/// A resource that bears a mark.
#[derive(Clone, Debug)]
pub struct Marked {
    /// Its id.
    pub id: ArmId,
    /// What it is.
    pub kind: &'static str,
    /// The mark's owner.
    pub owner: String,
    /// The mark's name.
    pub name: String,
    /// The state entry that holds it, if it says so.
    pub holder: Option<String>,
    /// The clusters of its subscription that use it, whosever they are, by their ids.
    pub users: Vec<String>,
}

impl Marked {
    /// Why it stays that somebody has taken over since it was listed.
    const TAKEN: &str = "it was taken over meanwhile, and bears another mark";

    fn read(body: &Value) -> Option<Self> {
        let of = text(body, "/type")?;
        let (kind, _) = KINDS.iter().find(|(_, it)| it.eq_ignore_ascii_case(of))?;
        let tag = |key: &str| tags::tag(&body["tags"], key).map(str::to_owned);
        Some(Self {
            id: ArmId::parse(text(body, "/id")?).ok()?,
            kind,
            owner: tag(Mark::OWNER_KEY)?,
            name: tag(Mark::NAME_KEY)?,
            holder: tag(Mark::HOLDER_KEY),
            users: Vec::new(),
        })
    }

    /// Those among `clusters` that use it.
    fn users_among(&self, clusters: &[Value]) -> Vec<String> {
        let is_user = |cluster: &ClusterSeen<'_>| {
            let mut ids = cluster.identity_ids();
            ids.any(|id| id.eq_ignore_ascii_case(self.id.as_str()))
        };
        let users = clusters.iter().map(ClusterSeen::new).filter(is_user);
        users
            .filter_map(ClusterSeen::id)
            .map(str::to_owned)
            .collect()
    }

    /// Whether `body` bears the mark that was listed: who imported it meanwhile has another holder.
    fn is_borne_by(&self, body: &Value) -> bool {
        let listed = [Some(&self.owner), Some(&self.name), self.holder.as_ref()];
        let keys = [Mark::OWNER_KEY, Mark::NAME_KEY, Mark::HOLDER_KEY];
        keys.map(|key| tags::tag(&body["tags"], key)) == listed.map(|it| it.map(String::as_str))
    }

    fn is(&self, kind: usize) -> bool {
        self.kind == KINDS[kind].0
    }

    /// Whether it is a resource group.
    pub fn is_group(&self) -> bool {
        self.is(2)
    }

    fn address(&self) -> String {
        format!("{}?api-version={}", self.id, self.version())
    }

    fn version(&self) -> &'static str {
        match () {
            () if self.is(0) => version::CLUSTERS,
            () if self.is(1) => version::IDENTITIES,
            () => version::GROUPS,
        }
    }
}

impl Azure {
    /// Everything in `subscription` that bears a mark, in the order in which it can be removed.
    pub async fn marked(&self, subscription: &str) -> Result<Vec<Marked>, Error> {
        let at = format!("/subscriptions/{subscription}");
        let query = [("api-version", version::GROUPS)];
        let mut all = self
            .list(&format!("{at}/resourcegroups"), &query, api::ARM)
            .await?;
        let managed: Vec<ArmId> = all
            .iter()
            .filter(|group| text(group, "/managedBy").is_some())
            .filter_map(|group| ArmId::parse(text(group, "/id")?).ok())
            .collect();
        let tagged = format!("tagName eq '{}'", Mark::OWNER_KEY);
        let query = [("api-version", version::GROUPS), ("$filter", &tagged)];
        all.extend(
            self.list(&format!("{at}/resources"), &query, api::ARM)
                .await?,
        );
        let mut marked: Vec<Marked> = all.iter().filter_map(Marked::read).collect();
        marked.retain(|it| {
            let group = it.id.group_id();
            !group.is_some_and(|group| managed.contains(&group))
        });
        let clusters = format!("{at}/providers/{}", KINDS[0].1);
        let query = [("api-version", version::CLUSTERS)];
        let clusters = self.list(&clusters, &query, api::ARM).await?;
        for it in &mut marked {
            it.users = it.users_among(&clusters);
        }
        marked.sort_by_key(|it| KINDS.iter().position(|(kind, _)| *kind == it.kind));
        Ok(marked)
    }

    /// Removes it, and with it what it would leave behind: roles, and where its logs go. Says why, if
    /// it stays.
    pub async fn remove(&self, marked: &Marked) -> Result<Option<String>, Error> {
        let id = &marked.id;
        let Some(mut body) = self.still(marked).await? else {
            return Ok(None);
        };
        if marked.is(0) {
            self.pools_rest(id).await?;
        }
        if busy(&body).is_some() {
            self.rest(&marked.address()).await?;
        }
        if marked.is(0) || busy(&body).is_some() {
            let Some(after) = self.still(marked).await? else {
                return Ok(None);
            };
            body = after;
        }
        if !marked.is_borne_by(&body) {
            return Ok(Some(Marked::TAKEN.to_owned()));
        }
        if marked.is_group()
            && let Some(why) = group::inhabitants(self, id).await?
        {
            return Ok(Some(why));
        }
        let request = Request::delete(id.as_str());
        let reply = match self.write(request, marked.version(), api::ARM).await {
            Err(error) if error.is_not_found() && self.still(marked).await?.is_none() => None,
            reply => Some(reply?),
        };
        // Only now: what the cloud refuses to delete goes on with what it has.
        if !marked.is_group() {
            self.remove_roles(marked, &body).await?;
        }
        if marked.is(0) {
            let logs = diagnostics::path_of(id);
            self.delete(&logs, version::DIAGNOSTICS, api::ARM).await?;
        }
        let operation = reply.and_then(|it| Operation::azure(&it, &marked.address(), true));
        if let Some(operation) = operation {
            self.client().wait(&operation, self.longest()).await?;
        }
        Ok(None)
    }

    /// What it is now; nothing, if the cloud says several times in a row that it is gone.
    async fn still(&self, marked: &Marked) -> Result<Option<Value>, Error> {
        let clock = self.client().clock();
        let limits = Limits::writing(clock);
        for read in 0..limits.absent_reads {
            if read > 0 {
                clock.sleep(limits.pause).await;
            }
            self.forget_reads();
            let body = self
                .read(marked.id.as_str(), marked.version(), api::ARM)
                .await?;
            if body.is_some() {
                return Ok(body);
            }
        }
        Ok(None)
    }

    /// Waits until none of the cluster's pools is at work: the cluster itself does not show it, and
    /// is not deleted meanwhile.
    async fn pools_rest(&self, cluster: &ArmId) -> Result<(), Error> {
        let query = [("api-version", version::CLUSTERS)];
        let path = format!("{cluster}/agentPools");
        for pool in self.list(&path, &query, api::ARM).await? {
            if let Some(pool) = busy(&pool).and(text(&pool, "/id")) {
                let address = format!("{pool}?api-version={}", version::CLUSTERS);
                self.rest(&address).await?;
            }
        }
        Ok(())
    }

    /// Waits until nothing works on what is at `address`; how that ended does not matter.
    async fn rest(&self, address: &str) -> Result<(), Error> {
        let operation = Operation::of_object(address, false);
        match self.client().wait(&operation, self.longest()).await {
            Err(error) if error.kind != ErrorKind::Operation && !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the roles that the owner's mark stands for, anywhere in the subscription: nobody can
    /// use them afterwards, and they would be listed as held by nobody. Those are all roles of an
    /// identity that bears the mark or that the cluster made for itself, and what the owner has
    /// given on the cluster or to its kubelets. An identity that others brought keeps what others
    /// gave it.
    async fn remove_roles(&self, marked: &Marked, body: &Value) -> Result<(), Error> {
        let id = &marked.id;
        let subscription = format!("/subscriptions/{}", id.subscription().unwrap_or_default());
        let of = |principal: &str| format!("principalId eq '{principal}'");
        let mut lists = Vec::new();
        if marked.is(0) {
            lists.push((id.to_string(), "atScope()".to_owned(), false));
            let kubelet = &body["properties"]["identityProfile"]["kubeletidentity"];
            if let Some(principal) = text(kubelet, "/objectId") {
                lists.push((subscription, of(principal), is_made_by(body, kubelet)));
            }
        } else if let Some(principal) = text(body, "/properties/principalId") {
            lists.push((subscription, of(principal), true));
        }
        let cluster = cluster_object_id(id);
        for (scope, filter, are_all_ours) in lists {
            let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
            let query = [("api-version", version::ROLES), ("$filter", &filter)];
            for role in self.list(&path, &query, api::ARM).await? {
                let is_ours = are_all_ours || role::is_for(&marked.owner, &cluster, &role);
                if let Some(role) = text(&role, "/id").filter(|_| is_ours) {
                    self.delete(role, version::ROLES, api::ARM).await?;
                }
            }
        }
        Ok(())
    }

    fn longest(&self) -> Duration {
        Limits::writing(self.client().clock()).busy
    }
}

/// Whether AKS made the identity `kubelet` for the cluster `body`: then it lies in the group that
/// AKS manages for the cluster, and goes with it.
fn is_made_by(body: &Value, kubelet: &Value) -> bool {
    let group = text(body, "/properties/nodeResourceGroup");
    let identity = text(kubelet, "/resourceId").and_then(|id| ArmId::parse(id).ok());
    let lies_in = identity.as_ref().and_then(ArmId::group_name);
    group
        .zip(lies_in)
        .is_some_and(|(group, lies_in)| group.eq_ignore_ascii_case(lies_in))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_users(cluster: &Value, users: &[&str]) {
        let mark = Mark::new("payments/prod", "/clusters/a");
        let identity = Marked::read(&json!({
            "id": ID,
            "type": KINDS[1].1,
            "tags": tags::marked(&[].into(), &mark, None),
        }));
        let identity = identity.expect("it bears a mark");
        assert_eq!(identity.users_among(std::slice::from_ref(cluster)), users);
    }

    const ID: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a";

    #[test]
    fn an_identity_has_the_clusters_as_users_whose_control_plane_or_kubelets_are_it() {
        let cluster = |ids: Value, kubelet: &str| {
            json!({
                "id": "/clusters/b",
                "identity": { "userAssignedIdentities": ids },
                "properties": { "identityProfile": { "kubeletidentity": { "resourceId": kubelet } } },
            })
        };
        let spelled = ID.to_uppercase();
        check_users(&cluster(json!({}), "/other"), &[]);
        check_users(
            &cluster(json!({ spelled.as_str(): {} }), "/other"),
            &["/clusters/b"],
        );
        check_users(&cluster(json!({}), &spelled), &["/clusters/b"]);
    }
}
