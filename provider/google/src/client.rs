//! The Google APIs that Paymesh talks to, and how their answers become the engine's faults.

use std::{sync::Arc, time::Duration};

use http::Method;
use paymesh_clock::Clock;
use paymesh_cloud::{Client, Error, Patience, Rate, Request, Token, TokenSource, VerbClass};
use paymesh_engine::{Fault, FaultKind, Limits, ObjectId};
use serde_json::Value;

use crate::{Credentials, fault::fault, sign_in::SignIn};

/// Where the APIs are. The defaults are Google's public endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Kubernetes Engine: `https://container.googleapis.com`.
    pub container: String,
    /// Compute Engine: `https://compute.googleapis.com`.
    pub compute: String,
    /// Service accounts: `https://iam.googleapis.com`.
    pub iam: String,
    /// Projects and their policies: `https://cloudresourcemanager.googleapis.com`.
    pub projects: String,
    /// Image repositories: `https://artifactregistry.googleapis.com`.
    pub artifacts: String,
    /// Encryption keys: `https://cloudkms.googleapis.com`.
    pub keys: String,
    /// A certificate authority (PEM) that is trusted besides the machine's.
    pub extra_ca: Option<Vec<u8>>,
}

impl Default for Endpoints {
    fn default() -> Self {
        let public = |name: &str| format!("https://{name}.googleapis.com");
        Self {
            container: public("container"),
            compute: public("compute"),
            iam: public("iam"),
            projects: public("cloudresourcemanager"),
            artifacts: public("artifactregistry"),
            keys: public("cloudkms"),
            extra_ca: None,
        }
    }
}

impl Endpoints {
    /// All APIs at one address, told apart by path.
    pub fn at(base: &str) -> Self {
        let base = || base.to_owned();
        Self {
            container: base(),
            compute: base(),
            iam: base(),
            projects: base(),
            artifacts: base(),
            keys: base(),
            extra_ca: None,
        }
    }

    fn of(&self, api: Api) -> &str {
        match api {
            Api::Container => &self.container,
            Api::Compute => &self.compute,
            Api::Iam => &self.iam,
            Api::Projects => &self.projects,
            Api::Artifacts => &self.artifacts,
            Api::Keys => &self.keys,
        }
    }
}

/// The clients of all APIs; one per process, shared by all resources.
pub struct Google {
    clients: Vec<(Api, Client)>,
}

/// Kubernetes Engine's default quota of requests: 3,000 a minute and project (read 2026-11).
const CONTAINER_RATE: Rate = Rate {
    burst: 300,
    refill: Duration::from_millis(20),
};

impl Google {
    /// Connects as `credentials`; nothing is sent yet.
    pub fn connect(
        endpoints: &Endpoints,
        clock: &Clock,
        credentials: Credentials,
    ) -> Result<Self, Error> {
        let tokens: Arc<dyn TokenSource> = Arc::new(credentials);
        Self::new(endpoints, clock, &tokens)
    }

    /// Clients of `endpoints`.
    pub fn new(
        endpoints: &Endpoints,
        clock: &Clock,
        tokens: &Arc<dyn TokenSource>,
    ) -> Result<Self, Error> {
        let limits = Limits::writing(clock);
        let patience = Patience {
            request: limits.patience,
            outage: limits.outage,
        };
        let tokens: Arc<dyn TokenSource> = Arc::new(SignIn::new(tokens.clone(), clock.clone()));
        let build = |base: &str, first: Option<&(Api, Client)>| {
            let mut builder = Client::builder(base, clock.clone(), tokens.clone(), patience)
                .budget(Api::Container.name(), VerbClass::Read, CONTAINER_RATE)
                .budget(Api::Container.name(), VerbClass::Write, CONTAINER_RATE);
            if let Some(pem) = &endpoints.extra_ca {
                builder = builder.extra_ca(pem.clone());
            }
            // What is written through one API shows in another: a service account in a policy.
            if let Some((_, first)) = first {
                builder = builder.reads_of(first);
            }
            builder.build()
        };
        // APIs at one address share a client, and with it a token.
        let mut clients: Vec<(Api, Client)> = Vec::new();
        for api in Api::ALL {
            let base = endpoints.of(api);
            let known = clients
                .iter()
                .find(|(other, _)| endpoints.of(*other) == base);
            let client = match known {
                Some((_, client)) => client.clone(),
                None => build(base, clients.first())?,
            };
            clients.push((api, client));
        }
        Ok(Self { clients })
    }

