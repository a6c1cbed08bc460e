//! The protocol's service: each RPC is one call into [`rpc`](super::rpc), logged and run in a task
//! of its own.

use std::{
    any::Any,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tonic::{
    Request, Response, Status, Streaming, async_trait,
    codegen::tokio_stream::{self, Stream},
};
use tracing::Instrument;

use super::{Server, rpc};
use crate::{
    provider::Provider,
    wire::tfplugin6::{
        apply_resource_change, call_function, close_ephemeral_resource, configure_provider,
        configure_state_store, delete_state, generate_resource_config, get_functions, get_metadata,
        get_provider_schema, get_resource_identity_schemas, get_states, import_resource_state,
        invoke_action, list_resource, lock_state, move_resource_state, open_ephemeral_resource,
        plan_action, plan_resource_change, provider_server, read_data_source, read_resource,
        read_state_bytes, renew_ephemeral_resource, stop_provider, unlock_state,
        upgrade_resource_identity, upgrade_resource_state, validate_action_config,
        validate_data_resource_config, validate_ephemeral_resource_config,
        validate_list_resource_config, validate_provider_config, validate_resource_config,
        validate_state_store_config, write_state_bytes,
    },
};

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service of one server.
pub(crate) struct Service<P: Provider>(pub(crate) Arc<Server<P>>);

/// What an RPC is about, for the log.
trait About {
    fn type_name(&self) -> &str;
}

macro_rules! about {
    ($($module:ident: $field:ident),* $(,)?) => {
        $(impl About for $module::Request {
            fn type_name(&self) -> &str {
                &self.$field
            }
        })*
    };
}
about!(
    validate_resource_config: type_name,
    validate_data_resource_config: type_name,
    validate_ephemeral_resource_config: type_name,
    upgrade_resource_state: type_name,
    upgrade_resource_identity: type_name,
    read_resource: type_name,
    plan_resource_change: type_name,
    apply_resource_change: type_name,
    import_resource_state: type_name,
    move_resource_state: target_type_name,
    read_data_source: type_name,
    open_ephemeral_resource: type_name,
    renew_ephemeral_resource: type_name,
    close_ephemeral_resource: type_name,
    call_function: name,
);

macro_rules! about_nothing {
    ($($module:ident),* $(,)?) => {
        $(impl About for $module::Request {
            fn type_name(&self) -> &'static str {
                ""
            }
        })*
    };
}
about_nothing!(
    get_metadata,
    get_provider_schema,
    get_resource_identity_schemas,
    validate_provider_config,
    configure_provider,
    get_functions,
);

impl<P: Provider> Service<P> {
    /// Runs one call to its end, whether or not Terraform still waits for the answer.
    async fn run<Q, A, F>(
        &self,
        name: &'static str,
        request: Request<Q>,
        answer: impl FnOnce(Arc<Server<P>>, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        Q: About,
        A: Send + 'static,
        F: Future<Output = A> + Send + 'static,
    {
        static REQUESTS: AtomicU64 = AtomicU64::new(1);
        let request = request.into_inner();
        let span = tracing::debug_span!(
            "rpc",
            tf_rpc = name,
            tf_req_id = REQUESTS.fetch_add(1, Ordering::Relaxed),
            tf_resource_type = request.type_name(),
            tf_provider_addr = P::ADDRESS,
        );
        let work = answer(Arc::clone(&self.0), request);
        let task = async move {
            let begin = Instant::now();
            tracing::trace!("received request");
            let answer = work.await;
            let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(tf_req_duration_ms = took, "answered request");
            answer
        };
        let task = self.0.calls.spawn(task.instrument(span));
        task.await
            .map(Response::new)
            .map_err(|error| crashed(name, error))
    }
}

/// The task panicked: the panic hook has printed the details.
fn crashed(name: &str, error: tokio::task::JoinError) -> Status {
    let why = error.try_into_panic().map_or_else(
        |_| "the process is ending".to_owned(),
        |panic| message(&*panic).to_owned(),
    );
    Status::internal(format!("the provider crashed in {name}: {why}"))
}

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// One answer that ends a stream.
fn only<T: Send + 'static>(answer: T) -> Response<Answers<T>> {
    Response::new(Box::pin(tokio_stream::once(Ok(answer))))
}

#[async_trait]
impl<P: Provider> provider_server::Provider for Service<P> {
    async fn get_metadata(
        &self,
        request: Request<get_metadata::Request>,
    ) -> Result<Response<get_metadata::Response>, Status> {
        self.run("GetMetadata", request, rpc::schema::metadata)
            .await
    }

