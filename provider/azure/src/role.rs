//! A role assignment. Its name is a UUID computed from what it is, so finding it is proof that
//! it is ours.

use async_trait::async_trait;
use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, Object, ObjectId, Observation, Ownership, Seen, Sent,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Azure, Identity,
    connection::{api, version},
    fault::fault,
};

/// Ids of the built-in roles that clusters need; the same in every Azure cloud.
pub mod well_known_roles {
    /// Lets a control plane join nodes and load balancers to a subnet.
    pub const NETWORK_CONTRIBUTOR: &str = "4d97b98b-1d4f-4787-a291-c67834d212e7";
    /// Lets kubelets pull images from a registry.
    pub const ACR_PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
    /// All rights inside one cluster, through Azure RBAC.
    pub const CLUSTER_ADMIN: &str = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b";
    /// Lets a control plane use its kubelet identity.
    pub const MANAGED_IDENTITY_OPERATOR: &str = "f1a07417-d97a-45cb-824c-7a7467783830";
    /// Lets a control plane write its private DNS zone.
    pub const PRIVATE_DNS_CONTRIBUTOR: &str = "b12aa53e-6015-4669-85d0-8515ebb3ae7f";
    /// Lets a control plane encrypt secrets with a key.
    pub const KEY_VAULT_CRYPTO_USER: &str = "12338af0-0e69-4776-bea7-57ae8d297424";
}

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

    fn path(&self) -> String {
        let principal = match &self.want.principal {
            Principal::Known { id, .. } => id.to_ascii_lowercase(),
            Principal::Identity(id) => id.to_string(),
            Principal::KubeletOf(id) => format!("kubelet of {id}"),
        };
        let scope = self.want.scope.to_ascii_lowercase();
        let words = [&self.owner, &scope, &self.want.role, &principal].map(String::as_str);
        let name = Uuid::new_v5(&NAMESPACE, words.join("\n").as_bytes());
        format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/{name}",
            self.want.scope
        )
    }

    /// The principal's id, once it is known.
    fn principal(&self, cx: &Context) -> Option<(String, String)> {
        let service = "ServicePrincipal".to_owned();
        match &self.want.principal {
            Principal::Known { id, kind } => Some((id.clone(), kind.clone())),
            Principal::Identity(id) => {
                Some((Identity::principal_id(cx.seen(id)?)?.to_owned(), service))
            }
            Principal::KubeletOf(id) => {
                let path = "/properties/identityProfile/kubeletidentity/objectId";
                Some((
                    cx.seen(id)?.body.pointer(path)?.as_str()?.to_owned(),
                    service,
                ))
            }
        }
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        fault(self.id(), error)
    }

    async fn remove(&self) -> Result<(), Fault> {
        let request = Request::delete(self.path());
        match self.azure.write(request, version::ROLES, api::ARM).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(self.fault(&error)),
        }
    }
}

#[async_trait]
impl Object for Role {
    fn id(&self) -> ObjectId {
        ObjectId::new("role assignment", self.path().to_ascii_lowercase())
    }

    fn needs(&self) -> Vec<ObjectId> {
        let principal = match &self.want.principal {
            Principal::Known { .. } => None,
            Principal::Identity(id) | Principal::KubeletOf(id) => Some(id.clone()),
        };
        principal
            .into_iter()
            .chain(self.want.needs.iter().cloned())
            .collect()
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .read(&self.path(), version::ROLES, api::ARM)
            .await;
        Ok(match found.map_err(|error| self.fault(&error))? {
            None => Observation::Absent,
            Some(body) => {
                let mut seen = Seen::new(body);
                seen.ownership = Ownership::Ours;
                Observation::Present(seen)
            }
        })
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        let assigned = seen
            .body
            .pointer("/properties/principalId")
            .and_then(|it| it.as_str());
        match self.principal(cx) {
            // The identity was made anew: its old grant is an empty shell.
            Some((id, _)) if assigned.is_some_and(|it| !it.eq_ignore_ascii_case(&id)) => {
                Difference::change(vec!["principalId".to_owned()])
            }
            _ => Difference::Same,
        }
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let Some((principal, kind)) = self.principal(cx) else {
            let text = "the identity that gets this role does not show its principal id yet";
            return Err(Fault::new(self.id(), FaultKind::Propagating, text));
        };
        if seen.is_some() {
            self.remove().await?;
        }
        let subscription = self.want.scope.split('/').nth(2).unwrap_or_default();
        let definition = format!(
            "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.want.role
        );
        let body = json!({"properties": {
            "roleDefinitionId": definition,
            "principalId": principal,
            "principalType": kind,
        }});
        let request = Request::put(self.path(), body);
        match self.azure.write(request, version::ROLES, api::ARM).await {
            Ok(_) => Ok(Sent::Done),
            Err(error) if error.has_code("RoleAssignmentExists") => {
                let fault = Fault::new(
                    self.id(),
                    FaultKind::Refused,
                    format!(
                        "the same role is already assigned at {} by hand",
                        self.want.scope
                    ),
                );
                Err(fault.next("Delete that assignment, or use an existing identity instead."))
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        self.remove().await.map(|()| Sent::Done)
    }
}
