//! A resource behind the interface that the server knows: values become drafts and back.

use async_trait::async_trait;

use super::{
    ApplyRequest, DeleteRequest, DestroyPlan, DestroyRequest, ForeignState, ImportBy,
    ImportRequest, Plan, PlanReason, PlanRequest, ReadRequest, Replacement, Resource, State,
};
use crate::{
    call::Call,
    erased::{AnyResource, ApplyAsk, DestroyAnswer, PlanAnswer, PlanAsk, StateAnswer, Stored},
    findings::Findings,
    schema::{IdentitySchema, Schema},
    spec::{self, Attribute, Attributes, Draft, DraftObject, ObjectShape, Shape, Spec},
    value::Value,
};

/// A resource of some Spec.
pub(crate) struct Typed<R>(pub(crate) R);

#[async_trait]
impl<R: Resource> AnyResource<R::Session> for Typed<R> {
    fn schema(&self) -> Schema {
        spec::schema::<R::Spec>()
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        spec::identity_schema::<R::Spec>()
    }

    fn check(&self, config: &Value) -> Findings {
        let mut found = Findings::new();
        R::Spec::read(config, &mut found);
        found
    }

    async fn plan(&self, call: Call<R::Session>, ask: PlanAsk) -> PlanAnswer {
        let shape = R::Spec::object_shape();
        let proposed = shape.with_defaults(&ask.config);
        let mut found = Findings::new();
        let config = R::Spec::read(&ask.config, &mut found);
        let prior = recall::<R>(&ask.prior, &mut found);
        let changes = shape.changes(&ask.prior, &proposed);
        let status = match &prior {
            Some(prior) => prior.status.clone(),
            None => Draft::<<R::Spec as Spec>::Status>::unknown(),
        };
        let replace = changes
            .iter()
            .filter(|change| change.replaces)
            .map(|change| Replacement {
                path: change.path.clone(),
                why: None,
            })
            .collect();
        let mut plan = Plan {
            spec: R::Spec::read_state(&proposed, &mut found),
            status,
            replace,
            private: ask.private.clone(),
            title: R::Spec::NAME.to_owned(),
            found,
        };
        if !plan.found.has_errors() {
            let request = PlanRequest {
                call,
                reason: ask.reason,
                config,
                prior,
                changes,
                private: ask.private,
            };
            self.0.plan(&request, &mut plan).await;
        }
        let state = State::<R::Spec> {
            spec: plan.spec,
            status: plan.status,
        };
        PlanAnswer {
            planned: state.value(),
            private: plan.private,
            replace: if ask.reason == PlanReason::Update {
                plan.replace
            } else {
                Vec::new()
            },
            title: plan.title,
            found: plan.found,
        }
    }

    async fn plan_destroy(&self, call: Call<R::Session>, prior: Stored) -> DestroyAnswer {
        let mut found = Findings::new();
        let state = State::read(&prior.value, &mut found);
        let mut plan = DestroyPlan {
            private: prior.private.clone(),
            found,
        };
        if !plan.found.has_errors() {
            let request = DestroyRequest {
                call,
                prior: state,
                private: prior.private,
            };
            self.0.plan_destroy(&request, &mut plan).await;
        }
        DestroyAnswer {
            private: plan.private,
            found: plan.found,
        }
    }

    async fn apply(&self, call: Call<R::Session>, ask: ApplyAsk) -> StateAnswer {
        let mut found = Findings::new();
        let wanted = with_secrets(&R::Spec::object_shape(), &ask.planned, &ask.config);
        let spec = R::Spec::recall(&wanted, &mut found);
        let prior = recall::<R>(&ask.prior, &mut found);
        let planned = <R::Spec as Spec>::Status::read_state(&ask.planned, &mut found);
        let Some(spec) = spec.filter(|_| !found.has_errors()) else {
            return StateAnswer {
                state: ask.prior,
                private: ask.private,
                found,
            };
        };
        let request = ApplyRequest {
            call,
            spec,
            planned,
            prior,
            private: ask.private,
        };
        let answer = self.0.apply(request).await;
        let state = answer.state.map_or(Value::Null, |state| state.value());
        StateAnswer {
            state,
            private: answer.private,
            found: answer.found,
        }
    }

