//! A data source, as its author writes it: something that is looked up and not managed.

use async_trait::async_trait;

use crate::{
    call::Call,
    erased::{AnyDataSource, Looked},
    findings::Findings,
    path::Path,
    schema::Schema,
    spec::{self, Attribute, Attributes, Spec, state_value},
    value::Value,
};

/// A kind of object that is looked up.
#[async_trait]
pub trait DataSource: Sized + Send + Sync + 'static {
    /// What the user sets; its Status is what is found.
    type Spec: Spec;

    /// What the provider block made.
    type Session: Send + Sync + 'static;

    /// Looks the object up; `None` with an error in `found` if it is not there.
    async fn read(
        &self,
        call: Call<Self::Session>,
        spec: Self::Spec,
        found: &mut Findings,
    ) -> Option<<Self::Spec as Spec>::Status>;
}

/// A data source behind the interface that the server knows.
pub(crate) struct Typed<D>(pub(crate) D);

#[async_trait]
impl<D: DataSource> AnyDataSource<D::Session> for Typed<D> {
    fn schema(&self) -> Schema {
        spec::schema::<D::Spec>()
    }

    fn check(&self, config: &Value) -> Findings {
        let mut found = Findings::new();
        D::Spec::read(config, &mut found);
        found
    }

    async fn read(&self, call: Call<D::Session>, config: Value) -> Looked {
        let mut found = Findings::new();
        let Some(spec) = D::Spec::decode(&config, &mut found) else {
            return Looked {
                value: Value::Null,
                found,
            };
        };
        let status = self.0.read(call, spec.clone(), &mut found).await;
        let value = status.map_or(Value::Null, |status| {
            state_value(spec.encode(), status.encode())
        });
        if value.is_null() && !found.has_errors() {
            found
                .error(
                    Path::root(),
                    "The provider found nothing and does not say why",
                )
                .hint("report this as a defect of the provider");
        }
        Looked { value, found }
    }
}