    async fn get_provider_schema(
        &self,
        request: Request<get_provider_schema::Request>,
    ) -> Result<Response<get_provider_schema::Response>, Status> {
        self.run("GetProviderSchema", request, rpc::schema::answer)
            .await
    }

    async fn get_resource_identity_schemas(
        &self,
        request: Request<get_resource_identity_schemas::Request>,
    ) -> Result<Response<get_resource_identity_schemas::Response>, Status> {
        self.run(
            "GetResourceIdentitySchemas",
            request,
            rpc::identity::schemas,
        )
        .await
    }

    async fn upgrade_resource_identity(
        &self,
        request: Request<upgrade_resource_identity::Request>,
    ) -> Result<Response<upgrade_resource_identity::Response>, Status> {
        self.run("UpgradeResourceIdentity", request, rpc::identity::upgrade)
            .await
    }

    async fn validate_provider_config(
        &self,
        request: Request<validate_provider_config::Request>,
    ) -> Result<Response<validate_provider_config::Response>, Status> {
        self.run("ValidateProviderConfig", request, rpc::configure::validate)
            .await
    }

    async fn configure_provider(
        &self,
        request: Request<configure_provider::Request>,
    ) -> Result<Response<configure_provider::Response>, Status> {
        self.run("ConfigureProvider", request, rpc::configure::answer)
            .await
    }

    async fn validate_resource_config(
        &self,
        request: Request<validate_resource_config::Request>,
    ) -> Result<Response<validate_resource_config::Response>, Status> {
        self.run("ValidateResourceConfig", request, rpc::validate::resource)
            .await
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<validate_data_resource_config::Request>,
    ) -> Result<Response<validate_data_resource_config::Response>, Status> {
        self.run(
            "ValidateDataResourceConfig",
            request,
            rpc::validate::data_source,
        )
        .await
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<validate_ephemeral_resource_config::Request>,
    ) -> Result<Response<validate_ephemeral_resource_config::Response>, Status> {
        self.run(
            "ValidateEphemeralResourceConfig",
            request,
            rpc::validate::ephemeral,
        )
        .await
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<upgrade_resource_state::Request>,
    ) -> Result<Response<upgrade_resource_state::Response>, Status> {
        self.run("UpgradeResourceState", request, rpc::upgrade::answer)
            .await
    }

    async fn read_resource(
        &self,
        request: Request<read_resource::Request>,
    ) -> Result<Response<read_resource::Response>, Status> {
        self.run("ReadResource", request, rpc::read::answer).await
    }

    async fn plan_resource_change(
        &self,
        request: Request<plan_resource_change::Request>,
    ) -> Result<Response<plan_resource_change::Response>, Status> {
        self.run("PlanResourceChange", request, rpc::plan::answer)
            .await
    }

    async fn apply_resource_change(
        &self,
        request: Request<apply_resource_change::Request>,
    ) -> Result<Response<apply_resource_change::Response>, Status> {
        self.run("ApplyResourceChange", request, rpc::apply::answer)
            .await
    }

    async fn import_resource_state(
        &self,
        request: Request<import_resource_state::Request>,
    ) -> Result<Response<import_resource_state::Response>, Status> {
        self.run("ImportResourceState", request, rpc::import::answer)
            .await
    }

    async fn move_resource_state(
        &self,
        request: Request<move_resource_state::Request>,
    ) -> Result<Response<move_resource_state::Response>, Status> {
        self.run("MoveResourceState", request, rpc::moved::answer)
            .await
    }

    async fn read_data_source(
        &self,
        request: Request<read_data_source::Request>,
    ) -> Result<Response<read_data_source::Response>, Status> {
        self.run("ReadDataSource", request, rpc::data::answer).await
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<open_ephemeral_resource::Request>,
    ) -> Result<Response<open_ephemeral_resource::Response>, Status> {
        self.run("OpenEphemeralResource", request, rpc::ephemeral::open)
            .await
    }

    async fn renew_ephemeral_resource(
        &self,
        request: Request<renew_ephemeral_resource::Request>,
    ) -> Result<Response<renew_ephemeral_resource::Response>, Status> {
        self.run("RenewEphemeralResource", request, rpc::ephemeral::renew)
            .await
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<close_ephemeral_resource::Request>,
    ) -> Result<Response<close_ephemeral_resource::Response>, Status> {
        self.run("CloseEphemeralResource", request, rpc::ephemeral::close)
            .await
    }

    async fn get_functions(
        &self,
        request: Request<get_functions::Request>,
    ) -> Result<Response<get_functions::Response>, Status> {
        self.run("GetFunctions", request, rpc::functions::list)
            .await
    }

    async fn call_function(
        &self,
        request: Request<call_function::Request>,
    ) -> Result<Response<call_function::Response>, Status> {
        self.run("CallFunction", request, rpc::functions::call)
            .await
    }

