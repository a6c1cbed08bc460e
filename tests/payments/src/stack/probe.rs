//! The synthetic probe beside a stack. No payment needs it, so it is there only if it was wished for.

use std::{
    io,
    time::{Duration, Instant},
};

use paymesh_beds::reserve_port;

use super::{Member, Stack};

/// How long one step of a run may take: longer than a slow machine needs, and short enough to wait for
/// one that fails.
const STEP_MS_MAX: &str = "5000";

/// What the probe is started with.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) health: u16,
    /// The later of two of one name counts.
    pub(super) settings: Vec<(String, String)>,
}

impl Stack {
    /// Starts the probe as the merchant of a key, with these settings besides, and waits until it is
    /// ready. Put in again it is started with other ones.
    pub fn add_probe(&mut self, api_key: &str, settings: &[(&str, &str)]) -> io::Result<()> {
        let health = match &self.probe {
            Some(probe) => probe.health,
            None => reserve_port()?,
        };
        let address = format!("127.0.0.1:{health}");
        let usual = [
            ("PAYMESH_PROBE_API_URL", self.card.api_url.as_str()),
            ("PAYMESH_PROBE_API_KEY", api_key),
            ("PAYMESH_PROBE_PAYMENT_METHOD", "tok_approve"),
            ("PAYMESH_PROBE_MS_MAX", STEP_MS_MAX),
            ("PAYMESH_HEALTH_LISTEN", address.as_str()),
        ];
        let settings = usual.iter().chain(settings);
        let settings = settings.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let settings = settings.collect();
        self.probe = Some(Probe { health, settings });
        self.kill(Member::Probe);
        self.restart(Member::Probe)
    }

    /// How many runs of the probe, since it was started last, had an outcome: `ok` or `failed`.
    pub async fn probe_runs(&self, outcome: &str) -> io::Result<u32> {
        let metrics = self.metrics(Member::Probe).await?;
        let series = format!(r#"paymesh_probe_runs_total{{outcome="{outcome}"}} "#);
        let count = metrics.lines().find_map(|line| line.strip_prefix(&series));
        let count = count.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| io::Error::other(format!("no {series}in\n{metrics}")))
    }

    /// Waits until so many runs of the probe had an outcome; gives how many there are then.
    pub async fn wait_for_runs(
        &self,
        outcome: &str,
        count: u32,
        limit: Duration,
    ) -> io::Result<u32> {
        let start = Instant::now();
        loop {
            let runs = self.probe_runs(outcome).await?;
            if runs >= count {
                return Ok(runs);
            }
            if start.elapsed() > limit {
                let log = self.log(Member::Probe);
                return Err(io::Error::other(format!(
                    "{runs} runs were {outcome} in {limit:?}, not {count}\n{log}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
