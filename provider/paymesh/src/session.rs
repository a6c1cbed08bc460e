//! What the provider block makes: the connections, the engine and the owner, shared by all calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use paymesh_azure::{Azure, AzureSettings as Connection, Simulated, Sovereign, usual_subscription};
use paymesh_engine::{Engine, Mark, ObjectId};
use paymesh_google::{Credentials, Endpoints, Google, usual_project};
use paymesh_plugin::findings::Severity;

use crate::{
    cluster::Neighbour,
    settings::{AzureEnvironment, AzureSettings, GoogleSettings, Settings},
    simulator::Simulator,
};

/// The session of one provider block.
pub struct Session {
    settings: Option<Settings>,
    simulator: Option<Simulator>,
    engine: Engine,
    azure: OnceLock<Result<Azure, String>>,
    google: OnceLock<Result<Arc<Google>, String>>,
    /// What the plans of this run have taken for themselves, so that two clusters cannot.
    neighbours: Mutex<BTreeMap<ObjectId, Neighbour>>,
    /// What was read since this block was configured, by its principal object.
    read: Mutex<BTreeSet<ObjectId>>,
    /// The clouds of which was told that they do not sign us in, and how loudly.
    refused: Mutex<BTreeSet<(&'static str, Severity)>>,
    /// Quota that the plans of this run need, by its name and by cluster.
    reserved: Mutex<BTreeMap<String, BTreeMap<ObjectId, u64>>>,
}

impl Session {
    /// The session of `settings`; `None` while some of them are unknown.
    pub fn new(settings: Option<Settings>, simulator: Option<Simulator>, engine: Engine) -> Self {
        Self {
            settings,
            simulator,
            engine,
            azure: OnceLock::new(),
            google: OnceLock::new(),
            neighbours: Mutex::default(),
            read: Mutex::default(),
            refused: Mutex::default(),
            reserved: Mutex::default(),
        }
    }

    /// Whether requests can be made: all settings are known.
    pub fn is_known(&self) -> bool {
        self.settings.is_some()
    }

    /// The engine of this process.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whose everything is that this configuration makes.
    pub fn owner(&self) -> &str {
        let settings = self.settings.as_ref();
        settings.map_or("", |settings| settings.owner.as_str())
    }

    /// The mark of the resource of this configuration that `principal` stands for.
    pub fn mark(&self, principal: &ObjectId) -> Mark {
        Mark::of(self.owner(), principal)
    }

    /// The labels of everything that this configuration makes.
    pub fn default_labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let settings = self.settings.as_ref();
        settings
            .and_then(|settings| settings.default_labels.as_ref())
            .unwrap_or(&NONE)
    }

    /// `labels` over the default labels.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = self.default_labels().clone();
        all.extend(
            labels
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        all
    }

    /// The subscription of resources that name none.
    pub fn subscription(&self) -> Option<String> {
        let set = self.azure_settings().subscription_id;
        let simulated = || self.simulator.as_ref()?.subscription_ids.first().cloned();
        set.or_else(simulated).or_else(usual_subscription)
    }

    /// The project of resources that name none.
    pub fn project(&self) -> Option<String> {
        let set = self.google_settings().project;
        let simulated = || self.simulator.as_ref()?.google_projects.first().cloned();
        set.or_else(simulated).or_else(usual_project)
    }

    /// The connection to Azure, made at its first use.
    pub fn azure(&self) -> Result<Azure, String> {
        self.azure.get_or_init(|| self.connect_azure()).clone()
    }

    /// The connection to Google Cloud, made at its first use.
    pub fn google(&self) -> Result<Arc<Google>, String> {
        self.google.get_or_init(|| self.connect_google()).clone()
    }

