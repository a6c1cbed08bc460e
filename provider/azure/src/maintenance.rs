//! When Azure may upgrade a cluster by itself.

use async_trait::async_trait;
use paymesh_cloud::{Error, Request};
use paymesh_engine::{
    Context, Difference, Fault, LockKey, Object, ObjectId, Observation, Ownership, Seen, Sent,
    Subject,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure, WindowSeen, cluster_object_id,
    connection::{api, version},
    fault::fault,
    part,
};

/// A maintenance configuration as it is wanted.
#[derive(Clone, Debug)]
pub struct MaintenanceWant {
    /// The cluster.
    pub cluster: ArmId,
    /// What it governs: `aksManagedAutoUpgradeSchedule` or `aksManagedNodeOSUpgradeSchedule`.
    pub name: String,
    /// The weekday of the window, like `Sunday`.
    pub day_of_week: String,
    /// Start of the window in UTC, like `02:00`.
    pub start_time: String,
    /// Length of the window.
    pub hours: u32,
    /// Dates without maintenance, first and last day as `2026-12-20`.
    pub excluded: Vec<(String, String)>,
}

/// A maintenance configuration.
pub struct Maintenance {
    azure: Azure,
    want: MaintenanceWant,
}

impl Maintenance {
    /// The configuration that is wanted.
    pub fn new(azure: &Azure, want: MaintenanceWant) -> Self {
        Self {
            azure: azure.clone(),
            want,
        }
    }

    /// The engine's name of the configuration `name` of `cluster`.
    pub fn id_of(cluster: &ArmId, name: &str) -> ObjectId {
        let id = cluster.child("maintenanceConfigurations", name);
        ObjectId::new("maintenance configuration", id.folded())
    }

    fn arm_id(&self) -> ArmId {
        self.want
            .cluster
            .child("maintenanceConfigurations", &self.want.name)
    }

    fn part(&self) -> Value {
        let want = &self.want;
        let excluded: Vec<_> = want
            .excluded
            .iter()
            .map(|(start, end)| json!({"start": start, "end": end}))
            .collect();
        json!({"properties": {"maintenanceWindow": {
            "schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": want.day_of_week}},
            "durationHours": want.hours,
            "startTime": want.start_time,
            "utcOffset": "+00:00",
            "notAllowedDates": excluded,
        }}})
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        fault(self.id(), error)
    }
}

impl Azure {
    /// The maintenance window of `cluster` called `name`, if there is one.
    pub async fn maintenance_window(
        &self,
        cluster: &ArmId,
        name: &str,
    ) -> Result<Option<WindowSeen>, Error> {
        let id = cluster.child("maintenanceConfigurations", name);
        let body = self
            .read(id.as_str(), version::CLUSTERS, api::CLUSTERS)
            .await?;
        Ok(body.as_ref().and_then(WindowSeen::read))
    }
}

#[async_trait]
impl Object for Maintenance {
    fn id(&self) -> ObjectId {
        Self::id_of(&self.want.cluster, &self.want.name)
    }

    fn attribute(&self) -> Option<String> {
        Some("maintenance".to_owned())
    }

    fn parent(&self) -> Option<ObjectId> {
        Some(cluster_object_id(&self.want.cluster))
    }

    fn goes_with_parent(&self) -> bool {
        true
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.want.cluster.folded())]
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let id = self.arm_id();
        let found = self
            .azure
            .read(id.as_str(), version::CLUSTERS, api::CLUSTERS)
            .await;
        Ok(match found.map_err(|error| self.fault(&error))? {
            None => Observation::Absent,
            Some(body) => {
                let mut seen = Seen::new(body);
                seen.ownership = Ownership::FollowsParent;
                Observation::Present(seen)
            }
        })
    }

    fn differ(&self, _: &Context, seen: &Seen) -> Difference {
        if part::differing(&self.part(), &seen.body).is_empty() {
            Difference::Same
        } else {
            Difference::change(
                self.attribute()
                    .map(Subject::Attribute)
                    .into_iter()
                    .collect(),
            )
        }
    }

    async fn apply(&self, _: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let known = seen.map(|seen| json!({"properties": seen.body["properties"]}));
        let mut body = known.unwrap_or_default();
        part::merge(&self.part(), &mut body);
        let request = Request::put(self.arm_id().as_str(), body);
        let sent = self
            .azure
            .write(request, version::CLUSTERS, api::CLUSTERS)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let sent = self
            .azure
            .delete(self.arm_id().as_str(), version::CLUSTERS, api::CLUSTERS)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }
}
