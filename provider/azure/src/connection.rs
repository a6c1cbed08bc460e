//! The connection to Azure that all objects share.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use paymesh_clock::Clock;
use paymesh_cloud::{
    Client, Error, ErrorKind, Patience, Rate, Reply, Request, Token, TokenSource, VerbClass,
    is_loopback, transport,
};
use paymesh_engine::{Busy, Limits, Mark, Observation};
use serde_json::Value;
use url::Url;

use crate::{ArmId, Credential, Sovereign, credentials::Source, json::text, tags};

/// API versions, one per resource provider.
pub(crate) mod version {
    pub(crate) const GROUPS: &str = "2025-04-01";
    pub(crate) const SUBSCRIPTIONS: &str = "2022-12-01";
    pub(crate) const CLUSTERS: &str = "2026-05-01";
    pub(crate) const IDENTITIES: &str = "2024-11-30";
    pub(crate) const ROLES: &str = "2022-04-01";
    pub(crate) const SKUS: &str = "2021-07-01";
    pub(crate) const USAGES: &str = "2024-11-01";
    pub(crate) const NETWORKS: &str = "2025-05-01";
    pub(crate) const WORKSPACES: &str = "2025-02-01";
    pub(crate) const REGISTRIES: &str = "2025-04-01";
    pub(crate) const DIAGNOSTICS: &str = "2021-05-01-preview";
}

/// The application that every AKS cluster with Entra sign-in trusts, in all clouds (AKS
/// documentation, "kubelogin": server id).
const KUBERNETES: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";

/// Names of the throttle budgets.
pub(crate) mod api {
    pub(crate) const ARM: &str = "arm";
    pub(crate) const CLUSTERS: &str = "managedClusters";
    pub(crate) const POOLS: &str = "agentPools";
}

/// How to reach Azure.
#[derive(Clone, Debug)]
pub struct AzureSettings {
    /// Which of the Azure clouds.
    pub sovereign: Sovereign,
    /// Another resource manager than the cloud's own.
    pub endpoint: Option<String>,
    /// Another token issuer than the cloud's own.
    pub authority: Option<String>,
    /// A certificate authority (PEM) that is trusted besides the machine's.
    pub extra_ca: Option<Vec<u8>>,
    /// How to sign in.
    pub credential: Credential,
    /// The clock of every wait.
    pub clock: Clock,
}

/// Where requests go, and what the tokens are for that go with them.
#[derive(Debug, PartialEq)]
struct Places {
    manager: String,
    authority: String,
    scope: String,
}

impl AzureSettings {
    fn places(&self) -> Places {
        let own = |set: &Option<String>, own: &str| set.clone().unwrap_or_else(|| own.to_owned());
        Places {
            manager: own(&self.endpoint, self.sovereign.resource_manager()),
            authority: own(&self.authority, self.sovereign.authority()),
            scope: self.sovereign.scope(),
        }
    }
}

/// The connection to Azure. Clones share it.
#[derive(Clone)]
pub struct Azure {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// Tokens for the API servers of clusters.
    kubernetes: Arc<dyn TokenSource>,
    /// Groups that something was created in by this process: not empty, whatever a list says.
    inhabited: Mutex<BTreeSet<String>>,
}

