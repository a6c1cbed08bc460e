//! The provider as a process, spoken to over Terraform's protocol.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use hyper_util::rt::TokioIo;
use paymesh_acceptance::programs;
use rustix::process::Pid;
use serde_json::Value;
use tokio::{net::UnixStream, runtime::Runtime};
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::core::OWNER;

use self::wire::plugin::{Empty, grpc_controller_client::GrpcControllerClient};

/// What Terraform tells a provider by.
const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// The type of the only resource here.
const TYPE: &str = "paymesh_cluster";

/// The generated messages.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    non_snake_case,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
mod wire {
    pub mod tfplugin6 {
        tonic::include_proto!("tfplugin6");
    }
    pub mod plugin {
        tonic::include_proto!("plugin");
    }
}

/// A value as the provider encoded it; the core never looks inside.
pub(crate) type Encoded = Vec<u8>;

/// How `MessagePack` writes nothing.
const NOTHING: u8 = 0xc0;

/// A provider process.
pub(crate) struct Provider {
    process: Child,
    runtime: Runtime,
    client: Client,
    channel: Channel,
}

type Client = wire::tfplugin6::provider_client::ProviderClient<Channel>;

/// What an answer says besides its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Errors, each with its text.
    pub(crate) errors: Vec<String>,
    /// Warnings, each with its text.
    pub(crate) warnings: Vec<String>,
}

/// A plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    /// What is planned.
    pub(crate) state: Encoded,
    /// What the provider keeps beside it.
    pub(crate) private: Vec<u8>,
    /// Whether the object has to be replaced.
    pub(crate) replaces: bool,
    /// Errors.
    pub(crate) said: Said,
}

/// A state after a read or an apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stated {
    /// The state.
    pub(crate) state: Encoded,
    /// What the provider keeps beside it.
    pub(crate) private: Vec<u8>,
    /// Errors.
    pub(crate) said: Said,
}

/// What is asked of a plan or an apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    /// The state before.
    pub(crate) prior: Encoded,
    /// What is wanted; nothing for a destruction.
    pub(crate) config: Value,
    /// What was planned, for an apply.
    pub(crate) planned: Encoded,
    /// The private data.
    pub(crate) private: Vec<u8>,
}

/// Nothing, encoded.
pub(crate) fn nothing() -> Encoded {
    vec![NOTHING]
}

/// Whether it is nothing.
pub(crate) fn is_nothing(value: &[u8]) -> bool {
    value.is_empty() || value == [NOTHING]
}

