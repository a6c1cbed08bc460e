//! A service account, the identity of a cluster's nodes.
//!
//! The name of a deleted account is free at once, but a new account of that name is another
//! identity: it has none of the old one's roles (IAM documentation, "Delete and undelete service
//! accounts", read 2026-11). So a deleted account is made anew, never taken back, and its roles
//! with it.

use std::sync::Arc;

use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, Holder, Mark, Object, ObjectId, Observation, Seen, Sent,
    async_trait,
};
use serde_json::{Value, json};

use super::needs_role;
use crate::{Google, client::Api};

/// The role that lets the deployer make accounts.
const MAKER: &str = "roles/iam.serviceAccountAdmin";

/// A service account as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountWant {
    /// Its project.
    pub project: String,
    /// Its name: 6 to 30 lower-case letters, digits and hyphens, beginning with a letter.
    pub name: String,
    /// What it is for, in at most a hundred letters.
    pub purpose: String,
}

/// A service account as an object of the engine.
pub struct ServiceAccount {
    google: Arc<Google>,
    want: AccountWant,
}

impl AccountWant {
    /// The account's address, by which everything else names it.
    pub fn email(&self) -> String {
        format!("{}@{}.iam.gserviceaccount.com", self.name, self.project)
    }

    /// The engine's name of the account.
    pub fn object_id(&self) -> ObjectId {
        ObjectId::new("service account", self.path())
    }

    fn path(&self) -> String {
        format!("projects/{}/serviceAccounts/{}", self.project, self.email())
    }
}

impl ServiceAccount {
    /// The account that `want` describes.
    pub fn new(google: Arc<Google>, want: AccountWant) -> Self {
        Self { google, want }
    }

    async fn send(&self, request: Request) -> Result<Value, Fault> {
        let sent = self.google.send(Api::Iam, &self.id(), request).await;
        let project = format!("the project {}", self.want.project);
        sent.map_err(|fault| needs_role(fault, MAKER, &project))
    }
}

#[async_trait]
impl Object for ServiceAccount {
    fn id(&self) -> ObjectId {
        self.want.object_id()
    }

    fn carries_holder(&self) -> bool {
        true
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        match self
            .send(Request::get(Api::Iam.address(&self.want.path())))
            .await
        {
            Ok(account) => Ok(Observation::Present(seen(cx, account))),
            Err(fault) if fault.kind == FaultKind::Missing => Ok(Observation::Absent),
            Err(fault) => Err(fault),
        }
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        if seen.is_some() {
            return Ok(Sent::Done);
        }
        let body = json!({
            "accountId": self.want.name,
            "serviceAccount": {
                "displayName": self.want.purpose,
                "description": description(&cx.mark, &cx.holder),
            },
        });
        let path = format!("projects/{}/serviceAccounts", self.want.project);
        self.send(Request::post(Api::Iam.address(&path), body))
            .await
            .map(|_| Sent::Done)
    }

    async fn hold(&self, cx: &Context, _: &Seen) -> Result<Sent, Fault> {
        let body = json!({
            "serviceAccount": { "description": description(&cx.mark, &cx.holder) },
            "updateMask": "description",
        });
        self.send(Request::patch(Api::Iam.address(&self.want.path()), body))
            .await
            .map(|_| Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        self.send(Request::delete(Api::Iam.address(&self.want.path())))
            .await
            .map(|_| Sent::Done)
    }
}

/// The value of `key` in what [`description`] wrote.
pub(crate) fn word<'a>(account: &'a Value, key: &str) -> Option<&'a str> {
    Mark::word_in(account["description"].as_str()?, key)
}

fn seen(cx: &Context, account: Value) -> Seen {
    let word = |key: &str| word(&account, key);
    Seen {
        ownership: cx
            .mark
            .judge_digests(word(Mark::OWNER_KEY), word(Mark::NAME_KEY)),
        holder: word(Mark::HOLDER_KEY).map(Holder::found),
        incarnation: account["uniqueId"].as_str().map(str::to_owned),
        busy: None,
        body: account,
        remark: None,
    }
}

/// The mark and the holder, in fewer than the 256 letters that a description may have.
fn description(mark: &Mark, holder: &Holder) -> String {
    format!("{} {}={}", mark.line(), Mark::HOLDER_KEY, holder.as_str())
}
