//! db-controller: the ledger, payments and the queue, over gRPC.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Parser, Subcommand};
use paymesh_bus::Presence;
use paymesh_contracts::{
    KeyId, MessageId, Scope, TenantId,
    http::time_text,
    persistence::{payments_server::PaymentsServer, queue_server::QueueServer},
};
use paymesh_operations::{
    Health, Secret, Settings, closing, serve_health, start_logs, start_metrics, start_traces,
    stop_signal,
};
use paymesh_persistence::{
    audit::{self, Head, Shard},
    config::{self, Controller},
    defect::Defects,
    lane::{Gather, Lane},
    merchant::{add_key, add_merchant},
    queue::{Hub, herald, meter, publish},
    serve::{PaymentsService, QueueService},
    settlement::SettlementReport,
    store::{self, Database, Reader, SettlementBreak, chain},
};
use paymesh_transport::bind;
use tonic::service::Routes;

/// How long a group of payments waits for more under load: about as long as a commit that a standby
/// confirms takes. A payment passes two groups.
const MONEY_GATHER: Duration = Duration::from_millis(5);
/// How long webhooks wait for others once they were tried: nobody waits for that to be written, and
/// what a crash forgets of it is tried again.
const TRIED_GATHER: Duration = Duration::from_millis(100);
/// How long calls may take that are under way when nobody is taken in any more.
const CALLS_MAX: Duration = Duration::from_secs(5);

