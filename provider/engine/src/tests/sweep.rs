//! Every request of every stage, met by every mishap, one at a time.

use super::{
    object::id,
    scenario::{Stage, apply, check_stage, paused, world_before},
    world::{Mishap, Site},
};
use crate::{FaultKind, seeded::SeededBugs};

const SEED: u64 = 20_261_121;

/// Which requests of a stage are met.
#[derive(Clone, Copy)]
pub(super) struct Every {
    pub(super) nth: usize,
    pub(super) from: u32,
}

/// Meets requests of `stage` with `mishap`, each in a world of its own; the first broken promise
/// ends it.
pub(super) fn sweep(
    stage: Stage,
    mishap: Mishap,
    every: Every,
    bugs: SeededBugs,
) -> Result<u32, String> {
    let (start, memory, calm) = paused(async {
        let (start, memory) = world_before(SEED, stage).await;
        let world = start.fork();
        let reached = apply(&world, SeededBugs::default(), stage, memory.clone(), 1).await?;
        let calm = world.books().requests;
        check_stage(&world, stage, &reached).await?;
        Ok::<_, String>((start.fork(), memory, calm))
    })?;
    for request in (every.from..calm).step_by(every.nth) {
        paused(async {
            let world = start.fork();
            {
                let mut books = world.books();
                books.mishaps.insert(request, mishap);
                books.conditional = !bugs.no_conditional_create;
            }
            let memory = apply(&world, bugs, stage, memory.clone(), 3).await?;
            check_stage(&world, stage, &memory).await?;
            let fired = world.books().fired.len();
            if fired == 1 {
                Ok(())
            } else {
                Err("the mishap was never met".to_owned())
            }
        })
        .map_err(|why| format!("request {request} of {calm}, {mishap:?}: {why}"))?;
    }
    Ok(calm)
}

fn check_sweep(mishap: Mishap, every: Every) {
    for stage in Stage::ALL {
        match sweep(stage, mishap, every, SeededBugs::default()) {
            Ok(requests) => assert!(requests > 40, "{stage:?} is too short to prove anything"),
            Err(why) => panic!("{why}"),
        }
    }
}

const ALL: Every = Every { nth: 1, from: 0 };
const HALF: Every = Every { nth: 2, from: 0 };

#[test]
fn a_kill_before_any_request_is_received_is_recovered() {
    check_sweep(Mishap::Kill(Site::BeforeReceipt), HALF);
}

#[test]
fn a_kill_after_any_effect_is_recovered() {
    check_sweep(Mishap::Kill(Site::AfterEffect), ALL);
}

#[test]
fn a_kill_after_any_answer_is_recovered() {
    check_sweep(Mishap::Kill(Site::AfterAnswer), HALF);
}

#[test]
fn a_connection_cut_before_any_request_is_recovered() {
    check_sweep(Mishap::Cut(Site::BeforeReceipt), HALF);
}

#[test]
fn a_connection_cut_after_any_effect_is_recovered() {
    check_sweep(Mishap::Cut(Site::AfterEffect), ALL);
}

#[test]
fn a_stop_at_any_request_is_resumed() {
    check_sweep(Mishap::Stop, ALL);
}

#[test]
fn a_failed_operation_is_repaired_by_the_next_run() {
    check_sweep(Mishap::OperationFails, HALF);
}

#[test]
fn any_single_answer_that_nothing_is_there_is_not_believed() {
    check_sweep(Mishap::Answer(FaultKind::Missing), ALL);
}

#[test]
fn a_wrong_absence_ends_no_destroy_that_waits_for_anothers_work() {
    for request in 0..30 {
        paused(async {
            let (start, memory) = world_before(SEED, Stage::Gone).await;
            let world = start.fork();
            {
                let now = world.clock.now();
                let mut books = world.books();
                books.start(&id("cluster"), now, false, false, None);
                let absence = Mishap::Answer(FaultKind::Missing);
                books.mishaps.insert(request, absence);
            }
            let bugs = SeededBugs::default();
            let memory = apply(&world, bugs, Stage::Gone, memory, 1).await;
            let memory = memory.unwrap_or_else(|why| panic!("request {request}: {why}"));
            let left = check_stage(&world, Stage::Gone, &memory).await;
            left.unwrap_or_else(|why| panic!("request {request}: {why}"));
        });
    }
}

#[test]
fn any_single_fault_ends_in_convergence() {
    let kinds = [
        FaultKind::Busy,
        FaultKind::LostRace,
        FaultKind::Propagating,
        FaultKind::Unavailable,
        FaultKind::Denied,
        FaultKind::Exhausted,
        FaultKind::Refused,
    ];
    for (kind, from) in kinds.into_iter().zip(0..) {
        check_sweep(
            Mishap::Answer(kind),
            Every {
                nth: kinds.len(),
                from,
            },
        );
    }
}
