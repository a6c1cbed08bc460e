//! The one interface between the typed layer and the server: values in, values and findings out.
//!
//! The server knows schemas, values and Terraform's rules; it knows no Spec.

use async_trait::async_trait;

use crate::{
    call::Call,
    ephemeral::Lease,
    findings::Findings,
    resource::{ForeignState, ImportBy, PlanReason, Replacement},
    schema::{IdentitySchema, Schema},
    value::Value,
};

/// A managed resource of any Spec.
#[async_trait]
pub(crate) trait AnyResource<X>: Send + Sync {
    fn schema(&self) -> Schema;
    fn identity_schema(&self) -> Option<IdentitySchema>;
    fn check(&self, config: &Value) -> Findings;
    async fn plan(&self, call: Call<X>, ask: PlanAsk) -> PlanAnswer;
    async fn plan_destroy(&self, call: Call<X>, prior: Stored) -> DestroyAnswer;
    async fn apply(&self, call: Call<X>, ask: ApplyAsk) -> StateAnswer;
    async fn delete(&self, call: Call<X>, prior: Stored) -> StateAnswer;
    async fn read(&self, call: Call<X>, prior: Stored) -> StateAnswer;
    async fn import(&self, call: Call<X>, by: ImportBy) -> StateAnswer;
    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<Value>;
    fn upgrade(
        &self,
        version: u64,
        state: serde_json::Value,
        found: &mut Findings,
    ) -> Option<serde_json::Value>;
}

/// A data source of any Spec.
#[async_trait]
pub(crate) trait AnyDataSource<X>: Send + Sync {
    fn schema(&self) -> Schema;
    fn check(&self, config: &Value) -> Findings;
    async fn read(&self, call: Call<X>, config: Value) -> Looked;
}

/// An ephemeral resource of any Spec.
#[async_trait]
pub(crate) trait AnyEphemeral<X>: Send + Sync {
    fn schema(&self) -> Schema;
    fn check(&self, config: &Value) -> Findings;
    async fn open(&self, call: Call<X>, config: Value) -> OpenAnswer;
    async fn renew(&self, call: Call<X>, private: Vec<u8>) -> RenewAnswer;
    async fn close(&self, call: Call<X>, private: Vec<u8>) -> Findings;
}

/// A state with its private data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) private: Vec<u8>,
}

pub(crate) struct PlanAsk {
    pub(crate) reason: PlanReason,
    pub(crate) config: Value,
    pub(crate) prior: Value,
    pub(crate) private: Vec<u8>,
}

pub(crate) struct PlanAnswer {
    pub(crate) planned: Value,
    pub(crate) private: Vec<u8>,
    pub(crate) replace: Vec<Replacement>,
    pub(crate) title: String,
    pub(crate) found: Findings,
}

pub(crate) struct DestroyAnswer {
    pub(crate) private: Vec<u8>,
    pub(crate) found: Findings,
}

pub(crate) struct ApplyAsk {
    pub(crate) config: Value,
    pub(crate) planned: Value,
    pub(crate) prior: Value,
    pub(crate) private: Vec<u8>,
}

/// A state, null for none.
pub(crate) struct StateAnswer {
    pub(crate) state: Value,
    pub(crate) private: Vec<u8>,
    pub(crate) found: Findings,
}

pub(crate) struct Looked {
    pub(crate) value: Value,
    pub(crate) found: Findings,
}

pub(crate) struct OpenAnswer {
    pub(crate) value: Value,
    pub(crate) lease: Lease,
    pub(crate) found: Findings,
}

pub(crate) struct RenewAnswer {
    pub(crate) lease: Lease,
    pub(crate) found: Findings,
}