/// The ledger, payments and the queue. Settings come from PAYMESH_* variables.
#[derive(Parser)]
#[command(version)]
struct Words {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Serves gRPC until it is asked to end.
    Serve,
    /// Lists the messages that could not be handled, with their reasons.
    Parked,
    /// Gives such a message back to the queue, once what it needs is mended.
    ReplayParked {
        /// Its id, as `parked` shows it.
        message: MessageId,
    },
    /// Compares a settlement report of the acquirer with the ledger and keeps what differs; fails
    /// while any break is open. Nothing is mended.
    Reconcile {
        /// The report, as the acquirer gives it.
        report: PathBuf,
        /// What was booked so shortly before its end may be in the next one.
        #[arg(long, default_value_t = 300)]
        grace_seconds: u32,
    },
    /// Lists what differs between the acquirer's reports and the ledger, and nobody closed.
    Breaks,
    /// Closes one of these for good, once somebody knows why it differs.
    CloseBreak {
        /// Its number, as `breaks` shows it.
        id: i64,
        /// Why nothing more is to be done.
        #[arg(long)]
        reason: String,
    },
    /// Reads every posting and event against the audit chain, and every balance against its postings;
    /// fails if any was changed, taken away or put in. Prints what is found, and where each chain ends.
    /// Accounts, payments, attempts, disputes, messages and settlement reports are in no chain.
    VerifyAudit {
        /// Where each chain ended before, as an earlier run printed it or the log of db-controller
        /// has it: a file that was kept away from the database. Only beside it an end that was cut off,
        /// or a whole chain that was made anew, is seen.
        #[arg(long)]
        known: Option<PathBuf>,
    },
    /// Takes a merchant in and prints its id and API key, this once.
    AddMerchant {
        /// How people call it.
        #[arg(long)]
        name: String,
        /// What each payment costs it, in hundredths of a percent.
        #[arg(long, default_value_t = 0)]
        fee_basis_points: i32,
    },
    /// Lists the merchants with their ids.
    Merchants,
    /// Gives a merchant one more API key and prints it, this once and nothing else; its id goes to
    /// the standard error.
    AddKey {
        /// Whose it is, as `merchants` shows it.
        merchant: TenantId,
        /// What it may do, with commas between: `payments:read,ledger:read,webhooks:read` for one that
        /// only reads; beside these there are `payments:write` and `webhooks:write`.
        #[arg(long, required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
    },
    /// Lists the API keys that a merchant has and had: ids, scopes and times, never a key.
    Keys {
        /// Whose, as `merchants` shows it.
        merchant: TenantId,
    },
    /// Takes an API key back, for good: within five seconds nobody is let in with it any more.
    RevokeKey {
        /// Its id, as `keys` shows it.
        key: KeyId,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Words::parse().act {
        Act::Serve => serve().await,
        Act::Parked => {
            for parked in reader()?.parked().await? {
                println!(
                    "{}",
                    serde_json::json!({
                        "message": parked.message_id,
                        "kind": parked.kind,
                        "payment": parked.payment_id,
                        "reason": parked.reason,
                        "parked_at": time_text(parked.parked_at_ms),
                    })
                );
            }
            Ok(())
        }
        Act::ReplayParked { message } => {
            if reader()?.replay_parked(message).await? {
                Ok(())
            } else {
                Err(format!("{message} is not parked; `parked` lists what is").into())
            }
        }
        Act::Reconcile {
            report,
            grace_seconds,
        } => reconcile(&report, i64::from(grace_seconds) * 1_000).await,
        Act::Breaks => {
            for found in reader()?.breaks().await? {
                println!("{}", shown(&found));
            }
            Ok(())
        }
        Act::CloseBreak { id, reason } => {
            if reason.trim().is_empty() {
                return Err("a break is closed with a reason".into());
            }
            if reader()?.close_break(id, reason.trim()).await? {
                Ok(())
            } else {
                Err(format!("no break {id} is open; `breaks` lists those that are").into())
            }
        }
        Act::VerifyAudit { known } => verify_audit(known.as_deref()).await,
        Act::AddMerchant {
            name,
            fee_basis_points,
        } => {
            let (database, pepper) = database_and_pepper()?;
            let merchant = add_merchant(&database, &pepper, &name, fee_basis_points).await?;
            println!(
                "{}",
                serde_json::json!({
                    "tenant_id": merchant.tenant_id,
                    "api_key": merchant.api_key.expose(),
                })
            );
            Ok(())
        }
        Act::Merchants => {
            for merchant in reader()?.merchants().await? {
                println!(
                    "{}",
                    serde_json::json!({
                        "tenant_id": merchant.tenant_id,
                        "name": merchant.name,
                        "created_at": time_text(merchant.created_at_ms),
                    })
                );
            }
            Ok(())
        }
        Act::AddKey { merchant, scopes } => {
            let (database, pepper) = database_and_pepper()?;
            let added = add_key(&Reader::new(database), &pepper, merchant, &scopes).await?;
            let added = added.ok_or_else(|| no_merchant(merchant))?;
            eprintln!("{} of {merchant}; this is shown once:", added.id);
            println!("{}", added.key.expose());
            Ok(())
        }
        Act::Keys { merchant } => keys(merchant).await,
        Act::RevokeKey { key } => {
            if reader()?.revoke_key(key).await? {
                Ok(())
            } else {
                Err(format!("no key {key} is in use; `keys` lists those of a merchant").into())
            }
        }
    }
}

/// The database, for a person who looks.
fn database() -> Result<Database, Box<dyn Error>> {
    let mut settings = Settings::from_environment();
    let database = config::database(&mut settings);
    Ok(settings.done(database)?)
}

fn reader() -> Result<Reader, Box<dyn Error>> {
    database().map(Reader::new)
}

/// What is needed to give out a key.
fn database_and_pepper() -> Result<(Database, Secret), Box<dyn Error>> {
    let mut settings = Settings::from_environment();
    let (database, pepper) = (
        config::database(&mut settings),
        config::pepper(&mut settings),
    );
    Ok(settings.done(database.zip(pepper))?)
}

fn no_merchant(merchant: TenantId) -> String {
    format!("there is no merchant {merchant}; `merchants` lists those there are")
}

async fn keys(merchant: TenantId) -> Result<(), Box<dyn Error>> {
    let keys = reader()?.keys(merchant).await?;
    // Whoever is taken in has a key, and none is ever deleted.
    if keys.is_empty() {
        return Err(no_merchant(merchant).into());
    }
    for key in keys {
        println!(
            "{}",
            serde_json::json!({
                "key": key.id,
                "scopes": key.scopes,
                "created_at": time_text(key.created_at_ms),
                "revoked_at": key.revoked_at_ms.map(time_text),
            })
        );
    }
    Ok(())
}

async fn reconcile(report: &Path, grace_ms: i64) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(report)
        .map_err(|reason| format!("{}: {reason}", report.display()))?;
    let report = SettlementReport::read(&text).map_err(|reason| chain(&reason).to_string())?;
    let database = database()?;
    store::reconcile(&database, &report, grace_ms)
        .await
        .map_err(|reason| chain(&reason).to_string())?;
    let breaks = Reader::new(database).breaks().await?;
    println!(
        "{}",
        serde_json::json!({
            "report": report.name,
            "rows": report.rows.len(),
            "fees": report.fees_minor(),
            "breaks": breaks.len(),
        })
    );
    for found in &breaks {
        println!("{}", shown(found));
    }
    if breaks.is_empty() {
        Ok(())
    } else {
        Err(format!("{} breaks are open; `close-break` closes one", breaks.len()).into())
    }
}

async fn verify_audit(known: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let known = known.map_or_else(|| Ok(Vec::new()), known_heads)?;
    let database = database()?;
    let mut findings = 0;
    for shard in Shard::ALL {
        let found = |finding| {
            findings += 1;
            println!("{}", serde_json::json!(finding));
        };
        let verified = audit::verify(&database, shard, &known, found).await;
        let (head, unsealed) = verified.map_err(|reason| chain(&reason).to_string())?;
        let mut shown = serde_json::json!(head);
        shown["unsealed"] = unsealed.into();
        println!("{shown}");
    }
    let found = |finding| {
        findings += 1;
        println!("{}", serde_json::json!(finding));
    };
    let verified = audit::verify_balances(&database, found).await;
    verified.map_err(|reason| chain(&reason).to_string())?;
    if findings == 0 {
        Ok(())
    } else {
        Err(format!("{findings} findings; the runbook of the alerts says what each means").into())
    }
}

