//! The resource group that Paymesh makes for itself: one per region, shared by what one owner
//! has there, deleted only when empty.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use paymesh_cloud::{Error, Request};
use paymesh_engine::{
    Context, Difference, Fault, LockKey, Mark, Object, ObjectId, Observation, Operation,
    OperationId, Ownership, Seen, Sent,
};
use serde_json::json;

use crate::{
    ArmId, Azure,
    connection::{api, version},
    fault::fault,
    operation, tags,
};

/// A resource group as it is wanted.
#[derive(Clone, Debug)]
pub struct GroupWant {
    /// Its id.
    pub id: ArmId,
    /// Its region: the control plane of everything inside is reached through it.
    pub location: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A resource group.
pub struct Group {
    azure: Azure,
    want: GroupWant,
}

/// The engine's name of a resource group.
pub fn group_object_id(id: &ArmId) -> ObjectId {
    ObjectId::new("resource group", id.folded())
}

/// What the group holds, in words; nothing, if it is empty.
pub(crate) async fn inhabitants(azure: &Azure, id: &ArmId) -> Result<Option<String>, Error> {
    let query = [("api-version", version::GROUPS)];
    let inside = azure
        .list(&format!("{id}/resources"), &query, api::ARM)
        .await?;
    let names: Vec<_> = inside
        .iter()
        .filter_map(|it| it["name"].as_str())
        .take(3)
        .collect();
    Ok((!inside.is_empty()).then(|| {
        format!(
            "{} still holds {} resources ({})",
            id.name(),
            inside.len(),
            names.join(", ")
        )
    }))
}

impl Group {
    /// The group that is wanted; add it as *given* if the user named it.
    pub fn new(azure: &Azure, want: GroupWant) -> Self {
        Self {
            azure: azure.clone(),
            want,
        }
    }

    fn fault(&self, error: &Error) -> Fault {
        fault(self.id(), error)
    }

    fn address(&self) -> String {
        format!("{}?api-version={}", self.want.id, version::GROUPS)
    }
}

#[async_trait]
impl Object for Group {
    fn id(&self) -> ObjectId {
        group_object_id(&self.want.id)
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.want.id.folded())]
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .observe(&self.want.id, version::GROUPS, api::ARM, &cx.mark)
            .await;
        let mut observation = found.map_err(|error| self.fault(&error))?;
        if let Observation::Present(seen) = &mut observation {
            // All resources of an owner share the group, whichever of them made it.
            let owner = tags::tag(&seen.body["tags"], Mark::OWNER_KEY);
            if owner == Some(cx.mark.owner.as_str()) {
                seen.ownership = Ownership::Ours;
            }
            seen.holder = None;
        }
        Ok(observation)
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        // Its tags are those of whoever came first, and its region is only where its own record
        // is kept.
        Difference::Same
    }

    async fn apply(&self, cx: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        let body = json!({
            "location": self.want.location,
            "tags": tags::marked(&self.want.tags, &cx.mark, None),
        });
        let request = Request::put(self.want.id.as_str(), body);
        let sent = self.azure.write(request, version::GROUPS, api::ARM).await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(operation::sent(
            &self.azure,
            self.id(),
            &reply,
            &self.address(),
            false,
        ))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let id = &self.want.id;
        if self.azure.is_inhabited(id) {
            return Ok(Sent::Kept(format!(
                "this run has created something else in {}",
                id.name()
            )));
        }
        let inhabitants = inhabitants(&self.azure, id).await;
        if let Some(why) = inhabitants.map_err(|error| self.fault(&error))? {
            return Ok(Sent::Kept(why));
        }
        let sent = self
            .azure
            .delete(id.as_str(), version::GROUPS, api::ARM)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(reply.map_or(Sent::Done, |reply| {
            operation::sent(&self.azure, self.id(), &reply, &self.address(), true)
        }))
    }

    fn resume(&self, id: &OperationId) -> Option<Arc<dyn Operation>> {
        operation::resume(&self.azure, self.id(), id)
    }
}
