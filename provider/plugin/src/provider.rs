//! A provider, as its author writes it: the provider block, and the parts it serves.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use crate::{
    data_source::{self, DataSource},
    ephemeral::{self, EphemeralResource},
    erased::{AnyDataSource, AnyEphemeral, AnyResource},
    findings::Findings,
    function::Function,
    resource::{self, Resource},
    spec::{Draft, Spec},
};

/// A provider.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The provider block.
    type Config: Spec;

    /// What the provider block makes, shared by all calls until the process ends.
    type Session: Send + Sync + 'static;

    /// The version that users see.
    const VERSION: &'static str;

    /// Its address, such as `registry.terraform.io/paymesh/paymesh`.
    const ADDRESS: &'static str;

    /// Everything it serves.
    fn parts(&self) -> Parts<Self::Session>;

    /// Makes the session. While planning, settings may be unknown; that is not an error.
    async fn configure(
        &self,
        config: Draft<Self::Config>,
        client: Client,
        found: &mut Findings,
    ) -> Option<Self::Session>;
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Version of Terraform or `OpenTofu`.
    pub version: String,
}

/// What a provider serves.
pub struct Parts<X> {
    pub(crate) resources: BTreeMap<String, Arc<dyn AnyResource<X>>>,
    pub(crate) data_sources: BTreeMap<String, Arc<dyn AnyDataSource<X>>>,
    pub(crate) ephemerals: BTreeMap<String, Arc<dyn AnyEphemeral<X>>>,
    pub(crate) functions: BTreeMap<String, Arc<dyn Function>>,
}

impl<X: Send + Sync + 'static> Parts<X> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
    }

    /// And this resource.
    #[must_use]
    pub fn resource<R: Resource<Session = X>>(mut self, resource: R) -> Self {
        let typed = Arc::new(resource::Typed(resource));
        self.resources.insert(R::Spec::NAME.to_owned(), typed);
        self
    }

    /// And this data source.
    #[must_use]
    pub fn data_source<D: DataSource<Session = X>>(mut self, data_source: D) -> Self {
        let typed = Arc::new(data_source::Typed(data_source));
        self.data_sources.insert(D::Spec::NAME.to_owned(), typed);
        self
    }

    /// And this ephemeral resource.
    #[must_use]
    pub fn ephemeral<E: EphemeralResource<Session = X>>(mut self, ephemeral: E) -> Self {
        let typed = Arc::new(ephemeral::Typed(ephemeral));
        self.ephemerals.insert(E::Spec::NAME.to_owned(), typed);
        self
    }

    /// And this function.
    #[must_use]
    pub fn function(mut self, function: impl Function) -> Self {
        self.functions
            .insert(function.signature().name, Arc::new(function));
        self
    }
}

impl<X: Send + Sync + 'static> Default for Parts<X> {
    fn default() -> Self {
        Self::new()
    }
}