    /// Notes what the plan of `cluster` takes for itself, and returns what other plans took before.
    pub(crate) fn meet(
        &self,
        cluster: ObjectId,
        neighbour: &Neighbour,
    ) -> Vec<(ObjectId, Neighbour)> {
        let mut neighbours = self
            .neighbours
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        neighbours.remove(&cluster);
        let others = neighbours.clone().into_iter().collect();
        neighbours.insert(cluster, neighbour.clone());
        others
    }

    /// Notes that the resource that `principal` stands for is read.
    pub(crate) fn note_read(&self, principal: Option<&ObjectId>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.extend(principal.cloned());
    }

    /// Whether it was read: Terraform reads before it plans, and plans once more before it applies.
    pub(crate) fn has_read(&self, principal: &ObjectId) -> bool {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.contains(principal)
    }

    /// Whether nobody has told yet that `cloud` does not sign us in: one error ends the run, and the
    /// same one for every resource would bury it.
    pub(crate) fn is_first_refusal(&self, cloud: &'static str, severity: Severity) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert((cloud, severity))
    }

    /// Notes that the plan of `cluster` needs `amount` of the quota `name`, and returns what the
    /// other plans of this run need of it.
    pub(crate) fn reserve(&self, name: &str, cluster: &ObjectId, amount: u64) -> u64 {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let plans = reserved.entry(name.to_owned()).or_default();
        plans.insert(cluster.clone(), amount);
        plans
            .iter()
            .filter(|(other, _)| *other != cluster)
            .map(|(_, amount)| amount)
            .sum()
    }

    fn azure_settings(&self) -> AzureSettings {
        self.settings
            .as_ref()
            .and_then(|settings| settings.azure.clone())
            .unwrap_or_default()
    }

    fn google_settings(&self) -> GoogleSettings {
        self.settings
            .as_ref()
            .and_then(|settings| settings.google.clone())
            .unwrap_or_default()
    }

    fn connect_azure(&self) -> Result<Azure, String> {
        let clock = self.engine.clock().clone();
        let settings = if let Some(simulator) = &self.simulator {
            let simulated = Simulated {
                address: simulator.azure.as_str(),
                ca: &simulator.ca,
                tenant_id: &simulator.tenant_id,
                client_id: &simulator.client_id,
                secret: &simulator.client_secret_file,
            };
            Connection::simulated(&simulated, clock)?
        } else {
            let set = self.azure_settings();
            let sovereign = set.environment.map(Sovereign::from);
            Connection {
                endpoint: set.endpoint,
                extra_ca: set.ca_file.as_deref().map(read_authority).transpose()?,
                ..Connection::usual(sovereign, set.tenant_id.as_deref(), clock)?
            }
        };
        Azure::connect(settings).map_err(|error| error.to_string())
    }

    fn connect_google(&self) -> Result<Arc<Google>, String> {
        let (endpoints, credentials) = if let Some(simulator) = &self.simulator {
            let at = simulator.google.as_str().trim_end_matches('/');
            let file = simulator.google_credentials_file.clone();
            (Endpoints::at(at), Credentials::File(file))
        } else {
            let set = self.google_settings();
            let at = set.endpoint.as_deref().map(Endpoints::at);
            let mut endpoints = at.unwrap_or_default();
            let authority = set.ca_file.as_deref();
            endpoints.extra_ca = authority.map(read_authority).transpose()?;
            (endpoints, Credentials::usual())
        };
        Google::connect(&endpoints, self.engine.clock(), credentials)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }
}

fn read_authority(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))
}

impl From<AzureEnvironment> for Sovereign {
    fn from(environment: AzureEnvironment) -> Self {
        match environment {
            AzureEnvironment::Public => Self::Public,
            AzureEnvironment::UsGovernment => Self::UsGovernment,
            AzureEnvironment::China => Self::China,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_the_cloud_of_its_name() {
        for environment in [
            AzureEnvironment::Public,
            AzureEnvironment::UsGovernment,
            AzureEnvironment::China,
        ] {
            let name = format!("{environment:?}");
            assert_eq!(format!("{:?}", Sovereign::from(environment)), name);
        }
    }
}
