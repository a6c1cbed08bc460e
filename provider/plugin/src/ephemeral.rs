//! An ephemeral resource, as its author writes it: something that lives only while Terraform runs
//! and is in no plan and no state, such as a token.

use std::time::SystemTime;

use async_trait::async_trait;

use crate::{
    call::Call,
    erased::{AnyEphemeral, OpenAnswer, RenewAnswer},
    findings::Findings,
    path::Path,
    schema::Schema,
    spec::{self, Attribute, Attributes, Spec, state_value},
    value::Value,
};

/// A kind of object that is opened, renewed while Terraform needs it, and closed.
#[async_trait]
pub trait EphemeralResource: Sized + Send + Sync + 'static {
    /// What the user sets; its Status is what is handed out.
    type Spec: Spec;

    /// What the provider block made.
    type Session: Send + Sync + 'static;

    /// Opens the object; `None` with an error in `found` if that fails.
    async fn open(
        &self,
        call: Call<Self::Session>,
        spec: Self::Spec,
        found: &mut Findings,
    ) -> Option<Opened<<Self::Spec as Spec>::Status>>;

    /// Makes the object last longer. Called when [`Lease::renew_at`] has come.
    async fn renew(
        &self,
        call: Call<Self::Session>,
        private: Vec<u8>,
        found: &mut Findings,
    ) -> Lease {
        let _ = (call, found);
        Lease {
            renew_at: None,
            private,
        }
    }

    /// Gives the object back.
    async fn close(&self, call: Call<Self::Session>, private: Vec<u8>, found: &mut Findings) {
        let _ = (call, private, found);
    }
}

/// An opened object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<T> {
    /// What is handed out.
    pub status: T,
    /// How long it lasts.
    pub lease: Lease,
}

/// How long an ephemeral object lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// When to renew it; `None` if it lasts for the whole run.
    pub renew_at: Option<SystemTime>,
    /// Private data for renew and close.
    pub private: Vec<u8>,
}

/// An ephemeral resource behind the interface that the server knows.
pub(crate) struct Typed<E>(pub(crate) E);

#[async_trait]
impl<E: EphemeralResource> AnyEphemeral<E::Session> for Typed<E> {
    fn schema(&self) -> Schema {
        spec::schema::<E::Spec>()
    }

    fn check(&self, config: &Value) -> Findings {
        let mut found = Findings::new();
        E::Spec::read(config, &mut found);
        found
    }

    async fn open(&self, call: Call<E::Session>, config: Value) -> OpenAnswer {
        let mut found = Findings::new();
        let nothing = |found| OpenAnswer {
            value: Value::Null,
            lease: Lease::default(),
            found,
        };
        let Some(spec) = E::Spec::decode(&config, &mut found) else {
            return nothing(found);
        };
        let Some(opened) = self.0.open(call, spec.clone(), &mut found).await else {
            if !found.has_errors() {
                found
                    .error(
                        Path::root(),
                        "The provider opened nothing and does not say why",
                    )
                    .hint("report this as a defect of the provider");
            }
            return nothing(found);
        };
        let value = state_value(spec.encode(), opened.status.encode());
        OpenAnswer {
            value,
            lease: opened.lease,
            found,
        }
    }

    async fn renew(&self, call: Call<E::Session>, private: Vec<u8>) -> RenewAnswer {
        let mut found = Findings::new();
        let lease = self.0.renew(call, private, &mut found).await;
        RenewAnswer { lease, found }
    }

    async fn close(&self, call: Call<E::Session>, private: Vec<u8>) -> Findings {
        let mut found = Findings::new();
        self.0.close(call, private, &mut found).await;
        found
    }
}
