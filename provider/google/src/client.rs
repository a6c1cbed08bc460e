//! The Google APIs that Paymesh talks to, and how their answers become the engine's faults.

use std::{sync::Arc, time::Duration};

use http::Method;
use paymesh_clock::Clock;
use paymesh_cloud::{Client, Error, Rate, Request, TokenSource, VerbClass};
use paymesh_engine::{Fault, ObjectId};
use serde_json::Value;

use crate::fault::fault;

/// Where the APIs are. The defaults are Google's public endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Kubernetes Engine: `https://container.googleapis.com`.
    pub container: String,
    /// Compute Engine: `https://compute.googleapis.com`.
    pub compute: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            container: "https://container.googleapis.com".into(),
            compute: "https://compute.googleapis.com".into(),
        }
    }
}

impl Endpoints {
    /// All APIs at one address, told apart by path.
    pub fn at(base: &str) -> Self {
        Self {
            container: base.into(),
            compute: base.into(),
        }
    }
}

/// The clients of all APIs; one per process, shared by all resources.
pub struct Google {
    container: Client,
    compute: Client,
}

/// Kubernetes Engine's default quota of requests: 3,000 a minute and project (read 2026-11).
const CONTAINER_RATE: Rate = Rate {
    burst: 300,
    refill: Duration::from_millis(20),
};

impl Google {
    /// Clients of `endpoints`; `extra_ca` is PEM of authorities to trust beside the machine's.
    pub fn new(
        endpoints: &Endpoints,
        clock: &Clock,
        tokens: &Arc<dyn TokenSource>,
        extra_ca: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let build = |base: &str| {
            let builder = Client::builder(base, clock.clone(), tokens.clone())
                .budget("container", VerbClass::Read, CONTAINER_RATE)
                .budget("container", VerbClass::Write, CONTAINER_RATE);
            match extra_ca {
                Some(pem) => builder.extra_ca(pem),
                None => builder,
            }
            .build()
        };
        Ok(Self {
            container: build(&endpoints.container)?,
            compute: build(&endpoints.compute)?,
        })
    }

    /// Reads a Kubernetes Engine object; `None` if it does not exist.
    pub(crate) async fn read_container(
        &self,
        object: &ObjectId,
        path: &str,
    ) -> Result<Option<Value>, Fault> {
        let request = Request::get(format!("/v1/{path}")).api("container");
        present(
            self.container.send(request).await.map(|reply| reply.body),
            object,
        )
    }

    /// Reads a Compute Engine object; `None` if it does not exist.
    pub(crate) async fn read_compute(
        &self,
        object: &ObjectId,
        path: &str,
    ) -> Result<Option<Value>, Fault> {
        let request = Request::get(format!("/compute/v1/{path}")).api("compute");
        present(
            self.compute.send(request).await.map(|reply| reply.body),
            object,
        )
    }

    /// Sends a write to Kubernetes Engine and returns the operation it answers with.
    pub(crate) async fn write_container(
        &self,
        object: &ObjectId,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Fault> {
        let address = format!("/v1/{path}");
        let request = match (method, body) {
            (Method::DELETE, _) => Request::delete(address),
            (Method::PUT, body) => Request::put(address, body.unwrap_or_default()),
            (_, body) => Request::post(address, body.unwrap_or_default()),
        };
        let reply = self.container.send(request.api("container")).await;
        reply
            .map(|reply| reply.body)
            .map_err(|error| fault(object.clone(), &error))
    }

    /// Reads something that does not change within a run: one request serves all who ask.
    pub(crate) async fn fact(&self, api: Api, path: &str) -> Result<Option<Value>, Error> {
        let (client, address) = match api {
            Api::Container => (&self.container, format!("/v1/{path}")),
            Api::Compute => (&self.compute, format!("/compute/v1/{path}")),
        };
        match client
            .send(Request::get(address).api(api.name()).shared())
            .await
        {
            Ok(reply) => Ok(Some(reply.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The client that polls operations of Kubernetes Engine.
    pub(crate) fn container(&self) -> &Client {
        &self.container
    }
}

/// An API, for reads of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Kubernetes Engine.
    Container,
    /// Compute Engine.
    Compute,
}

impl Api {
    fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Compute => "compute",
        }
    }
}

fn present(read: Result<Value, Error>, object: &ObjectId) -> Result<Option<Value>, Fault> {
    match read {
        Ok(body) => Ok(Some(body)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(fault(object.clone(), &error)),
    }
}