impl Azure {
    /// Connects; nothing is sent yet.
    pub fn connect(settings: AzureSettings) -> Result<Self, Error> {
        let Places {
            manager: base,
            authority,
            scope,
        } = settings.places();
        let local = Url::parse(&authority).is_ok_and(|url| is_loopback(&url));
        let http = transport(settings.extra_ca.as_deref(), local)?;
        let source = |scope: String| Source {
            credential: settings.credential.clone(),
            authority: authority.clone(),
            scope,
            http: http.clone(),
        };
        let manager: Arc<dyn TokenSource> = Arc::new(source(scope));
        let kubernetes: Arc<dyn TokenSource> = Arc::new(source(format!("{KUBERNETES}/.default")));
        // Rates of the AKS resource provider (rate-limits.apis.io, quoting aks/quotas-skus-regions)
        // and of ARM per principal and region (request-limits-and-throttling).
        let rate = |burst, seconds| Rate {
            burst,
            refill: Duration::from_secs(seconds),
        };
        let fast = |burst, ms| Rate {
            burst,
            refill: Duration::from_millis(ms),
        };
        let limits = Limits::writing(&settings.clock);
        let patience = Patience {
            request: limits.patience,
            outage: limits.outage,
        };
        let mut builder = Client::builder(&base, settings.clock, manager, patience)
            .request_id_header("x-ms-client-request-id")
            .budget(api::CLUSTERS, VerbClass::Write, rate(20, 60))
            .budget(api::POOLS, VerbClass::Write, rate(20, 60))
            .budget(api::CLUSTERS, VerbClass::Read, rate(60, 1))
            .budget(api::ARM, VerbClass::Read, fast(250, 40))
            .budget(api::ARM, VerbClass::Write, fast(200, 100))
            .budget(api::ARM, VerbClass::Delete, fast(200, 100));
        if let Some(pem) = settings.extra_ca {
            builder = builder.extra_ca(pem);
        }
        let client = builder.build()?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                kubernetes,
                inhabited: Mutex::default(),
            }),
        })
    }

    /// The HTTP client.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// A token for the API servers of AKS clusters, for ephemeral use only.
    pub async fn kubernetes_token(&self) -> Result<Token, Error> {
        let token = self.inner.kubernetes.token().await;
        token.map_err(|error| Error::new(ErrorKind::Token, error.message))
    }

    /// Forgets all shared reads: a new run begins.
    pub fn forget_reads(&self) {
        self.inner.client.forget_reads();
        self.inner
            .inhabited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Deletes the object at `path`; `None` if there was none.
    pub(crate) async fn delete(
        &self,
        path: &str,
        version: &str,
        api: &'static str,
    ) -> Result<Option<Reply>, Error> {
        match self.write(Request::delete(path), version, api).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Reads the object at `path`; `None` if it does not exist. An answer about anything else, an
    /// empty one of a proxy say, would look like an object that differs in everything.
    pub(crate) async fn read(
        &self,
        path: &str,
        version: &str,
        api: &'static str,
    ) -> Result<Option<Value>, Error> {
        let Some(body) = self.facts(path, version, api).await? else {
            return Ok(None);
        };
        let id = body.get("id").and_then(Value::as_str);
        if id.is_some_and(|id| id.eq_ignore_ascii_case(path)) {
            Ok(Some(body))
        } else {
            let text = format!(
                "GET {path}: the answer is not about it, but about {}",
                id.unwrap_or("nothing")
            );
            Err(Error::new(ErrorKind::Malformed, text))
        }
    }

    /// Reads what is at `path`; `None` if there is nothing.
    pub(crate) async fn facts(
        &self,
        path: &str,
        version: &str,
        api: &'static str,
    ) -> Result<Option<Value>, Error> {
        let request = Request::get(path)
            .query("api-version", version)
            .api(api)
            .shared();
        match self.inner.client.send(request).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All pages of the list at `path`.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        api: &'static str,
    ) -> Result<Vec<Value>, Error> {
        let mut request = Request::get(path).api(api).shared();
        for (key, value) in query {
            request = request.query(key, *value);
        }
        let next = |page: &Value| {
            let link = page.get("nextLink").and_then(Value::as_str);
            let link = link.filter(|link| !link.is_empty());
            Ok(link.map(|link| Request::get(link).api(api).shared()))
        };
        self.inner.client.list(request, "value", next).await
    }

    /// Sends a write.
    pub(crate) async fn write(
        &self,
        request: Request,
        version: &str,
        api: &'static str,
    ) -> Result<Reply, Error> {
        self.inner
            .client
            .send(request.query("api-version", version).api(api))
            .await
    }

    /// Notes that something is about to be created in the group of `id`.
    pub(crate) fn inhabit(&self, id: &ArmId) {
        if let Some(group) = id.group_id() {
            let mut inhabited = self
                .inner
                .inhabited
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            inhabited.insert(group.folded());
        }
    }

    /// Whether this process has created something in `group`.
    pub(crate) fn is_inhabited(&self, group: &ArmId) -> bool {
        let inhabited = self
            .inner
            .inhabited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inhabited.contains(&group.folded())
    }
}

impl Azure {
    /// Observes the ARM object `id`: absent, or present with its mark, holder and business.
    pub(crate) async fn observe(
        &self,
        id: &ArmId,
        version: &str,
        api: &'static str,
        mark: &Mark,
    ) -> Result<Observation, Error> {
        let Some(body) = self.read(id.as_str(), version, api).await? else {
            return Ok(Observation::Absent);
        };
        let busy = busy(&body);
        if busy.is_some() {
            // Whoever waits for it to rest must not be shown this answer again.
            self.client().forget_reads_around(id.as_str());
        }
        let mut seen = tags::seen(body, mark);
        seen.busy = busy.map(|what| Busy {
            what,
            operation: None,
        });
        Ok(Observation::Present(seen))
    }
}

/// What works on the object that `body` describes, if something does.
pub(crate) fn busy(body: &Value) -> Option<String> {
    let state = text(body, "/properties/provisioningState")?;
    let rests = state.eq_ignore_ascii_case("succeeded") || failed(body).is_some();
    (!rests).then(|| state.to_owned())
}

/// How the last operation on the object that `body` describes ended, if it ended badly.
pub(crate) fn failed(body: &Value) -> Option<&str> {
    let state = text(body, "/properties/provisioningState")?;
    let ends = ["failed", "canceled"];
    let is_bad = ends.iter().any(|it| state.eq_ignore_ascii_case(it));
    is_bad.then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_places(sovereign: Sovereign, endpoint: Option<&str>, expected: [&str; 3]) {
        let usual = AzureSettings::usual(Some(sovereign), None, Clock::real()).unwrap();
        let endpoint = endpoint.map(str::to_owned);
        let places = AzureSettings { endpoint, ..usual }.places();
        let places = [places.manager, places.authority, places.scope];
        assert_eq!(places, expected, "{sovereign:?}");
    }

    /// Endpoints of the clouds: learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure,
    /// learn.microsoft.com/azure/china/resources-developer-guide.
    #[test]
    fn each_cloud_has_its_own_manager_authority_and_scope() {
        let public = [
            "https://management.azure.com",
            "https://login.microsoftonline.com",
            "https://management.azure.com/.default",
        ];
        check_places(Sovereign::Public, None, public);
        let government = [
            "https://management.usgovcloudapi.net",
            "https://login.microsoftonline.us",
            "https://management.usgovcloudapi.net/.default",
        ];
        check_places(Sovereign::UsGovernment, None, government);
        let china = [
            "https://management.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn/.default",
        ];
        check_places(Sovereign::China, None, china);
        // A private way into a cloud is still that cloud.
        let private = "https://manager.example";
        let [_, authority, scope] = china;
        check_places(Sovereign::China, Some(private), [private, authority, scope]);
    }
}
