//! What work costs: processor time of each process, commits and log of the database.

use std::{collections::BTreeMap, fs, io};

use serde::Serialize;
use tokio_postgres::{Client, NoTls, Row};

/// `USER_HZ`, in which Linux tells programs of processor time, is 100 wherever we build.
const TICK_MS: u64 = 10;

/// Only a transaction that writes or locks has a number; `xact_commit` would count every read too.
const DATABASE: &str = "select pg_snapshot_xmax(pg_current_snapshot())::text::int8,
    (pg_current_wal_lsn() - '0/0')::int8";

const QUEUE: &str = "select count(*) from outbox
    where done_at is null and parked_at is null and available_at <= clock_timestamp()";

/// Those that ended in this database since the counting began, the dearest first. Together they took as
/// long as this says, waits for locks and for each other included.
const STATEMENTS: &str = "select s.calls, (s.total_exec_time * 1000)::int8, s.query
    from pg_stat_statements s join pg_database d on d.oid = s.dbid
    where d.datname = current_database() order by s.total_exec_time desc limit 16";

const COUNT_STATEMENTS: &str = "create extension if not exists pg_stat_statements;
    select pg_stat_statements_reset()";

const CLOCK: &str = "select (extract(epoch from clock_timestamp()) * 1000)::int8";

/// What something cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Transactions that wrote to a database of the server, or locked rows of it.
    pub commits: u64,
    /// What the database wrote to its log.
    pub wal_bytes: u64,
    /// Processor time by process.
    pub cpu_ms: BTreeMap<String, u64>,
}

impl Cost {
    /// What was spent since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let spent = |(name, all): (&String, &u64)| {
            let before = before.cpu_ms.get(name).copied().unwrap_or_default();
            (name.clone(), all.saturating_sub(before))
        };
        Self {
            commits: self.commits.saturating_sub(before.commits),
            wal_bytes: self.wal_bytes.saturating_sub(before.wal_bytes),
            cpu_ms: self.cpu_ms.iter().map(spent).collect(),
        }
    }
}

/// A statement, however often it was executed.
#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    /// How often.
    pub calls: u64,
    /// How long all of that took.
    pub microseconds: u64,
    /// Its text, values apart.
    pub text: String,
}

/// A meter at a database and at processes.
pub(super) struct Meter {
    database: Client,
    processes: Vec<(String, u32)>,
}

impl Meter {
    /// A meter at the database of `url`, as its administrator, and at these processes.
    pub(super) async fn at(url: &str, processes: Vec<(String, u32)>) -> io::Result<Self> {
        let (database, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self {
            database,
            processes,
        })
    }

    /// Everything that was spent until now.
    pub(super) async fn read(&self) -> io::Result<Cost> {
        let [commits, wal_bytes] = self.numbers(DATABASE).await?;
        let mut cpu_ms = BTreeMap::new();
        for (name, id) in &self.processes {
            cpu_ms.insert(name.clone(), of_tree(*id)?);
        }
        cpu_ms.insert("generator".to_owned(), of_this()?);
        Ok(Cost {
            commits,
            wal_bytes,
            cpu_ms,
        })
    }

    /// The clock of the database, in milliseconds since 1970.
    pub(super) async fn clock_ms(&self) -> io::Result<u64> {
        let [clock_ms] = self.numbers(CLOCK).await?;
        Ok(clock_ms)
    }

    /// How many messages wait.
    pub(super) async fn waiting(&self) -> io::Result<u64> {
        let [waiting] = self.numbers(QUEUE).await?;
        Ok(waiting)
    }

    /// Has the database write everything to its files.
    pub(super) async fn checkpoint(&self) -> io::Result<()> {
        let done = self.database.batch_execute("checkpoint").await;
        done.map_err(io::Error::other)
    }

    /// Begins to count statements, of which the server has to be able to.
    pub(super) async fn count_statements(&self) -> io::Result<()> {
        let done = self.database.batch_execute(COUNT_STATEMENTS).await;
        done.map_err(io::Error::other)
    }

    /// The dearest statements since.
    pub(super) async fn statements(&self) -> io::Result<Vec<Statement>> {
        let rows = self.database.query(STATEMENTS, &[]).await;
        let statement = |row: &Row| {
            let number = |index| u64::try_from(row.try_get::<_, i64>(index).ok()?).ok();
            Some(Statement {
                calls: number(0)?,
                microseconds: number(1)?,
                text: row.try_get(2).ok()?,
            })
        };
        let statements = rows.map_err(io::Error::other)?;
        Ok(statements.iter().filter_map(statement).collect())
    }

    /// One row of numbers that are never negative.
    pub(super) async fn numbers<const N: usize>(&self, query: &str) -> io::Result<[u64; N]> {
        let row = self.database.query_one(query, &[]).await;
        let row = row.map_err(io::Error::other)?;
        let mut numbers = [0; N];
        for (index, number) in numbers.iter_mut().enumerate() {
            let found: i64 = row.try_get(index).map_err(io::Error::other)?;
            *number = u64::try_from(found).map_err(io::Error::other)?;
        }
        Ok(numbers)
    }
}

/// Fields of `/proc/PID/stat` (`man 5 proc_pid_stat`): the parent, and processor time in ticks.
struct Stat {
    parent: u32,
    own: u64,
    of_ended_children: u64,
}

impl Stat {
    fn read(process: &str) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("/proc/{process}/stat: {text}")))
    }

    fn parse(text: &str) -> Option<Self> {
        // The name of a program may hold spaces and brackets; it ends at the last one.
        let (_, rest) = text.rsplit_once(')')?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |field: usize| words.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: words.get(1)?.parse().ok()?,
            own: ticks(14)? + ticks(15)?,
            of_ended_children: ticks(16)? + ticks(17)?,
        })
    }
}

/// Processor time of this process, without what it started.
fn of_this() -> io::Result<u64> {
    Ok(Stat::read("self")?.own * TICK_MS)
}

/// Processor time of the programs that this process started and that have ended.
pub(super) fn of_ended() -> io::Result<u64> {
    Ok(Stat::read("self")?.of_ended_children * TICK_MS)
}

/// Processor time of a process and its children, also of those that have ended.
fn of_tree(id: u32) -> io::Result<u64> {
    let root = Stat::read(&id.to_string())?;
    let mut ticks = root.own + root.of_ended_children;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        // One that ended meanwhile is counted as an ended child the next time.
        if let Ok(stat) = Stat::read(&name)
            && stat.parent == id
        {
            ticks += stat.own + stat.of_ended_children;
        }
    }
    Ok(ticks * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 11 12 13 14 20 0 1 0 100 0 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.own, stat.of_ended_children), (7, 23, 27));
        assert!(Stat::parse("42 (a) S").is_none());
    }

    #[test]
    fn a_cost_is_what_came_since() {
        let cost = |commits, wal_bytes, ms| Cost {
            commits,
            wal_bytes,
            cpu_ms: BTreeMap::from([("one".to_owned(), ms)]),
        };
        assert_eq!(cost(10, 500, 30).since(&cost(4, 100, 10)), cost(6, 400, 20));
    }
}