    /// The access token that GKE's API servers take too, for ephemeral use only.
    pub async fn access_token(&self) -> Result<Token, Error> {
        self.client(Api::Container).token().await
    }

    /// The client of `api`.
    pub(crate) fn client(&self, api: Api) -> &Client {
        let found = self.clients.iter().find(|(of, _)| *of == api);
        &found.expect("there is a client of every API").1
    }

    /// Sends a request of `object`'s.
    pub(crate) async fn send(
        &self,
        api: Api,
        object: &ObjectId,
        request: Request,
    ) -> Result<Value, Fault> {
        let reply = self.client(api).send(request.api(api.name())).await;
        reply
            .map(|reply| reply.body)
            .map_err(|error| fault(object.clone(), &error))
    }

    /// Reads an object; `None` if it does not exist. An answer about anything else, an empty one of
    /// a proxy say, would look like an object that differs in everything.
    pub(crate) async fn read(
        &self,
        api: Api,
        object: &ObjectId,
        path: &str,
    ) -> Result<Option<Value>, Fault> {
        let read = self.send(api, object, Request::get(api.address(path)));
        let last = |text: &str| text.rsplit('/').next().map(str::to_owned);
        match read.await {
            Ok(body) if body["name"].as_str().and_then(last) == last(path) => Ok(Some(body)),
            Ok(body) => {
                let text = format!("the answer is not about {path}, but about {}", body["name"]);
                Err(Fault::new(object.clone(), FaultKind::Unavailable, text))
            }
            Err(fault) if fault.kind == FaultKind::Missing => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Sends a write to Kubernetes Engine and returns the operation it answers with.
    pub(crate) async fn write_container(
        &self,
        object: &ObjectId,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Fault> {
        let address = Api::Container.address(path);
        let request = match (method, body) {
            (Method::DELETE, _) => Request::delete(address),
            (Method::PUT, body) => Request::put(address, body.unwrap_or_default()),
            (_, body) => Request::post(address, body.unwrap_or_default()),
        };
        self.send(Api::Container, object, request).await
    }

    /// Reads something that does not change within a run: one request serves all who ask.
    pub(crate) async fn fact(&self, api: Api, path: &str) -> Result<Option<Value>, Error> {
        let request = Request::get(api.address(path)).api(api.name()).shared();
        match self.client(api).send(request).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Kubernetes Engine.
    Container,
    /// Compute Engine.
    Compute,
    /// Service accounts.
    Iam,
    /// Projects and their policies.
    Projects,
    /// Image repositories.
    Artifacts,
    /// Encryption keys.
    Keys,
}

impl Api {
    const ALL: [Self; 6] = [
        Self::Container,
        Self::Compute,
        Self::Iam,
        Self::Projects,
        Self::Artifacts,
        Self::Keys,
    ];

    /// The name of its throttle budgets.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Compute => "compute",
            Self::Iam => "iam",
            Self::Projects => "projects",
            Self::Artifacts => "artifacts",
            Self::Keys => "keys",
        }
    }

    /// The address of what is at `path` in the API.
    pub(crate) fn address(self, path: &str) -> String {
        match self {
            Self::Compute => format!("/compute/v1/{path}"),
            _ => format!("/v1/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_is_at_its_own_address_or_all_are_at_one() {
        let google = Endpoints::default();
        let places = Api::ALL.map(|api| google.of(api).to_owned());
        let names = [
            "container",
            "compute",
            "iam",
            "cloudresourcemanager",
            "artifactregistry",
            "cloudkms",
        ];
        assert_eq!(
            places,
            names.map(|it| format!("https://{it}.googleapis.com"))
        );
        let one = Endpoints::at("https://private.example");
        for api in Api::ALL {
            assert_eq!(one.of(api), "https://private.example");
        }
    }
}
