//! A clock that is moved forward: what is to happen at some time happens that much earlier.
//!
//! What the services do by themselves they do when the database's clock has passed a time that is
//! kept there; they look for it ten times a second, and hold nothing back in memory. So bringing
//! every such time forward is all there is to do. The time of day stays what it is: what has
//! happened stays dated as it was, and what happens now is dated now. It is one statement, so a
//! payment and the message that lets it expire never part.
//!
//! | column | what comes earlier |
//! |---|---|
//! | `payment.expires_at` | the end of a reservation, or of what a customer has to do |
//! | `outbox.available_at` | the message that sees to it, the next try of a webhook, the next question to the acquirer; not what was put aside, which waits for a person |
//! | `dispute.respond_by` | the end of the time to answer, of disputes that can be answered. It is shown and nothing else: it is the acquirer who ends a dispute, and the sandbox does so by hand only. What it tells next of a dispute brings its own time back |
//! | `webhook_endpoint.previous_until` | the end of an earlier secret |
//!
//! Every other time stays. Leases are short and fence who works; `created_at` of postings and events
//! is in the audit chain; the rest says when something happened. An event that told a payment's
//! `expires_at`, and an answer that is kept for its key, say what was so then. The sandbox acquirer
//! has no clock of its own: it lets no reservation expire, and voids it when it is asked to.

use std::{fmt, io, net::IpAddr, str::FromStr, time::Duration};

use tokio_postgres::{Client, Config, Error, IsolationLevel, NoTls, config::Host};

use super::Stack;

/// The columns whose times are moved, if they are to come.
pub const MOVED: [&str; 4] = [
    "dispute.respond_by",
    "outbox.available_at",
    "payment.expires_at",
    "webhook_endpoint.previous_until",
];

/// The furthest that a clock is moved at once.
const FORWARD_MAX: Duration = Duration::from_hours(3_650 * 24);
/// How often it is tried while others change the same rows.
const TRIES: usize = 10;

/// All counts are of what was moved; the last one is of messages that need not wait any more.
const MOVE: &str = "with payments as (
        update payment set expires_at = expires_at - $1::int8 * interval '1 second'
        where expires_at > now() returning id
    ), messages as (
        update outbox set available_at = available_at - $1::int8 * interval '1 second'
        where done_at is null and parked_at is null and available_at > now()
        returning kind, available_at <= now() as is_due
    ), disputes as (
        update dispute set respond_by = respond_by - $1::int8 * interval '1 second'
        where status = 'needs_response' and respond_by > now() returning id
    ), secrets as (
        update webhook_endpoint
        set previous_until = previous_until - $1::int8 * interval '1 second'
        where previous_until > now() returning id
    )
    select (select count(*) from payments),
        (select count(*) from messages where kind = 'expire'),
        (select count(*) from messages where kind = 'deliver_webhook'),
        (select count(*) from messages where kind not in ('expire', 'deliver_webhook')),
        (select count(*) from disputes),
        (select count(*) from secrets),
        (select count(*) from messages where is_due)";

/// How far a clock is moved: `90s`, `20m`, `36h` or `8d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward(pub Duration);

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forward = read(text).filter(|by| !by.is_zero() && *by <= FORWARD_MAX);
        forward
            .map(Self)
            .ok_or_else(|| "say how far, as 90s, 20m, 36h or 8d; ten years at most".to_owned())
    }
}

/// What a number and a unit mean. What is beyond every limit stays beyond it.
fn read(text: &str) -> Option<Duration> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 24 * 3_600,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_plain)?;
    Some(Duration::from_secs(number.saturating_mul(unit)))
}

/// What waited for a time and was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Payments that expire.
    pub payments: i64,
    /// Messages that see to that; a payment may have had an earlier one.
    pub expiries: i64,
    /// Webhooks that are tried again.
    pub webhooks: i64,
    /// Other messages: what is asked of the acquirer again.
    pub others: i64,
    /// Disputes that can be answered.
    pub disputes: i64,
    /// Endpoints whose earlier secret still signs.
    pub secrets: i64,
    /// How many of the messages are due now.
    pub due: i64,
}

impl Moved {
    /// Whether nothing waited for a time.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in [
            ("payments that expire", self.payments),
            ("messages that see to it", self.expiries),
            ("webhooks to be tried again", self.webhooks),
            ("other messages", self.others),
            ("disputes to be answered", self.disputes),
            ("earlier secrets in use", self.secrets),
        ] {
            writeln!(out, "{name:<27} {count:>6}")?;
        }
        writeln!(out, "{:<27} {:>6}", "messages that are due now", self.due)
    }
}