fn known_heads(file: &Path) -> Result<Vec<Head>, Box<dyn Error>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|reason| format!("{shown}: {reason}"))?;
    let heads = Head::read(&text);
    for shard in Shard::ALL {
        if !heads.iter().any(|head| head.shard == shard) {
            let shard = shard.word();
            return Err(format!("{shown}: no line says where the chain of {shard} ended").into());
        }
    }
    Ok(heads)
}

fn shown(found: &SettlementBreak) -> serde_json::Value {
    serde_json::json!({
        "id": found.id,
        "kind": found.kind,
        "type": found.movement,
        "name": found.name,
        "payment": found.payment_id,
        "place": found.place,
        "detail": found.detail,
        "noticed_at": time_text(found.noticed_at_ms),
    })
}

async fn serve() -> Result<(), Box<dyn Error>> {
    start_logs();
    let metrics = start_metrics()?;
    let settings = Controller::read(Settings::from_environment())?;
    let traces = start_traces(settings.collector, "db-controller")?;
    let stop = stop_signal()?;
    let (health, hub) = (Health::default(), Hub::new(settings.waiting_max));
    // Before anybody is told that this service is ready.
    let listener = bind(settings.listen).await?;
    serve_health(&health, metrics, settings.health).await?;
    // Everything works on until nobody is sent here any more.
    let closing = closing(stop, health.clone(), settings.drain);
    let lane_stop = tokio_util::sync::CancellationToken::new();
    let (lane, worker) = Lane::start(
        settings.database.clone(),
        hub.clone(),
        Some(health),
        Defects::from_environment(),
        Gather::UnderLoad(MONEY_GATHER),
        lane_stop.clone(),
    );
    // Nobody waits for these: they are written by many at once, and not before a merchant's.
    let (webhook_lane, webhook_worker) = Lane::start(
        settings.database.clone(),
        hub.clone(),
        None,
        Defects::from_environment(),
        Gather::Always(TRIED_GATHER),
        lane_stop.clone(),
    );
    // Who settles last tells of it too.
    let herald_stop = tokio_util::sync::CancellationToken::new();
    let herald = tokio::spawn(herald(
        settings.database.clone(),
        hub.clone(),
        herald_stop.clone(),
    ));
    // The queue writes leases, and may wait for a standby: merchants do not wait behind it. Nor does
    // anybody wait while a long queue is counted.
    let (reader, queue_reader, meter_reader, audit_reader) = (
        Reader::new(settings.database.clone()),
        Reader::new(settings.database.clone()),
        Reader::new(settings.database.clone()),
        Reader::new(settings.database),
    );
    let payments = PaymentsService {
        lane: lane.clone(),
        reader,
        hub: hub.clone(),
        pepper: settings.pepper,
        closing: closing.clone(),
    };
    let presence = settings.kafka.as_ref().map(Presence::of).transpose()?;
    let publisher = settings.kafka.clone().zip(presence);
    let publisher = publisher.map(|(kafka, presence)| {
        let (reader, hub) = (queue_reader.clone(), hub.clone());
        tokio::spawn(publish(kafka, presence, reader, hub, closing.clone()))
    });
    let meter = tokio::spawn(meter(
        meter_reader,
        hub.clone(),
        settings.backlog_pause,
        closing.clone(),
    ));
    let sealer = tokio::spawn(audit::seal(audit_reader, closing.clone()));
    let queue = QueueService {
        lane,
        webhook_lane,
        attempts: queue_reader.apart(),
        webhooks: queue_reader.apart(),
        reader: queue_reader,
        hub,
        uses_kafka: settings.kafka.is_some(),
        closing: closing.clone(),
    };
    let routes = Routes::new(PaymentsServer::new(payments)).add_service(QueueServer::new(queue));
    let served = settings
        .grpc
        .serve(listener, settings.connection_max, routes, closing.clone());
    tokio::select! {
        result = served => result?,
        // Streams end by themselves and calls take a moment; who has not left by then is left behind.
        () = async {
            closing.cancelled().await;
            tokio::time::sleep(CALLS_MAX).await;
        } => tracing::warn!("calls were still under way"),
    }
    if let Some(publisher) = publisher {
        publisher.await?;
    }
    meter.await?;
    sealer.await?;
    lane_stop.cancel();
    worker.await?;
    webhook_worker.await?;
    herald_stop.cancel();
    herald.await?;
    traces.end().await;
    Ok(())
}
