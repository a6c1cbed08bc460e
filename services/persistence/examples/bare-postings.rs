//! Bare postings: charges that are booked by db-controller's own store, in groups as its lane makes
//! them, and nothing beside them. A row of `make bench-payments` runs it; it is in no delivery.
//!
//! Each caller has one charge booked after the other and waits for its commit. What arrives while a
//! group is committed is the next group.

use std::{env, error::Error, str::FromStr, time::Duration};

use clap::Parser;
use paymesh_contracts::{AttemptId, Currency, Money, PaymentId, TenantId};
use paymesh_persistence::{
    defect::Defects,
    lane::GROUP_MAX,
    ledger::{Booking, Cause},
    store::{Database, Failure, Session},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use uuid::Uuid;

/// Books charges in the database of `PAYMESH_DATABASE_URL` and says how many.
#[derive(Parser)]
struct Words {
    /// How many charges wait to be booked at any time.
    #[arg(long)]
    callers: usize,
    /// For how long.
    #[arg(long)]
    seconds: u64,
    /// A merchant and a payment of theirs, as two UUIDs with a slash between them.
    #[arg(long = "shop", required = true)]
    shops: Vec<Shop>,
}

/// Where charges are booked.
#[derive(Clone, Copy)]
struct Shop {
    tenant_id: TenantId,
    payment_id: PaymentId,
}

impl FromStr for Shop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tenant, payment) = text.split_once('/').ok_or("there is no slash")?;
        let id = |text: &str| Uuid::parse_str(text).map_err(|reason| reason.to_string());
        Ok(Self {
            tenant_id: TenantId(id(tenant)?),
            payment_id: PaymentId(id(payment)?),
        })
    }
}

impl Shop {
    fn charge(self) -> Booking {
        Booking {
            tenant_id: self.tenant_id,
            payment_id: self.payment_id,
            cause: Cause::Attempt(AttemptId(Uuid::now_v7())),
            amount: Money::new(rand::random_range(100..=90_000), Currency::Eur),
        }
    }
}

struct Job {
    charge: Booking,
    answer: oneshot::Sender<bool>,
}

/// Books what waits, group after group, until nobody is left who asks.
async fn work(session: Session, mut waiting: mpsc::Receiver<Job>) -> Result<(), Failure> {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
        let charges: Vec<Booking> = group.iter().map(|job: &Job| job.charge).collect();
        let booked = session.book(&charges).await?;
        for (job, is_booked) in group.drain(..).zip(booked) {
            // Whoever asks waits for the answer.
            let _ = job.answer.send(is_booked);
        }
    }
    Ok(())
}

/// Has charges booked until `end`; gives how many were, and how many were not.
async fn ask(shops: Vec<Shop>, jobs: mpsc::Sender<Job>, end: Instant) -> (u64, u64) {
    let (mut booked, mut failed) = (0, 0);
    while Instant::now() < end {
        let shop = shops[rand::random_range(0..shops.len())];
        let (answer, answered) = oneshot::channel();
        let charge = shop.charge();
        if jobs.send(Job { charge, answer }).await.is_err() {
            break;
        }
        match answered.await {
            Ok(true) => booked += 1,
            Ok(false) => failed += 1,
            // The database refused the group; the lane tells why.
            Err(_) => break,
        }
    }
    (booked, failed)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words = Words::parse();
    let database: Database = env::var("PAYMESH_DATABASE_URL")?.parse()?;
    let session = Session::open(&database, Defects::default()).await?;
    let (jobs, waiting) = mpsc::channel(words.callers.max(1));
    let lane = tokio::spawn(work(session, waiting));
    let end = Instant::now() + Duration::from_secs(words.seconds);
    let mut callers = JoinSet::new();
    for _ in 0..words.callers {
        callers.spawn(ask(words.shops.clone(), jobs.clone(), end));
    }
    drop(jobs);
    let counted = callers.join_all().await;
    lane.await??;
    let (booked, failed) = counted
        .iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("charges booked: {booked}");
    println!("charges failed: {failed}");
    Ok(())
}