/// Moves the clock of the stack that has this database, which is on this machine; as its
/// administrator, because nobody else may change all of it. The kind of an error is `NotConnected`
/// when there is no database.
pub async fn move_clock(database_url: &str, forward: Duration) -> io::Result<Moved> {
    let config: Config = database_url.parse().map_err(io::Error::other)?;
    if !is_here(&config) {
        return Err(io::Error::other(
            "only the clock of a stack on this machine can be moved",
        ));
    }
    let seconds = i64::try_from(forward.as_secs()).map_err(io::Error::other)?;
    let (mut client, connection) = config
        .connect(NoTls)
        .await
        .map_err(|reason| io::Error::new(io::ErrorKind::NotConnected, reason))?;
    let running = tokio::spawn(connection);
    let moved = move_with(&mut client, seconds).await;
    drop(client);
    let _ = running.await;
    moved.map_err(|error| match error.as_db_error() {
        Some(said) => io::Error::other(said.message().to_owned()),
        None => io::Error::other(error),
    })
}

async fn move_with(client: &mut Client, seconds: i64) -> Result<Moved, Error> {
    client.batch_execute("set lock_timeout = '10s'").await?;
    for _ in 1..TRIES {
        match move_once(client, seconds).await {
            Err(error) if is_conflict(&error) => {}
            done => return done,
        }
    }
    move_once(client, seconds).await
}

/// All of it as it is at one moment: what changes meanwhile would be moved by halves.
async fn move_once(client: &mut Client, seconds: i64) -> Result<Moved, Error> {
    let transaction = client.build_transaction();
    let transaction = transaction.isolation_level(IsolationLevel::RepeatableRead);
    let transaction = transaction.start().await?;
    let row = transaction.query_one(MOVE, &[&seconds]).await?;
    let moved = Moved {
        payments: row.get(0),
        expiries: row.get(1),
        webhooks: row.get(2),
        others: row.get(3),
        disputes: row.get(4),
        secrets: row.get(5),
        due: row.get(6),
    };
    transaction.commit().await?;
    Ok(moved)
}

/// Whether somebody else was in the way, so that it can be done again.
fn is_conflict(error: &Error) -> bool {
    let state = error.code();
    state.is_some_and(|state| state.code().starts_with("40"))
}

/// Whether every server of an address is on this machine.
fn is_here(config: &Config) -> bool {
    let is_here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address: Result<IpAddr, _> = name.parse();
            address.is_ok_and(|address| address.is_loopback())
        }
    };
    config.get_hosts().iter().all(is_here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

impl Stack {
    /// Has what is to happen at some time happen that much earlier; gives what was moved.
    pub async fn forward(&self, by: Duration) -> io::Result<Moved> {
        move_clock(&self.card.database_url, by).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("20m", 1_200),
            ("36h", 129_600),
            ("8d", 691_200),
        ] {
            let forward = Duration::from_secs(seconds);
            assert_eq!(text.parse(), Ok(Forward(forward)), "{text}");
        }
        for text in [
            "",
            "d",
            "8",
            "0d",
            "-1d",
            "+1d",
            "1.5h",
            "8 d",
            "8w",
            "8dd",
            "3651d",
            "1d1h",
            "8ä",
            "99999999999999999999d",
            "9999999999999999999d",
        ] {
            let refused = text.parse::<Forward>().unwrap_err();
            assert!(refused.starts_with("say how far"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_database_elsewhere_is_left_alone() {
        let at = |host: &str| {
            let config: Config = format!("postgres://bed:secret@{host}/payments")
                .parse()
                .unwrap();
            is_here(&config)
        };
        assert!(at("127.0.0.1:1,127.0.0.1:2"));
        assert!(at("[::1]:2"));
        assert!(!at("127.0.0.1:1,db.example:2"));
        assert!(!at("10.0.0.1"));
    }

    #[test]
    fn what_was_moved_is_told_in_full() {
        let moved = Moved {
            payments: 2,
            expiries: 2,
            webhooks: 1,
            due: 3,
            ..Moved::default()
        };
        expect_test::expect![[r#"
            payments that expire             2
            messages that see to it          2
            webhooks to be tried again       1
            other messages                   0
            disputes to be answered          0
            earlier secrets in use           0
            messages that are due now        3
        "#]]
        .assert_eq(&moved.to_string());
        assert!(!moved.is_nothing() && Moved::default().is_nothing());
    }
}
