//! Processes stand still and wires are cut or slow while payments are under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use paymesh_beds::Flow;
use paymesh_payments::{Member, Shop, Stack, Wire, Wires, Wishes};
use rustix::process::Signal;
use serde_json::json;

/// How long a fault lasts: longer than the acquirer's time to answer.
const LASTS: Duration = Duration::from_millis(3_500);
/// How long after a fault everything must have come to its end.
const SETTLED: Duration = Duration::from_mins(1);
const CLIENTS: usize = 6;
const TOKENS: [&str; 3] = ["tok_approve", "tok_slow_300", "tok_lost"];
/// How long a payment with each takes when all is well, generously.
const USUAL_MS: [usize; 3] = [300, 700, 1_800];

#[derive(Clone, Copy, Debug)]
enum Fault {
    Stop(Member),
    Cut(Wire),
    CutThere(Wire),
    CutBack(Wire),
    Slow(Wire),
}

/// Each kind at least once, each target at least once.
const FAULTS: [Fault; 9] = [
    Fault::Stop(Member::Controller),
    Fault::Cut(Wire::ApiToController),
    Fault::CutBack(Wire::ControllerToPostgres),
    Fault::CutBack(Wire::ProcessorToAcquirer),
    Fault::CutThere(Wire::ProcessorToController),
    Fault::Slow(Wire::ControllerToPostgres),
    Fault::Stop(Member::Processor),
    Fault::Stop(Member::Acquirer),
    Fault::CutBack(Wire::ApiToController),
];

fn begin(stack: &Stack, fault: Fault) {
    match fault {
        Fault::Stop(member) => stack.signal(member, Signal::STOP),
        Fault::Cut(wire) => stack.set_wire(wire, Flow::Cut, Flow::Cut),
        Fault::CutThere(wire) => stack.set_wire(wire, Flow::Cut, Flow::Open),
        Fault::CutBack(wire) => stack.set_wire(wire, Flow::Open, Flow::Cut),
        Fault::Slow(wire) => {
            let slow = Flow::Slow(Duration::from_millis(150));
            stack.set_wire(wire, slow, slow);
        }
    }
}

fn heal(stack: &Stack, fault: Fault) {
    match fault {
        Fault::Stop(member) => stack.signal(member, Signal::CONT),
        Fault::Cut(wire) | Fault::CutThere(wire) | Fault::CutBack(wire) | Fault::Slow(wire) => {
            stack.set_wire(wire, Flow::Open, Flow::Open);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_still_or_is_cut_off_loses_and_doubles_nothing() {
    let wishes = Wishes {
        wires: Wires::Cuttable,
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    let (next, late_ms) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let payers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, next) = (shop.client.clone(), next.clone());
            let (late_ms, is_over) = (late_ms.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let body = json!({
                        "amount": { "amount": 100 + number, "currency": "USD" },
                        "payment_method": TOKENS[number % TOKENS.len()],
                    });
                    let start = Instant::now();
                    let key = format!("order-{number}");
                    client.pay(&key, &body.to_string(), 3).await.unwrap();
                    let took = usize::try_from(start.elapsed().as_millis()).unwrap();
                    let by_itself = USUAL_MS[number % TOKENS.len()];
                    late_ms.fetch_max(took.saturating_sub(by_itself), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
        })
        .collect();
    for fault in FAULTS {
        tokio::time::sleep(Duration::from_millis(700)).await;
        late_ms.store(0, Ordering::Relaxed);
        begin(&shop.stack, fault);
        tokio::time::sleep(LASTS).await;
        heal(&shop.stack, fault);
        // Somebody had to wait for it: the fault was there.
        let start = Instant::now();
        while late_ms.load(Ordering::Relaxed) < 1_000 {
            assert!(
                start.elapsed() < SETTLED,
                "no client felt {fault:?}\n{}",
                shop.stack.logs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for payer in payers {
        payer.await.unwrap();
    }
    let report = shop.check_books(SETTLED).await;
    assert_eq!(report.payments, next.load(Ordering::Relaxed));
    println!("{report}");
}
