//! The denominators: PostgreSQL alone writes the postings of a payment, driven by pgbench.
//!
//! Same server, settings and standbys as for the services, and the tables that a payment's postings
//! touch (`tests/payments/bench/postings.sql`); no payment, key, queue or event beside them.

use std::{
    fs, io, num::NonZeroU32, path::Path, sync::Arc, thread::available_parallelism, time::Duration,
};

use paymesh_beds::{Postgres, PostgresError, reserve_port};

use super::{
    Length, Outcome, SHOPS, Window,
    meter::Meter,
    seen::{Latency, Seen, count, microseconds},
};
use crate::{stack::SERVERS, torture::not_durable};

const TABLES: &str = include_str!("../../bench/postings.sql");
const DATABASE: &str = "postings";
/// What begins the names of pgbench's logs.
const LOG: &str = "latency";
/// How many connections are tried.
const CLIENTS: [u32; 3] = [4, 16, 64];
/// How late transactions may begin on average, in milliseconds: what they took is told of a server
/// that keeps the rate.
const LATE_MS_MAX: u64 = 10;
/// How many connections share an intended rate.
const CLIENTS_OF_RATE: u32 = 16;

/// Postings, what all balances add up to, and balances that are not the sum of their postings.
const LEDGER: &str = "with sums as (
        select account_id, sum(amount) as amount from (
            select credit_account as account_id, amount from posting
            union all select debit_account, -amount from posting) side
        group by account_id)
    select (select count(*) from posting where kind = 'charge'),
        (select abs(coalesce(sum(posted), 0))::int8 from balance),
        (select count(*) from balance b full join sums s using (account_id)
            where coalesce(b.posted, 0) <> coalesce(s.amount, 0))";

/// What a script writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    name: &'static str,
    text: &'static str,
    /// The postings of how many payments one transaction writes.
    payments: u64,
    /// How many merchants share them.
    shops: usize,
}

/// One statement for the postings of one payment.
pub(super) const ONE: Script = Script {
    name: "one-statement.sql",
    text: include_str!("../../bench/one-statement.sql"),
    payments: 1,
    shops: SHOPS,
};

/// One statement for the postings of one payment, always of the same merchant.
pub(super) const HOT: Script = Script { shops: 1, ..ONE };

/// One statement for the postings of fifty payments.
pub(super) const FIFTY: Script = Script {
    name: "sets-of-fifty.sql",
    text: include_str!("../../bench/sets-of-fifty.sql"),
    payments: 50,
    shops: SHOPS,
};

/// Measures with as many clients as are best, or at a rate if one is given.
pub(super) async fn measure(
    folder: &Path,
    script: Script,
    rate: Option<NonZeroU32>,
    length: Length,
) -> io::Result<Outcome> {
    let mut site = tokio::task::block_in_place(|| Servers::start(folder, script))?;
    let url = site.primary.administrator_url(DATABASE);
    let durability = tokio::task::block_in_place(|| site.primary.durability_for(&url));
    let durability = durability.map_err(io::Error::other)?;
    let meter = Arc::new(Meter::at(&url, site.ids()).await?);
    let mut outcome = Outcome {
        per_second: rate.map(NonZeroU32::get),
        void: not_durable(&durability).into_iter().collect(),
        durability,
        ..Outcome::default()
    };
    let run = |clients, span| Run {
        script,
        clients,
        span,
        rate,
    };
    let mut clients = CLIENTS_OF_RATE;
    if rate.is_none() {
        let mut most = 0;
        for tried in CLIENTS {
            let step = run(tried, length.step());
            let (seen, _) = tokio::task::block_in_place(|| site.pgbench(step))?;
            let note = format!(
                "{tried} clients: {} in {} ms",
                seen.ended, seen.milliseconds
            );
            eprintln!("  {note}");
            outcome.notes.push(note);
            if seen.ended > most {
                (most, clients) = (seen.ended, tried);
            }
        }
    }
    outcome.clients = Some(clients);
    for (index, span) in length.spans().into_iter().enumerate() {
        let before = meter.read().await?;
        let at_half = meter.clone();
        let checkpoint = tokio::spawn(async move {
            tokio::time::sleep(span / 2).await;
            at_half.checkpoint().await
        });
        let (seen, late_ms) = tokio::task::block_in_place(|| site.pgbench(run(clients, span)))?;
        checkpoint.await.map_err(io::Error::other)??;
        let cost = meter.read().await?.since(&before);
        // The first span is the warm-up.
        if index > 0 {
            if seen.failed > 0 {
                outcome
                    .void
                    .push(format!("{} transactions failed", seen.failed));
            }
            if let Some(late_ms) = late_ms.filter(|late_ms| *late_ms > LATE_MS_MAX) {
                let late = format!("pgbench was {late_ms} ms behind its rate");
                outcome.void.push(late);
            }
            outcome.windows.push(Window {
                seen,
                cost,
                ..Window::default()
            });
        }
    }
    let [booked, sum, wrong] = meter.numbers(LEDGER).await?;
    if booked != site.written {
        let written = site.written;
        outcome.void.push(format!(
            "pgbench counted {written} payments, {booked} are booked"
        ));
    }
    if sum != 0 || wrong != 0 {
        outcome
            .void
            .push(format!("balances add up to {sum}, {wrong} are wrong"));
    }
    Ok(outcome)
}