    async fn delete(&self, call: Call<R::Session>, prior: Stored) -> StateAnswer {
        let mut found = Findings::new();
        let state = State::read(&prior.value, &mut found);
        if found.has_errors() {
            return StateAnswer {
                state: prior.value,
                private: prior.private,
                found,
            };
        }
        let request = DeleteRequest {
            call,
            prior: state,
            private: prior.private.clone(),
        };
        let answer = self.0.delete(request).await;
        match answer.remains {
            Some(remains) => StateAnswer {
                state: remains.value(),
                private: answer.private,
                found: answer.found,
            },
            None if answer.found.has_errors() => StateAnswer {
                state: prior.value,
                private: prior.private,
                found: answer.found,
            },
            None => StateAnswer {
                state: Value::Null,
                private: Vec::new(),
                found: answer.found,
            },
        }
    }

    async fn read(&self, call: Call<R::Session>, prior: Stored) -> StateAnswer {
        let mut found = Findings::new();
        let state = State::read(&prior.value, &mut found);
        if found.has_errors() {
            return StateAnswer {
                state: prior.value,
                private: prior.private,
                found,
            };
        }
        let request = ReadRequest {
            call,
            prior: state,
            private: prior.private,
        };
        let answer = self.0.read(request).await;
        let state = answer.state.map_or(Value::Null, |state| state.value());
        StateAnswer {
            state,
            private: answer.private,
            found: answer.found,
        }
    }

    async fn import(&self, call: Call<R::Session>, by: ImportBy) -> StateAnswer {
        let answer = self.0.import(ImportRequest { call, by }).await;
        let state = answer.state.map_or(Value::Null, |state| state.value());
        StateAnswer {
            state,
            private: answer.private,
            found: answer.found,
        }
    }

    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<Value> {
        self.0.move_from(foreign, found).map(|state| state.value())
    }

    fn upgrade(
        &self,
        version: u64,
        state: serde_json::Value,
        found: &mut Findings,
    ) -> Option<serde_json::Value> {
        self.0.upgrade(version, state, found)
    }
}

fn recall<R: Resource>(value: &Value, found: &mut Findings) -> Option<State<R::Spec>> {
    (!value.is_null()).then(|| State::read(value, found))
}

/// The planned values of an object with the write-only values of its configuration, which no plan
/// holds.
fn with_secrets(object: &ObjectShape, planned: &Value, config: &Value) -> Value {
    if planned.as_map().is_none() {
        return planned.clone();
    }
    Value::map(object.attributes.iter().map(|attribute| {
        let (planned, config) = (planned.entry(attribute.name), config.entry(attribute.name));
        let value = if attribute.write_only {
            config.clone()
        } else {
            with_secrets_inside(&attribute.shape, planned, config)
        };
        (attribute.name, value)
    }))
}

fn with_secrets_inside(shape: &Shape, planned: &Value, config: &Value) -> Value {
    match (shape, planned) {
        (Shape::Object(object), Value::Map(_)) => with_secrets(object, planned, config),
        (Shape::Map { element, .. }, Value::Map(entries)) => {
            Value::map(entries.iter().map(|(key, value)| {
                (
                    key.clone(),
                    with_secrets_inside(element, value, config.entry(key)),
                )
            }))
        }
        (Shape::List(element), Value::List(elements)) => {
            let config = config.as_list().unwrap_or_default();
            Value::list(elements.iter().enumerate().map(|(index, value)| {
                with_secrets_inside(element, value, config.get(index).unwrap_or(&Value::Null))
            }))
        }
        _ => planned.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::spec::Secret;

    /// A castle.
    #[derive(Clone, Debug, Attributes)]
    struct Castle {
        /// The lock of its gate.
        gate: Lock,
        /// The locks of its towers.
        towers: BTreeMap<String, Lock>,
        /// The locks of its cellars.
        cellars: Vec<Lock>,
    }

    /// A lock.
    #[derive(Clone, Debug, Attributes)]
    struct Lock {
        /// What opens it.
        key: Secret<String>,
        /// Grows when the key changes.
        key_version: u32,
    }

    /// Core takes write-only values out of every plan.
    #[test]
    fn a_write_only_value_reaches_the_apply_from_any_depth() {
        let castle = |key: fn(&'static str) -> Value| {
            let lock = |name| Value::map([("key", key(name)), ("key_version", Value::from(1))]);
            let towers = Value::map([("north", lock("elm")), ("south", lock("ash"))]);
            let cellars = Value::list([lock("yew"), lock("fir")]);
            Value::map([
                ("gate", lock("oak")),
                ("towers", towers),
                ("cellars", cellars),
            ])
        };
        let (planned, config) = (castle(|_| Value::Null), castle(Value::from));
        assert_ne!(planned, config);
        let wanted = with_secrets(&Castle::object_shape(), &planned, &config);
        assert_eq!(wanted, config);
    }
}
