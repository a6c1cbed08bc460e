//! A user-assigned identity, that of a cluster's control plane or of its kubelets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, Object, ObjectId, Observation, Seen, Sent, Subject,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure,
    connection::{api, version},
    fault::fault,
    group_object_id, part, tags,
};

/// An identity as it is wanted.
#[derive(Clone, Debug)]
pub struct IdentityWant {
    /// Its id.
    pub id: ArmId,
    /// Its region.
    pub location: String,
    /// Tags of the user.
    pub tags: BTreeMap<String, String>,
}

/// A user-assigned identity.
#[derive(Clone)]
pub struct Identity {
    azure: Azure,
    want: IdentityWant,
    /// Tags that were wanted before.
    gone: Vec<String>,
}

/// The engine's name of an identity.
pub fn identity_object_id(id: &ArmId) -> ObjectId {
    ObjectId::new("managed identity", id.folded())
}

impl Identity {
    /// The identity that is wanted.
    pub fn new(azure: &Azure, want: IdentityWant) -> Self {
        Self {
            azure: azure.clone(),
            want,
            gone: Vec::new(),
        }
    }

    /// The id that roles are given to, from what was seen of the identity.
    pub fn principal_id(seen: &Seen) -> Option<&str> {
        seen.body.pointer("/properties/principalId")?.as_str()
    }

    /// The id that workloads sign in with, from what was seen of the identity.
    pub fn client_id(seen: &Seen) -> Option<&str> {
        seen.body.pointer("/properties/clientId")?.as_str()
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        fault(self.id(), error)
    }

    fn part(&self) -> Value {
        json!({"tags": tags::wanted(&self.want.tags, &self.gone)})
    }

    async fn tag(&self, tags: Value) -> Result<Sent, Fault> {
        let request = Request::patch(self.want.id.as_str(), json!({"tags": tags}));
        let sent = self
            .azure
            .write(request, version::IDENTITIES, api::ARM)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }
}

#[async_trait]
impl Object for Identity {
    fn id(&self) -> ObjectId {
        identity_object_id(&self.want.id)
    }

    fn keys(&self) -> BTreeSet<String> {
        tags::keys(&self.want.tags)
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut object = self.clone();
        object.gone = tags::among(keys);
        Some(Arc::new(object))
    }

    fn needs(&self) -> Vec<ObjectId> {
        self.want
            .id
            .group_id()
            .iter()
            .map(group_object_id)
            .collect()
    }

    fn carries_holder(&self) -> bool {
        true
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .observe(&self.want.id, version::IDENTITIES, api::ARM, &cx.mark)
            .await;
        let mut observation = found.map_err(|error| self.fault(&error))?;
        if let Observation::Present(seen) = &mut observation {
            seen.incarnation = Self::principal_id(seen).map(str::to_owned);
        }
        Ok(observation)
    }

    fn differ(&self, _: &Context, seen: &Seen) -> Difference {
        let paths = part::differing(&self.part(), &seen.body);
        if paths.is_empty() {
            Difference::Same
        } else {
            Difference::change(paths.into_iter().map(Subject::Setting).collect())
        }
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        if let Some(seen) = seen {
            let mut tags = seen.body["tags"].clone();
            part::merge(&self.part()["tags"], &mut tags);
            return self.tag(tags).await;
        }
        self.azure.inhabit(&self.want.id);
        let body = json!({
            "location": self.want.location,
            "tags": tags::marked(&self.want.tags, &cx.mark, Some(&cx.holder)),
        });
        let request = Request::put(self.want.id.as_str(), body);
        let sent = self
            .azure
            .write(request, version::IDENTITIES, api::ARM)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }

    async fn hold(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        self.tag(tags::remarked(&seen.body, &cx.mark, &cx.holder))
            .await
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let id = self.want.id.as_str();
        let sent = self.azure.delete(id, version::IDENTITIES, api::ARM).await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }
}
