//! Kafka's part of a stack: what its brokers and those who put records into it are set to.

use std::{io, time::Duration};

use paymesh_beds::wait_for;
use serde_json::Value;

use super::{Member, Stack};

/// The topics of the services.
const TOPICS: [&str; 2] = ["paymesh.attempts", "paymesh.webhooks"];
/// How long after the start a topic may be missing, or nobody put anything into it.
const BEGUN_MAX: Duration = Duration::from_mins(1);
/// How long after a broker came back it may lag.
const IN_SYNC_MAX: Duration = Duration::from_mins(1);

impl Stack {
    /// What decides whether a record survives, of each topic: how the brokers have it, and by whose
    /// word db-controller takes a record for put. Nothing without Kafka.
    pub fn record_durability(&self) -> io::Result<Vec<(&'static str, String)>> {
        let Some(kafka) = &self.kafka else {
            return Ok(Vec::new());
        };
        let of = |topic: &'static str| {
            let found = wait_for(topic, BEGUN_MAX, || {
                let brokers = kafka.durability(topic);
                let brokers = brokers.map_err(|reason| reason.to_string())?;
                let acks = self.acks(topic).ok_or("no producer has begun")?;
                Ok(format!("{brokers} acks={acks}"))
            });
            let found = found.map(|settings| (topic, settings));
            found.map_err(io::Error::other)
        };
        TOPICS.into_iter().map(of).collect()
    }

    /// Waits until every broker has all of every topic again.
    pub fn wait_until_in_sync(&self) -> io::Result<()> {
        let Some(kafka) = &self.kafka else {
            return Ok(());
        };
        let brokers = kafka.ids().len();
        for topic in TOPICS {
            let is_in_sync = wait_for(topic, IN_SYNC_MAX, || {
                let found = kafka.partitions(topic);
                let found = found.map_err(|reason| reason.to_string())?;
                let has_all = found.iter().all(|it| it.in_sync.len() == brokers);
                has_all.then_some(()).ok_or(format!("{found:?}"))
            });
            is_in_sync.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// What db-controller's last producer of a topic said when it began.
    fn acks(&self, topic: &str) -> Option<String> {
        let log = self.log(Member::Controller);
        let said = log.lines().rev().find_map(|line| {
            let said: Value = serde_json::from_str(line).ok()?;
            (said["topic"] == topic && said["acks"].is_string()).then_some(said)
        });
        said?["acks"].as_str().map(str::to_owned)
    }
}
