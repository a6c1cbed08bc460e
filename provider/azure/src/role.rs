//! A role assignment. Its name is a UUID computed from what it is, so finding it by that name is
//! proof that it is ours.
//!
//! The cloud admits one assignment of a role to a principal at a scope. One that exists under
//! another name serves as well: it is used. It is deleted here only if its description says that
//! another owner made it for the same cluster, from which the cluster was imported.

use async_trait::async_trait;
use paymesh_cloud::{Error, Request};
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, Mark, Object, ObjectId, Observation, Ownership, Seen,
    Sent, Subject,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    AssignmentSeen, Azure, Identity,
    connection::{api, version},
    fault::fault,
    json::text,
};

/// Ids of the built-in roles that clusters need; the same in every Azure cloud.
pub mod well_known_roles {
    /// Lets a control plane join nodes and load balancers to a subnet.
    pub const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";
    /// Lets kubelets pull images from a registry.
    pub const ACR_PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
    /// All rights inside one cluster, through Azure RBAC.
    pub const CLUSTER_ADMIN: &str = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b";
}

const ASSIGNMENTS: &str = "providers/Microsoft.Authorization/roleAssignments";

/// The namespace of the names.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b1d_8d0a_9f9e_4d43_9a8b_7a25_1d1d_52c4);

/// Who gets a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user, group or application by its directory id.
    Known {
        /// The object id.
        id: String,
        /// `User`, `Group` or `ServicePrincipal`.
        kind: String,
    },
    /// An identity of the graph.
    Identity(ObjectId),
    /// The kubelet identity of a cluster of the graph.
    KubeletOf(ObjectId),
    /// Whoever is signed in when the assignment is first made. Later runs keep to that principal,
    /// whoever runs them.
    Deployer,
}

/// A role assignment as it is wanted.
#[derive(Clone, Debug)]
pub struct RoleWant {
    /// The resource that the role is about.
    pub scope: String,
    /// The id of the role's definition.
    pub role: String,
    /// Who gets it.
    pub principal: Principal,
    /// The user's attribute that asks for it, if one does.
    pub attribute: Option<String>,
    /// Objects that must exist first, besides the principal: the scope, if it is of the graph.
    pub needs: Vec<ObjectId>,
}

/// A role assignment.
pub struct Role {
    azure: Azure,
    owner: String,
    want: RoleWant,
}

impl Role {
    /// The assignment that is wanted by `owner`.
    pub fn new(azure: &Azure, owner: &str, want: RoleWant) -> Self {
        Self {
            azure: azure.clone(),
            owner: owner.to_owned(),
            want,
        }
    }

    /// The assignment's name.
    pub fn name(&self) -> String {
        let want = &self.want;
        name(&self.owner, &want.scope, &want.role, &want.principal)
    }

    fn path(&self) -> String {
        let (scope, name) = (&self.want.scope, self.name());
        format!("{scope}/{ASSIGNMENTS}/{name}")
    }

    /// The principal's id, as far as the graph knows it.
    fn known_principal(&self, cx: &Context) -> Option<(String, String)> {
        let service = "ServicePrincipal".to_owned();
        match &self.want.principal {
            Principal::Known { id, kind } => Some((id.clone(), kind.clone())),
            Principal::Identity(id) => {
                Some((Identity::principal_id(cx.seen(id)?)?.to_owned(), service))
            }
            Principal::KubeletOf(id) => {
                let path = "/properties/identityProfile/kubeletidentity/objectId";
                Some((text(&cx.seen(id)?.body, path)?.to_owned(), service))
            }
            Principal::Deployer => {
                let (kind, id) = cx.remark(&self.id())?.split_once(' ')?;
                Some((id.to_owned(), kind.to_owned()))
            }
        }
    }

    /// The principal's id, once it is known.
    async fn principal(&self, cx: &Context) -> Result<Option<(String, String)>, Fault> {
        let known = self.known_principal(cx);
        if known.is_some() || self.want.principal != Principal::Deployer {
            return Ok(known);
        }
        let signed_in = self.azure.signed_in().await;
        let signed_in = signed_in.map_err(|error| self.fault(&error))?;
        Ok(Some((signed_in.object_id, signed_in.kind)))
    }

