//! The audit chain of a stack: whether everything is sealed, and what the verifier finds.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Stack;

/// Rows of both chains that no seal has.
const UNSEALED: &str = "select
    (select count(*) from posting where seq > coalesce(
        (select max(last_seq) from audit_seal where shard = 'posting'), '-9223372036854775808'))
    + (select count(*) from event where seq > coalesce(
        (select max(last_seq) from audit_seal where shard = 'event'), '-9223372036854775808'))";

/// The longest that any row waited for its seal.
const LONGEST: &str = "select coalesce(max(waited), 0)::float8 from (
    select extract(epoch from s.sealed_at - r.created_at) as waited
    from audit_seal s join posting r on s.shard = 'posting' and r.seq > s.after_seq and r.seq <= s.last_seq
    union all
    select extract(epoch from s.sealed_at - r.created_at)
    from audit_seal s join event r on s.shard = 'event' and r.seq > s.after_seq and r.seq <= s.last_seq) w";

/// What a run of the verifier said.
#[derive(Debug)]
pub struct Audit {
    /// Each finding.
    pub findings: Vec<Value>,
    /// All of it, for a later run to compare with.
    pub text: String,
}

impl Audit {
    /// Each finding in short: what it is, of which shard, and which row, or else which seal.
    pub fn short(&self) -> Vec<String> {
        let short = |found: &Value| {
            let place = found.get("id").or_else(|| found.get("seal"));
            let word = |value: &Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            };
            let place = place.map(word).unwrap_or_default();
            format!(
                "{} {} {place}",
                word(&found["finding"]),
                word(&found["shard"])
            )
        };
        self.findings.iter().map(short).collect()
    }
}

impl Stack {
    /// Waits until every row is sealed; an error after `limit`.
    pub async fn sealed(&self, limit: Duration) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let unsealed = self.postgres.sql("payments", UNSEALED);
            let unsealed = unsealed.map_err(io::Error::other)?;
            if unsealed == "0" {
                return Ok(());
            }
            if start.elapsed() > limit {
                let late = format!("{unsealed} rows are not sealed after {limit:?}");
                return Err(io::Error::other(late));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every row is sealed; an error after `limit`, or if verifier or checker finds
    /// anything.
    pub async fn sealed_well(&self, limit: Duration) -> io::Result<Audit> {
        self.sealed(limit).await?;
        let audit = self.verify_audit(None)?;
        let mut found = audit.short();
        found.extend(self.wrong_seals().await?);
        if found.is_empty() {
            Ok(audit)
        } else {
            Err(io::Error::other(found.join("; ")))
        }
    }

    /// What the checker, which shares no code with the verifier, has against the chain.
    pub async fn wrong_seals(&self) -> io::Result<Vec<String>> {
        let mut found = self.report().await?.broken;
        found.retain(|line| line.contains("seal"));
        Ok(found)
    }

    /// The longest that any row waited for its seal.
    pub fn longest_unsealed(&self) -> io::Result<Duration> {
        let seconds = self.postgres.sql("payments", LONGEST);
        let seconds = seconds.map_err(io::Error::other)?;
        let seconds: f64 = seconds.parse().map_err(io::Error::other)?;
        Ok(Duration::from_secs_f64(seconds.max(0.0)))
    }

    /// Verifies the audit chain as a person would, beside what an earlier run said.
    pub fn verify_audit(&self, known: Option<&Audit>) -> io::Result<Audit> {
        let file = self.folder.join("audit-known.jsonl");
        let mut words = vec!["verify-audit"];
        let shown = file.to_string_lossy();
        if let Some(known) = known {
            fs::write(&file, &known.text)?;
            words.extend(["--known", &*shown]);
        }
        let output = self.run_controller(&words)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
        let findings = lines
            .into_iter()
            .filter(|line| line.get("finding").is_some());
        let findings: Vec<Value> = findings.collect();
        if output.status.success() != findings.is_empty() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{reason}\n{text}")));
        }
        Ok(Audit { findings, text })
    }
}