impl Provider {
    /// Starts the process and waits for its handshake.
    pub(crate) fn start(simulator: &Path) -> Self {
        // Reading all the authorities that the machine trusts takes longer than the whole run.
        let authority = simulator.with_extension("pem");
        let mut process = Command::new(programs::provider())
            .env(COOKIE.0, COOKIE.1)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6")
            .env("PAYMESH_SIMULATOR", simulator)
            .env("SSL_CERT_FILE", authority)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output is a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the provider answers");
        let path = line
            .split('|')
            .nth(3)
            .unwrap_or_else(|| panic!("no handshake: {line:?}"))
            .to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let channel = runtime
            .block_on(
                Endpoint::from_static("http://localhost").connect_with_connector(
                    tower::service_fn(move |_: Uri| {
                        let path = path.clone();
                        async move { UnixStream::connect(path).await.map(TokioIo::new) }
                    }),
                ),
            )
            .expect("the provider listens");
        Self {
            process,
            runtime,
            client: Client::new(channel.clone()).max_decoding_message_size(256 << 20),
            channel,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// `ConfigureProvider`, then `ValidateResourceConfig` of what is wanted.
    pub(crate) fn configure(&mut self, config: &Value) -> Result<Said, Status> {
        let block = serde_json::json!({ "owner": OWNER, "simulator": true });
        let request = wire::tfplugin6::configure_provider::Request {
            terraform_version: "1.11.4".to_owned(),
            config: Some(json(&block)),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.configure_provider(request))?
            .into_inner();
        let mut said = said(&answer.diagnostics);
        if !config.is_null() {
            let request = wire::tfplugin6::validate_resource_config::Request {
                type_name: TYPE.to_owned(),
                config: Some(json(config)),
                ..Default::default()
            };
            let answer = self
                .runtime
                .block_on(self.client.validate_resource_config(request))?
                .into_inner();
            said.errors.extend(self::said(&answer.diagnostics).errors);
        }
        Ok(said)
    }

    /// `ReadResource`.
    pub(crate) fn read(&mut self, state: &[u8], private: &[u8]) -> Result<Stated, Status> {
        let request = wire::tfplugin6::read_resource::Request {
            type_name: TYPE.to_owned(),
            current_state: Some(encoded(state)),
            private: private.to_vec(),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.read_resource(request))?
            .into_inner();
        Ok(Stated {
            state: answer.new_state.unwrap_or_default().msgpack,
            private: answer.private,
            said: said(&answer.diagnostics),
        })
    }

    /// `ImportResourceState`; nothing, if there is no object with this id.
    pub(crate) fn import(&mut self, id: &str) -> Result<Stated, Status> {
        let request = wire::tfplugin6::import_resource_state::Request {
            type_name: TYPE.to_owned(),
            id: id.to_owned(),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.import_resource_state(request))?
            .into_inner();
        let found = answer.imported_resources.into_iter().next();
        let found = found.unwrap_or_default();
        Ok(Stated {
            state: found.state.unwrap_or_default().msgpack,
            private: found.private,
            said: said(&answer.diagnostics),
        })
    }

    /// `PlanResourceChange`.
    pub(crate) fn plan(&mut self, ask: &Ask) -> Result<Planned, Status> {
        let request = wire::tfplugin6::plan_resource_change::Request {
            type_name: TYPE.to_owned(),
            prior_state: Some(encoded(&ask.prior)),
            // The provider works from the configuration, and only looks whether there is one.
            proposed_new_state: Some(json(&ask.config)),
            config: Some(json(&ask.config)),
            prior_private: ask.private.clone(),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.plan_resource_change(request))?
            .into_inner();
        Ok(Planned {
            state: answer.planned_state.unwrap_or_default().msgpack,
            private: answer.planned_private,
            replaces: !answer.requires_replace.is_empty(),
            said: said(&answer.diagnostics),
        })
    }

    /// `ApplyResourceChange`.
    pub(crate) fn apply(&mut self, ask: &Ask) -> Result<Stated, Status> {
        let request = wire::tfplugin6::apply_resource_change::Request {
            type_name: TYPE.to_owned(),
            prior_state: Some(encoded(&ask.prior)),
            planned_state: Some(encoded(&ask.planned)),
            config: Some(json(&ask.config)),
            planned_private: ask.private.clone(),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.apply_resource_change(request))?
            .into_inner();
        Ok(Stated {
            state: answer.new_state.unwrap_or_default().msgpack,
            private: answer.private,
            said: said(&answer.diagnostics),
        })
    }

    /// Says goodbye and waits for the end.
    pub(crate) fn end(mut self) {
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        let _ = self.runtime.block_on(controller.shutdown(Empty {}));
        let _ = self.process.wait();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn encoded(value: &[u8]) -> wire::tfplugin6::DynamicValue {
    wire::tfplugin6::DynamicValue {
        msgpack: value.to_vec(),
        json: Vec::new(),
    }
}

fn json(value: &Value) -> wire::tfplugin6::DynamicValue {
    if value.is_null() {
        return encoded(&nothing());
    }
    wire::tfplugin6::DynamicValue {
        msgpack: Vec::new(),
        json: value.to_string().into_bytes(),
    }
}

fn said(diagnostics: &[wire::tfplugin6::Diagnostic]) -> Said {
    let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics
        .iter()
        .partition(|it| it.severity() == wire::tfplugin6::diagnostic::Severity::Error);
    let texts = |all: Vec<&wire::tfplugin6::Diagnostic>| {
        let texts = all.into_iter();
        texts
            .map(|it| format!("{}\n{}", it.summary, it.detail))
            .collect()
    };
    Said {
        errors: texts(errors),
        warnings: texts(warnings),
    }
}