    /// The same assignment under another name.
    async fn twin(&self, cx: &Context) -> Result<Option<Value>, Fault> {
        let is_absent = |id: &ObjectId| {
            let known = cx.observations.observation(id);
            known.is_some_and(|it| it.seen().is_none())
        };
        if self.needs().iter().any(is_absent) {
            return Ok(None);
        }
        let Some((principal, _)) = self.principal(cx).await? else {
            return Ok(None);
        };
        let filter = format!("principalId eq '{principal}'");
        let query = [("api-version", version::ROLES), ("$filter", &filter)];
        let path = format!("{}/{ASSIGNMENTS}", self.want.scope);
        let listed = match self.azure.list(&path, &query, api::ARM).await {
            Err(error) if error.is_not_found() => return Ok(None),
            listed => listed.map_err(|error| self.fault(&error))?,
        };
        let is = |body: &Value, at: &str, wanted: &str| {
            text(body, at).is_some_and(|it| it.trim_end_matches('/').eq_ignore_ascii_case(wanted))
        };
        let definition = self.definition();
        Ok(listed.into_iter().find(|body| {
            is(
                body,
                "/properties/scope",
                self.want.scope.trim_end_matches('/'),
            ) && is(body, "/properties/principalId", &principal)
                && text(body, "/properties/roleDefinitionId")
                    .is_some_and(|it| it.rsplit('/').next() == definition.rsplit('/').next())
        }))
    }

    fn definition(&self) -> String {
        let subscription = self.want.scope.split('/').nth(2).unwrap_or_default();
        format!(
            "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.want.role
        )
    }

    fn seen(&self, body: Value) -> Seen {
        let remark = (self.want.principal == Principal::Deployer)
            .then(|| {
                let kind = text(&body, "/properties/principalType").unwrap_or("ServicePrincipal");
                Some(format!(
                    "{kind} {}",
                    text(&body, "/properties/principalId")?
                ))
            })
            .flatten();
        let mut seen = Seen::new(body);
        seen.ownership = Ownership::Ours;
        seen.remark = remark;
        seen
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        fault(self.id(), error)
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        let sent = self.azure.delete(path, version::ROLES, api::ARM).await;
        sent.map(drop).map_err(|error| self.fault(&error))
    }
}

/// The name of the assignment of `role` at `scope` to `principal` by `owner`.
fn name(owner: &str, scope: &str, role: &str, principal: &Principal) -> String {
    let principal = match principal {
        Principal::Known { id, .. } => id.to_ascii_lowercase(),
        Principal::Identity(id) => id.to_string(),
        Principal::KubeletOf(id) => format!("kubelet of {id}"),
        Principal::Deployer => "deployer".to_owned(),
    };
    let scope = scope.to_ascii_lowercase();
    let words = [owner, &scope, role, &principal];
    Uuid::new_v5(&NAMESPACE, words.join("\n").as_bytes()).to_string()
}

/// The digests of the mark that the assignment `body` bears.
fn mark_in(body: &Value) -> Option<[&str; 2]> {
    Mark::digests_in(text(body, "/properties/description")?)
}

/// Whether another owner than that of `mark` made the assignment `body` for the same cluster: it
/// was left when the cluster was imported.
fn is_inherited(mark: &Mark, body: &Value) -> bool {
    let [(_, owner), (_, name)] = mark.digests();
    mark_in(body).is_some_and(|it| it[1] == name && it[0] != owner)
}

/// Whether the assignment `body` was made for `cluster`, for its kubelets or for those who
/// administer it: its description tells the cluster, or its name that `owner` made it.
pub(crate) fn is_for(owner: &str, cluster: &ObjectId, body: &Value) -> bool {
    let [Some(named), Some(scope), Some(role), Some(id)] = [
        "/name",
        "/properties/scope",
        "/properties/roleDefinitionId",
        "/properties/principalId",
    ]
    .map(|at| text(body, at)) else {
        return false;
    };
    let [_, (_, cluster_name)] = Mark::of(owner, cluster).digests();
    if mark_in(body).is_some_and(|it| it[1] == cluster_name) {
        return true;
    }
    let role = role.rsplit('/').next().unwrap_or_default();
    let person = Principal::Known {
        id: id.to_owned(),
        kind: String::new(),
    };
    [
        person,
        Principal::Deployer,
        Principal::KubeletOf(cluster.clone()),
    ]
    .iter()
    .any(|principal| named.eq_ignore_ascii_case(&name(owner, scope, role, principal)))
}

