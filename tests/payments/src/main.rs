//! `paymesh-payments up|down|check|clock|torture FOLDER`: the payment services on this machine.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use paymesh_beds::{Process, http_is_ready, wait_for};
use paymesh_payments::{
    Bus, Client, Listener, Stack, Wishes, check,
    stack::{Card, Forward, move_clock},
    torture::{Plan, run},
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How long the merchant's end of webhooks may take to be there.
const LISTENS_MAX: Duration = Duration::from_secs(15);

/// The payment services on this machine, from nothing.
#[derive(Parser)]
#[command(version)]
struct Words {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Starts PostgreSQL, the services, the merchant's page, a receiver of webhooks and the sandbox
    /// acquirer, and makes a charge.
    Up {
        /// Where everything is kept.
        folder: PathBuf,
        /// What carries messages.
        #[arg(long, value_enum, default_value_t = Bus::Embedded)]
        bus: Bus,
    },
    /// Stops all of it and deletes the folder.
    Down {
        /// Where everything is kept.
        folder: PathBuf,
    },
    /// Pays while everything that can fail does, and compares all books at the end.
    Torture {
        /// Where everything is kept. It must not exist yet.
        folder: PathBuf,
        /// How many payments at least.
        #[arg(long, default_value_t = 100_000)]
        payments: usize,
        /// How many faults that count.
        #[arg(long, default_value_t = 40)]
        faults: usize,
        /// Payments per second.
        #[arg(long, default_value_t = 150.0)]
        rate: f64,
        /// Where chance begins; the same seed is the same order of faults and payments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// What carries messages; Kafka has three brokers here, which fail too.
        #[arg(long, value_enum, default_value_t = Bus::Embedded)]
        bus: Bus,
    },
    /// Compares books, ledger and what the demo asked for.
    Check {
        /// Where everything is kept.
        folder: PathBuf,
    },
    /// Has what waits for a time happen that much earlier: reservations and actions expire, webhooks
    /// are tried again, deadlines and earlier secrets end.
    Clock {
        /// Where everything is kept.
        folder: PathBuf,
        /// How far: 90s, 20m, 36h or 8d.
        forward: Forward,
    },
    /// Takes webhooks in until it is asked to end. `up` starts it.
    #[command(hide = true)]
    Listen {
        /// Where everything is kept.
        folder: PathBuf,
        /// The port on loopback.
        port: u16,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Words::parse().act {
        Act::Up { folder, bus } => up(&folder, bus).await,
        Act::Down { folder } => down(&folder),
        Act::Check { folder } => verify(&folder).await,
        Act::Clock { folder, forward } => clock(&folder, forward).await,
        Act::Listen { folder, port } => {
            let listener = Listener::new(&folder, port);
            listener.run().await.map_err(Into::into)
        }
        Act::Torture {
            folder,
            payments,
            faults,
            rate,
            seed,
            bus,
        } => {
            let plan = Plan {
                payments,
                faults,
                rate,
                seed,
                bus,
                defect: None,
            };
            torture(&folder, plan).await
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("payments: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn read_card(folder: &Path) -> io::Result<Card> {
    let text = fs::read(folder.join("card.json")).map_err(|reason| {
        io::Error::new(
            reason.kind(),
            format!("nothing runs in {}; type `make payments`", folder.display()),
        )
    })?;
    Ok(serde_json::from_slice(&text)?)
}

/// What follows a process in the file `pids` that would wait for its clients at SIGTERM, and cuts
/// their connections at SIGINT: PostgreSQL.
const CUTS: &str = "cuts";
/// How long a program may take to end by itself.
const END_MAX: Duration = Duration::from_secs(15);

/// Ends what an earlier `up` left running. Only its own processes: an id that was given to another
/// program since has another start time, and is left alone. One that does not end keeps nobody else
/// from it, and is told.
fn end_processes(folder: &Path) -> io::Result<()> {
    let mut stay = Vec::new();
    for line in fs::read_to_string(folder.join("pids"))
        .unwrap_or_default()
        .lines()
    {
        let mut words = line.split(' ');
        let (Some(id), Some(started)) = (words.next(), words.next()) else {
            continue;
        };
        let cuts = words.next() == Some(CUTS);
        let Some(pid) = id.parse().ok().and_then(Pid::from_raw) else {
            continue;
        };
        if start_time(id).as_deref() != Some(started) {
            continue;
        }
        // Not SIGINT for all: what a shell started in the background ignores it from birth.
        let signal = if cuts { Signal::INT } else { Signal::TERM };
        let _ = kill_process(pid, signal);
        let limit = Instant::now() + END_MAX;
        while test_kill_process(pid).is_ok() && start_time(id).as_deref() == Some(started) {
            if Instant::now() > limit {
                let program = told_by_ps(id, "args=").unwrap_or_default();
                stay.push(format!("process {id} ({program})"));
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    if !stay.is_empty() {
        return Err(io::Error::other(format!(
            "asked to end, {} did not within {END_MAX:?}; look at the logs in {}, then `kill -9` what \
             stays and type this again",
            stay.join(", "),
            folder.display()
        )));
    }
    match fs::remove_file(folder.join("pids")) {
        Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(reason),
        _ => Ok(()),
    }
}

/// When a process started, as the system tells it; `None` when it is gone.
fn start_time(id: &str) -> Option<String> {
    let text = told_by_ps(id, "lstart=,stat=")?;
    let (time, state) = text.rsplit_once(' ')?;
    // A process that has ended and waits to be noticed is gone.
    (!state.starts_with('Z')).then(|| time.split_whitespace().collect::<Vec<_>>().join("_"))
}

fn told_by_ps(id: &str, columns: &str) -> Option<String> {
    let output = Command::new("ps").args(["-o", columns, "-p", id]).output();
    let text = String::from_utf8_lossy(&output.ok()?.stdout)
        .trim()
        .to_owned();
    (!text.is_empty()).then_some(text)
}

/// Starts the merchant's end of webhooks, and waits until it is there.
fn listen(folder: &Path, port: u16) -> io::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env_clear().arg("listen").arg(folder);
    command.arg(port.to_string());
    let log = folder.join("webhooks.log");
    let mut process = Process::start("the webhook receiver", &mut command, &log)?;
    let ready = wait_for("the webhook receiver", LISTENS_MAX, || {
        process.ended().map_or_else(|| http_is_ready(port), Err)
    });
    ready.map_err(|late| io::Error::other(late.to_string()))?;
    Ok(process)
}

async fn up(folder: &Path, bus: Bus) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    end_processes(folder)?;
    let wishes = Wishes {
        bus,
        ..Wishes::default()
    };
    let mut stack = Stack::start(folder, wishes)?;
    stack.hand_out_page_key()?;
    stack.open_page()?;
    let (card, page) = (stack.card.clone(), stack.page_url());
    let listener = Listener::new(folder, card.listener_port());
    let listening = listen(folder, card.listener_port())?;
    let started = began.elapsed();
    let history = stack.history();
    let database = stack.postgres.id();
    let mut ids = stack.leave();
    // After who tells it.
    ids.push(listening.leave());
    let lines: String = ids
        .iter()
        .filter_map(|id| {
            let cuts = if *id == database { CUTS } else { "" };
            Some(format!("{id} {} {cuts}\n", start_time(&id.to_string())?))
        })
        .collect();
    fs::write(folder.join("pids"), lines)?;

    let client = Client::new(&card.api_url, &card.api_key, &history)?;
    listener.subscribe(&client).await?;
    let began = Instant::now();
    let key = format!("demo-{:08x}", rand::random::<u32>());
    let body = r#"{"amount":{"amount":1250,"currency":"EUR"},"payment_method":"tok_approve","reference":"order 7"}"#;
    let answer = client.pay(&key, body, 10).await?;
    let charged = began.elapsed();
    let again = client.pay(&key, body, 10).await?;
    println!("A charge ({} ms)\n  {}", charged.as_millis(), answer.body);
    println!(
        "\nThe same request again: the same {} bytes {}",
        again.body.len(),
        if again.is_replay && again.body == answer.body {
            "(Idempotency-Replayed: true)"
        } else {
            "- NOT the same"
        }
    );
    let payment = answer.json();
    let Some(payment) = payment["id"].as_str() else {
        return Err(format!("the charge was refused: {}", answer.body).into());
    };
    let told = listener.wait_for(payment).await?;
    println!(
        "\nThe webhook about it, whose signature is right\n  {} {}",
        told["event"]["type"].as_str().unwrap_or_default(),
        told["event"]["id"].as_str().unwrap_or_default()
    );
    let (_, ledger) = client.get("/v1/ledger", "/v1/ledger").await?;
    println!("\nThe ledger, credits less debits");
    for balance in ledger["balances"].as_array().into_iter().flatten() {
        println!(
            "  {:<22} {:>10} {}",
            balance["account"].as_str().unwrap_or_default(),
            balance["posted"]["amount"],
            balance["posted"]["currency"].as_str().unwrap_or_default()
        );
    }
    println!("\nIts newest postings");
    for posting in ledger["postings"].as_array().into_iter().flatten().take(4) {
        println!(
            "  {:<8} {:>8} {}  {} -> {}",
            posting["kind"].as_str().unwrap_or_default(),
            posting["amount"]["amount"],
            posting["amount"]["currency"].as_str().unwrap_or_default(),
            posting["debit"].as_str().unwrap_or_default(),
            posting["credit"].as_str().unwrap_or_default()
        );
    }
    let shown = folder.display();
    let (servers, logs) = match bus {
        Bus::Embedded => ("PostgreSQL", format!("{shown}/postgres/log")),
        Bus::Kafka => (
            "PostgreSQL, Apache Kafka",
            format!("{shown}/postgres/log, {shown}/kafka/broker-1/log"),
        ),
    };
    fs::write(
        folder.join("env"),
        format!(
            "export PAYMESH_API='{}'\nexport PAYMESH_API_KEY='{}'\nexport PAYMESH_PAGE='{page}'\nexport PAYMESH_PAGE_KEY='{}'\n",
            card.api_url, card.api_key, card.page_key
        ),
    )?;
    println!(
        "
What exists ({:.1} s to start)
  payment-api, payment-processor, db-controller, {servers}, a sandbox acquirer, a page for the
  merchant and a receiver of webhooks; all on loopback

Where to look
  page            {page}/   (name: anything, password: what `echo $PAYMESH_PAGE_KEY` prints below,
                  a key that only reads)
  webhooks        {}
  API             {}   (its document: {}/openapi.json)
  logs            {shown}/*.log, {logs}
  acquirer        {shown}/books.jsonl

What to type next
  . {shown}/env; echo $PAYMESH_PAGE_KEY
  curl -s $PAYMESH_API/v1/payments -H \"Authorization: Bearer $PAYMESH_API_KEY\" -H \"Idempotency-Key: $RANDOM$RANDOM\" \\
    -H 'Content-Type: application/json' -d '{{\"amount\":{{\"amount\":500,\"currency\":\"EUR\"}},\"payment_method\":\"tok_lost\"}}'
  curl -s $PAYMESH_API/v1/ledger -H \"Authorization: Bearer $PAYMESH_API_KEY\"
  make payments-check     # history, acquirer's books and ledger must tell one story
  make payments-clock FORWARD=8d    # what waits, such as a reservation that expires, happens earlier
  make payments-down      # stops everything and deletes it",
        started.as_secs_f64(),
        listener.told().display(),
        card.api_url,
        card.api_url,
    );
    Ok(())
}

async fn torture(folder: &Path, plan: Plan) -> Result<(), Box<dyn Error>> {
    if folder.exists() {
        return Err(format!(
            "{} is left from an earlier run; delete it",
            folder.display()
        )
        .into());
    }
    let began = Instant::now();
    let verdict = run(folder, plan).await?;
    let counted: usize = verdict.faults.values().sum();
    println!(
        "{counted} faults counted {:?}, seed {}, {:.1} minutes",
        verdict.faults,
        plan.seed,
        began.elapsed().as_secs_f64() / 60.0
    );
    if verdict.failures.is_empty() {
        fs::remove_dir_all(folder)?;
        println!("Nothing is lost, doubled or out of balance.");
        return Ok(());
    }
    let shown = folder.display();
    Err(format!(
        "{}; everything is kept in {shown}",
        verdict.failures.join("; ")
    )
    .into())
}

fn down(folder: &Path) -> Result<(), Box<dyn Error>> {
    if !folder.exists() {
        println!("No payment services are there to stop.");
        return Ok(());
    }
    end_processes(folder)?;
    fs::remove_dir_all(folder)?;
    println!("The payment services are gone; `make payments` brings them back.");
    Ok(())
}

async fn verify(folder: &Path) -> Result<(), Box<dyn Error>> {
    let card = read_card(folder)?;
    // What was made by hand is not in the history of the demo: without one, no key is foreign.
    let report = check(
        &card.database_url,
        &folder.join("books.jsonl"),
        &folder.join("no-history"),
    )
    .await?;
    print!("{report}");
    if report.is_clean() {
        Ok(())
    } else {
        Err("the stories differ; see above (what is open may only need a moment)".into())
    }
}

async fn clock(folder: &Path, forward: Forward) -> Result<(), Box<dyn Error>> {
    let card = read_card(folder)?;
    let moved = move_clock(&card.database_url, forward.0).await;
    let moved = moved.map_err(|reason| match reason.kind() {
        io::ErrorKind::NotConnected => io::Error::other(format!(
            "nothing runs in {}: its PostgreSQL does not answer; type `make payments`",
            folder.display()
        )),
        _ => reason,
    })?;
    if moved.is_nothing() {
        println!(
            "Nothing waits for a time. A payment with \"capture\":\"manual\" does for seven days, one \
             with the token tok_action for 15 minutes."
        );
        return Ok(());
    }
    println!("What was moved");
    for line in moved.to_string().lines() {
        println!("  {line}");
    }
    println!(
        "
The services find what is due by themselves, within a second. What is tried again in vain, as a
webhook, waits anew from now on. The acquirer's clock stands still: it voids what it is asked to, and
ends a dispute by hand only.

What to look at next
  . {shown}/env
  curl -s $PAYMESH_API/v1/payments -H \"Authorization: Bearer $PAYMESH_API_KEY\"   # expired is canceled
  curl -s $PAYMESH_API/v1/events -H \"Authorization: Bearer $PAYMESH_API_KEY\"     # and was told
  curl -s $PAYMESH_API/v1/ledger -H \"Authorization: Bearer $PAYMESH_API_KEY\"     # nothing of it is held
  make payments-check     # all books still tell one story",
        shown = folder.display(),
    );
    Ok(())
}