    async fn generate_resource_config(
        &self,
        _: Request<generate_resource_config::Request>,
    ) -> Result<Response<generate_resource_config::Response>, Status> {
        Ok(Response::new(generate_resource_config::Response {
            diagnostics: rpc::unsupported::diagnostics("generated configuration"),
            ..Default::default()
        }))
    }

    async fn validate_list_resource_config(
        &self,
        _: Request<validate_list_resource_config::Request>,
    ) -> Result<Response<validate_list_resource_config::Response>, Status> {
        Ok(Response::new(validate_list_resource_config::Response {
            diagnostics: rpc::unsupported::diagnostics("a list of resources"),
        }))
    }

    async fn validate_action_config(
        &self,
        _: Request<validate_action_config::Request>,
    ) -> Result<Response<validate_action_config::Response>, Status> {
        Ok(Response::new(validate_action_config::Response {
            diagnostics: rpc::unsupported::diagnostics("an action"),
        }))
    }

    async fn plan_action(
        &self,
        _: Request<plan_action::Request>,
    ) -> Result<Response<plan_action::Response>, Status> {
        Ok(Response::new(plan_action::Response {
            diagnostics: rpc::unsupported::diagnostics("an action"),
            ..Default::default()
        }))
    }

    async fn validate_state_store_config(
        &self,
        _: Request<validate_state_store_config::Request>,
    ) -> Result<Response<validate_state_store_config::Response>, Status> {
        Ok(Response::new(validate_state_store_config::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
        }))
    }

    async fn configure_state_store(
        &self,
        _: Request<configure_state_store::Request>,
    ) -> Result<Response<configure_state_store::Response>, Status> {
        Ok(Response::new(configure_state_store::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
            ..Default::default()
        }))
    }

    async fn lock_state(
        &self,
        _: Request<lock_state::Request>,
    ) -> Result<Response<lock_state::Response>, Status> {
        Ok(Response::new(lock_state::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
            ..Default::default()
        }))
    }

    async fn unlock_state(
        &self,
        _: Request<unlock_state::Request>,
    ) -> Result<Response<unlock_state::Response>, Status> {
        Ok(Response::new(unlock_state::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
        }))
    }

    async fn get_states(
        &self,
        _: Request<get_states::Request>,
    ) -> Result<Response<get_states::Response>, Status> {
        Ok(Response::new(get_states::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
            ..Default::default()
        }))
    }

    async fn delete_state(
        &self,
        _: Request<delete_state::Request>,
    ) -> Result<Response<delete_state::Response>, Status> {
        Ok(Response::new(delete_state::Response {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
        }))
    }

    type ListResourceStream = Answers<list_resource::Event>;

    async fn list_resource(
        &self,
        _: Request<list_resource::Request>,
    ) -> Result<Response<Self::ListResourceStream>, Status> {
        Ok(only(list_resource::Event {
            diagnostic: rpc::unsupported::diagnostics("a list of resources"),
            ..Default::default()
        }))
    }

    type InvokeActionStream = Answers<invoke_action::Event>;

    async fn invoke_action(
        &self,
        _: Request<invoke_action::Request>,
    ) -> Result<Response<Self::InvokeActionStream>, Status> {
        use invoke_action::event::{Completed, Type};
        let diagnostics = rpc::unsupported::diagnostics("an action");
        Ok(only(invoke_action::Event {
            r#type: Some(Type::Completed(Completed { diagnostics })),
        }))
    }

    type ReadStateBytesStream = Answers<read_state_bytes::ResponseChunk>;

    async fn read_state_bytes(
        &self,
        _: Request<read_state_bytes::Request>,
    ) -> Result<Response<Self::ReadStateBytesStream>, Status> {
        Ok(only(read_state_bytes::ResponseChunk {
            diagnostics: rpc::unsupported::diagnostics("a state store"),
            ..Default::default()
        }))
    }

    async fn write_state_bytes(
        &self,
        _: Request<Streaming<write_state_bytes::RequestChunk>>,
    ) -> Result<Response<write_state_bytes::Response>, Status> {
        let diagnostics = rpc::unsupported::diagnostics("a state store");
        Ok(Response::new(write_state_bytes::Response { diagnostics }))
    }

    /// Answers at once: core holds its lock meanwhile.
    async fn stop_provider(
        &self,
        _: Request<stop_provider::Request>,
    ) -> Result<Response<stop_provider::Response>, Status> {
        tracing::info!("Terraform asks to stop: running operations end as soon as they safely can");
        self.0.stop();
        Ok(Response::new(stop_provider::Response::default()))
    }
}
