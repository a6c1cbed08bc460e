//! Bare postings: how many charges db-controller's store books a second when it does nothing else.
//!
//! Nobody may ask db-controller for them: what it is asked for are payments. So the program
//! `bare-postings` (`services/persistence/examples`) has its store book them, in groups as its lane
//! makes them, in the database of a stack whose own db-controller seals meanwhile. What is missing
//! is the way to db-controller. Charges are booked on one real payment of each merchant, each under
//! an attempt that is not there: the key that would forbid it is taken away first, as pgbench's
//! tables have neither.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Length, Outcome, SHOPS, Window, load::Manner, meter, pgbench::number_after, seen::Seen,
    site::Site,
};
use crate::stack::Bus;

/// How many charges may wait to be booked; a caller is a request under way and no connection.
const CALLERS: [u32; 4] = [16, 64, 256, 1_024];
/// What a merchant pays for, so that there is something to book on.
const PAYMENT: &str =
    r#"{"amount":{"amount":1000,"currency":"EUR"},"payment_method":"tok_approve"}"#;

/// How long the last rows may wait for their seal: it is made for payments, which are fewer.
const SEALED_MAX: Duration = Duration::from_mins(10);

/// Every merchant with a payment of theirs.
const PAID: &str = "select tenant_id::text || '/' || min(id::text) from payment where status = 'succeeded' group by tenant_id";

/// Postings may name attempts that are not there.
const WITHOUT_ATTEMPTS: &str = "do $$ declare key name; begin
        select conname into strict key from pg_constraint
            where conrelid = 'posting'::regclass and confrelid = 'attempt'::regclass;
        execute format('alter table posting drop constraint %I', key);
    end $$";

/// Measures with as many callers as are best.
pub(super) async fn measure(folder: &Path, length: Length) -> io::Result<Outcome> {
    let site = Site::open(folder, SHOPS, Bus::Embedded, Manner::PATIENT).await?;
    for shop in &*site.shops {
        let answer = shop.pay("bare", PAYMENT, 10).await?;
        if answer.status != 201 {
            return Err(io::Error::other(answer.body));
        }
    }
    let sql = |text: &str| {
        let done = tokio::task::block_in_place(|| site.stack.postgres.sql("payments", text));
        done.map_err(io::Error::other)
    };
    sql(WITHOUT_ATTEMPTS)?;
    let booker = Booker {
        program: std::env::current_exe()?.with_file_name("examples/bare-postings"),
        database: site.stack.controller_url(),
        shops: sql(PAID)?.lines().map(ToOwned::to_owned).collect(),
    };
    let [_, before, ..] = site.ledger().await?;
    let mut outcome = Outcome::default();
    let (mut written, mut most, mut callers) = (0, 0, CALLERS[0]);
    for tried in CALLERS {
        let seen = booker.run(tried, length.step())?;
        let note = format!(
            "{tried} callers: {} in {} ms",
            seen.ended, seen.milliseconds
        );
        eprintln!("  {note}");
        outcome.notes.push(note);
        written += seen.ended;
        if seen.ended > most {
            (most, callers) = (seen.ended, tried);
        }
    }
    outcome.clients = Some(callers);
    for (index, span) in length.spans().into_iter().enumerate() {
        let spent = (site.meter.read().await?, meter::of_ended()?);
        let at_half = site.meter.clone();
        let checkpoint = tokio::spawn(async move {
            tokio::time::sleep(span / 2).await;
            at_half.checkpoint().await
        });
        let seen = booker.run(callers, span)?;
        checkpoint.await.map_err(io::Error::other)??;
        let mut cost = site.meter.read().await?.since(&spent.0);
        let own = meter::of_ended()?.saturating_sub(spent.1);
        cost.cpu_ms.insert("bare postings".to_owned(), own);
        written += seen.ended;
        // The first span is the warm-up.
        if index > 0 {
            if seen.failed > 0 {
                let failed = format!("{} charges were not booked", seen.failed);
                outcome.void.push(failed);
            }
            outcome.windows.push(Window {
                seen,
                cost,
                ..Window::default()
            });
        }
    }
    let [_, after, sum, wrong] = site.ledger().await?;
    if after - before != written {
        outcome.void.push(format!(
            "{written} charges were counted, {} are booked",
            after - before
        ));
    }
    if sum != 0 || wrong != 0 {
        let wrong = format!("balances add up to {sum}, {wrong} are wrong");
        outcome.void.push(wrong);
    }
    outcome.void.extend(site.audited(SEALED_MAX).await);
    site.durable(&mut outcome)?;
    Ok(outcome)
}

/// The program that books.
struct Booker {
    program: PathBuf,
    database: String,
    shops: Vec<String>,
}

impl Booker {
    /// Has charges booked for a time.
    fn run(&self, callers: u32, span: Duration) -> io::Result<Seen> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PAYMESH_DATABASE_URL", &self.database)
            .arg(format!("--callers={callers}"))
            .arg(format!("--seconds={}", span.as_secs()))
            .args(self.shops.iter().map(|shop| format!("--shop={shop}")));
        let output = tokio::task::block_in_place(|| command.output()).map_err(|reason| {
            let program = self.program.display();
            io::Error::new(reason.kind(), format!("{program}: {reason}"))
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("bare-postings: {reason}")));
        }
        let number = |name: &str| {
            number_after(&said, name).ok_or_else(|| io::Error::other(format!("no {name} {said}")))
        };
        let ended = number("charges booked:")?;
        Ok(Seen {
            milliseconds: u64::try_from(span.as_millis()).map_err(io::Error::other)?,
            sent: ended,
            ended,
            failed: number("charges failed:")?,
            ..Seen::default()
        })
    }
}