/// One run of pgbench.
#[derive(Clone, Copy)]
struct Run {
    script: Script,
    clients: u32,
    span: Duration,
    rate: Option<NonZeroU32>,
}

/// A primary and its standbys, as a stack has them.
struct Servers {
    primary: Postgres,
    standbys: Vec<Postgres>,
    /// The payments whose postings were written.
    written: u64,
}

impl Servers {
    fn start(folder: &Path, script: Script) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Self::prepare(folder, script).map_err(io::Error::other)
    }

    fn prepare(folder: &Path, script: Script) -> Result<Self, PostgresError> {
        let primary = Postgres::start(&folder.join("postgres"))?;
        primary.sql("postgres", &format!("create database {DATABASE}"))?;
        primary.sql(DATABASE, TABLES)?;
        primary.write(script.name, script.text)?;
        let mut standbys = Vec::new();
        for name in &SERVERS[1..] {
            let port = reserve_port().map_err(|reason| primary.failed("port", reason))?;
            standbys.push(primary.standby(&folder.join(name), name, port)?);
        }
        for server in std::iter::once(&primary).chain(&standbys) {
            server.acknowledge_with(&SERVERS)?;
        }
        Ok(Self {
            primary,
            standbys,
            written: 0,
        })
    }

    fn ids(&self) -> Vec<(String, u32)> {
        let servers = std::iter::once(&self.primary).chain(&self.standbys);
        let named = servers.map(|server| (format!("postgres {}", server.name), server.id()));
        named.collect()
    }

    /// What was seen, and how late transactions began on average, in milliseconds, if there is a rate.
    fn pgbench(&mut self, run: Run) -> io::Result<(Seen, Option<u64>)> {
        let threads = available_parallelism()?.get().min(run.clients as usize);
        let mut command = self.primary.client("pgbench", DATABASE);
        command
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--file",
                run.script.name,
            ])
            .arg(format!("--define=merchants={}", run.script.shops))
            .arg(format!("--client={}", run.clients))
            .arg(format!("--jobs={threads}"))
            .arg(format!("--time={}", run.span.as_secs()));
        if let Some(rate) = run.rate {
            command
                .arg(format!("--rate={rate}"))
                .args(["--log", "--log-prefix", LOG]);
        }
        let said = self.primary.printed(&mut command);
        let said = said.map_err(io::Error::other)?;
        let number = |name: &str| {
            number_after(&said, name).ok_or_else(|| io::Error::other(format!("no {name}: {said}")))
        };
        let transactions = number("number of transactions actually processed:")?;
        let ended = transactions * run.script.payments;
        self.written += ended;
        let seen = Seen {
            milliseconds: u64::try_from(run.span.as_millis()).map_err(io::Error::other)?,
            sent: ended,
            ended,
            failed: number("number of failed transactions:")?,
            latency: self.read_latencies()?,
            ..Seen::default()
        };
        Ok((seen, number_after(&said, "rate limit schedule lag: avg")))
    }

    /// Reads and deletes what pgbench wrote down of each transaction. The third word is what it
    /// took, in microseconds from its intended time.
    fn read_latencies(&self) -> io::Result<Option<Latency>> {
        let mut histogram = microseconds();
        for entry in fs::read_dir(self.primary.folder())? {
            let file = entry?;
            if !file.file_name().to_string_lossy().starts_with(LOG) {
                continue;
            }
            for line in fs::read_to_string(file.path())?.lines() {
                let word = line.split(' ').nth(2).and_then(|word| word.parse().ok());
                let took_us = word.ok_or_else(|| io::Error::other(format!("pgbench: {line}")))?;
                count(&mut histogram, Duration::from_micros(took_us));
            }
            fs::remove_file(file.path())?;
        }
        Ok(Latency::of(&histogram))
    }
}

/// How fast the disk of a folder confirms writes, as PostgreSQL's own tool sees it.
pub(super) fn fsync(folder: &Path) -> io::Result<Outcome> {
    fs::create_dir_all(folder)?;
    let measured = (|| {
        let server = Postgres::start(&folder.join("postgres"))?;
        let mut command = server.client("pg_test_fsync", "postgres");
        command.args(["--secs-per-test=2", "--filename=fsync-test"]);
        server.printed(&mut command)
    })();
    let said = measured.map_err(io::Error::other)?;
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(Outcome {
        notes: lines.map(ToOwned::to_owned).collect(),
        ..Outcome::default()
    })
}

/// The whole number that follows a name.
pub(super) fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let digits = rest
        .trim_start()
        .split(|letter: char| !letter.is_ascii_digit());
    digits.into_iter().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_pgbench_are_read_from_what_it_prints() {
        let said = "transaction type: one-statement.sql
number of transactions actually processed: 6144
number of failed transactions: 3 (0.049%)
rate limit schedule lag: avg 12.216 (max 99.117) ms
latency average = 7.812 ms
";
        let number = |name| number_after(said, name);
        assert_eq!(
            number("number of transactions actually processed:"),
            Some(6_144)
        );
        assert_eq!(number("number of failed transactions:"), Some(3));
        assert_eq!(number("rate limit schedule lag: avg"), Some(12));
        assert_eq!(number("number of transactions above the limit:"), None);
    }
}
