//! The clouds that are looked in, and what was found there.

use std::fmt;

use paymesh_azure::{Azure, AzureSettings, Simulated, usual_subscription};
use paymesh_clock::Clock;
use paymesh_engine::Mark;
use paymesh_google::{Credentials, Endpoints, Google, usual_project};

use super::{Options, Result};
use crate::sim::{Card, Place};

/// The clouds, each with the places to look in.
pub(crate) struct Clouds {
    azure: Option<Azure>,
    subscriptions: Vec<String>,
    google: Option<Google>,
    projects: Vec<String>,
}

/// An object that bears a mark.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its id.
    pub(crate) id: String,
    /// Subscription or project.
    pub(crate) place: String,
    /// Owner and name, as they are written on it.
    pub(crate) mark: [String; 2],
    /// The state entry that holds it, if it says so.
    pub(crate) holder: Option<String>,
    /// The clusters that use it, whosever they are, by their ids.
    pub(crate) users: Vec<String>,
    /// Whether several resources share it, so that its mark is that of whichever came first.
    pub(crate) is_shared: bool,
    /// What it is.
    pub(crate) kind: &'static str,
    object: Object,
}

#[derive(Clone, Debug)]
enum Object {
    Azure(paymesh_azure::Marked),
    Google(paymesh_google::Marked),
    #[cfg(test)]
    Test,
}

impl Found {
    /// Whether `owner` has marked it.
    pub(crate) fn is_of(&self, owner: &str) -> bool {
        let mark = Mark::new(owner, "");
        let [(_, words), _] = mark.words();
        let [(_, digest), _] = mark.digests();
        [words, digest].contains(&self.mark[0])
    }

    /// Whether it is what `id` names.
    pub(crate) fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }

    #[cfg(test)]
    pub(crate) fn of_test(id: &str, mark: &str, holder: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            place: String::new(),
            mark: [String::new(), mark.to_owned()],
            holder: holder.map(str::to_owned),
            users: Vec::new(),
            is_shared: holder.is_none(),
            kind: "object",
            object: Object::Test,
        }
    }
}

impl From<paymesh_azure::Marked> for Found {
    fn from(it: paymesh_azure::Marked) -> Self {
        Self {
            id: it.id.to_string(),
            place: it.id.subscription().unwrap_or_default().to_owned(),
            mark: [it.owner.clone(), it.name.clone()],
            holder: it.holder.clone(),
            users: it.users.clone(),
            is_shared: it.is_group(),
            kind: it.kind,
            object: Object::Azure(it),
        }
    }
}

impl From<paymesh_google::Marked> for Found {
    fn from(it: paymesh_google::Marked) -> Self {
        Self {
            id: it.id.clone(),
            place: it.project().to_owned(),
            mark: [it.owner.clone(), it.name.clone()],
            holder: it.holder.clone(),
            users: it.users.clone(),
            is_shared: false,
            kind: it.kind(),
            object: Object::Google(it),
        }
    }
}

impl Clouds {
    /// Connects to what `options` name; nothing is sent yet.
    pub(crate) fn connect(options: &Options) -> Result<Self> {
        if options.simulator {
            let place = Place::find()?;
            let card = place.read()?.ok_or_else(|| {
                let file = place.file.display();
                format!(
                    "no simulated cloud runs: {file} does not exist.\nStart it with: paymesh sim up"
                )
            })?;
            return Self::simulated(&card);
        }
        let or_usual = |named: &[String], usual: fn() -> Option<String>| match named {
            [] => usual().into_iter().collect(),
            named => named.to_vec(),
        };
        let subscriptions = or_usual(&options.subscriptions, usual_subscription);
        let projects = or_usual(&options.projects, usual_project);
        if subscriptions.is_empty() && projects.is_empty() {
            return Err("where? Name --subscription, --project or --simulator".to_owned());
        }
        let clock = Clock::real();
        Self::new(
            || AzureSettings::usual(None, None, clock.clone()),
            subscriptions,
            || Google::connect(&Endpoints::default(), &clock, Credentials::usual()),
            projects,
        )
    }

    fn simulated(card: &Card) -> Result<Self> {
        let clock = Clock::scaled(card.clock_rate).map_err(|bad| bad.to_string())?;
        let azure = Simulated {
            address: &card.azure,
            ca: &card.ca,
            tenant_id: &card.tenant_id,
            client_id: &card.client_id,
            secret: &card.client_secret_file,
        };
        let credentials = Credentials::File(card.google_credentials_file.clone());
        Self::new(
            || AzureSettings::simulated(&azure, clock.clone()),
            card.subscription_ids.clone(),
            || Google::connect(&Endpoints::at(&card.google), &clock, credentials),
            card.google_projects.clone(),
        )
    }

    /// A cloud without a place to look in is not connected to: nobody may be signed in there.
    fn new<E: fmt::Display>(
        azure: impl FnOnce() -> Result<AzureSettings>,
        subscriptions: Vec<String>,
        google: impl FnOnce() -> std::result::Result<Google, E>,
        projects: Vec<String>,
    ) -> Result<Self> {
        let azure = || Azure::connect(azure()?).map_err(|error| error.to_string());
        let google = || google().map_err(|error| error.to_string());
        Ok(Self {
            azure: (!subscriptions.is_empty()).then(azure).transpose()?,
            subscriptions,
            google: (!projects.is_empty()).then(google).transpose()?,
            projects,
        })
    }

    /// Everything that bears a mark, in the order in which it can be removed.
    pub(crate) async fn marked(&self) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for (azure, subscription) in self
            .azure
            .iter()
            .flat_map(|azure| self.subscriptions.iter().map(move |it| (azure, it)))
        {
            let marked = azure.marked(subscription).await;
            let marked = marked.map_err(|error| format!("subscription {subscription}: {error}"))?;
            found.extend(marked.into_iter().map(Found::from));
        }
        for (google, project) in self
            .google
            .iter()
            .flat_map(|google| self.projects.iter().map(move |it| (google, it)))
        {
            let marked = google.marked(project).await;
            let marked = marked.map_err(|error| format!("project {project}: {error}"))?;
            found.extend(marked.into_iter().map(Found::from));
        }
        Ok(found)
    }

    /// Removes it; says why, if it stays.
    pub(crate) async fn remove(&self, found: &Found) -> Result<Option<String>> {
        let removed = match (&found.object, &self.azure, &self.google) {
            (Object::Azure(it), Some(azure), _) => azure.remove(it).await,
            (Object::Google(it), _, Some(google)) => google.remove(it).await,
            _ => return Err("its cloud is not connected".to_owned()),
        };
        removed.map_err(|error| error.to_string())
    }
}