impl Azure {
    /// Who has the role `role` at exactly `scope`.
    pub async fn assignments(&self, scope: &str, role: &str) -> Result<Vec<AssignmentSeen>, Error> {
        let query = [("api-version", version::ROLES), ("$filter", "atScope()")];
        let listed = self
            .list(&format!("{scope}/{ASSIGNMENTS}"), &query, api::ARM)
            .await?;
        let is = |body: &Value, at: &str, wanted: &str| {
            text(body, at).is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        };
        Ok(listed
            .into_iter()
            .filter(|body| is(body, "/properties/scope", scope))
            .filter(|body| {
                let definition = text(body, "/properties/roleDefinitionId");
                definition.is_some_and(|it| it.ends_with(role))
            })
            .filter_map(|body| AssignmentSeen::read(&body))
            .collect())
    }
}

#[async_trait]
impl Object for Role {
    fn id(&self) -> ObjectId {
        ObjectId::new("role assignment", self.path().to_ascii_lowercase())
    }

    fn attribute(&self) -> Option<String> {
        self.want.attribute.clone()
    }

    fn needs(&self) -> Vec<ObjectId> {
        let principal = match &self.want.principal {
            Principal::Known { .. } | Principal::Deployer => None,
            Principal::Identity(id) | Principal::KubeletOf(id) => Some(id.clone()),
        };
        principal
            .into_iter()
            .chain(self.want.needs.iter().cloned())
            .collect()
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .read(&self.path(), version::ROLES, api::ARM)
            .await;
        let mut body = found.map_err(|error| self.fault(&error))?;
        if body.is_none() {
            body = self.twin(cx).await?;
        }
        Ok(body.map_or(Observation::Absent, |body| {
            Observation::Present(self.seen(body))
        }))
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        if self.want.principal == Principal::Deployer {
            return Difference::Same;
        }
        let assigned = text(&seen.body, "/properties/principalId");
        match self.known_principal(cx) {
            // The identity was made anew: its old grant is an empty shell.
            Some((id, _)) if assigned.is_some_and(|it| !it.eq_ignore_ascii_case(&id)) => {
                Difference::change(vec![Subject::Setting("principalId".to_owned())])
            }
            _ => Difference::Same,
        }
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let Some((principal, kind)) = self.principal(cx).await? else {
            let text = "the identity that gets this role does not show its principal id yet";
            return Err(Fault::new(self.id(), FaultKind::Propagating, text));
        };
        if seen.is_some() {
            self.remove(&self.path()).await?;
        }
        let body = json!({"properties": {
            "roleDefinitionId": self.definition(),
            "principalId": principal,
            "principalType": kind,
            "description": cx.mark.line(),
        }});
        let request = Request::put(self.path(), body);
        match self.azure.write(request, version::ROLES, api::ARM).await {
            Ok(_) => Ok(Sent::Done),
            // Under another name; the next look finds it.
            Err(error) if error.has_code("RoleAssignmentExists") => Ok(Sent::Done),
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn delete(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let named = text(&seen.body, "/name");
        let path = if named.is_some_and(|it| it.eq_ignore_ascii_case(&self.name())) {
            self.path()
        } else if let Some(path) =
            text(&seen.body, "/id").filter(|_| is_inherited(&cx.mark, &seen.body))
        {
            path.to_owned()
        } else {
            let why = "another assignment of the same role served in its place, and is not touched";
            return Ok(Sent::Kept(why.to_owned()));
        };
        self.remove(&path).await.map(|()| Sent::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_inherited(description: Option<&str>, expected: bool) {
        let body = json!({ "properties": { "description": description } });
        let mark = Mark::new("payments/prod", "/clusters/main");
        assert_eq!(is_inherited(&mark, &body), expected, "{description:?}");
    }

    #[test]
    fn what_an_earlier_owner_of_the_cluster_assigned_is_told_from_what_others_did() {
        let line = |owner, name| Mark::new(owner, name).line();
        check_inherited(Some(&line("payments/before", "/clusters/main")), true);
        check_inherited(Some(&line("payments/prod", "/clusters/main")), false);
        check_inherited(Some(&line("payments/before", "/clusters/other")), false);
        check_inherited(Some("for the payments team"), false);
        check_inherited(None, false);
    }
}
