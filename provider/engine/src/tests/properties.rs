//! Random interleavings, random pairs of mishaps, random leftovers, two processes at once.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    object::Fake,
    scenario::{Stage, apply, check_stage, engine, job, mark, paused, run, world_before},
    world::{Mishap, Site, World},
};
use crate::{End, FaultKind, Graph, Job, LockKey, Memory, Outcome, seeded::SeededBugs};

fn site() -> impl Strategy<Value = Site> {
    prop_oneof![
        Just(Site::BeforeReceipt),
        Just(Site::AfterEffect),
        Just(Site::AfterAnswer)
    ]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => site().prop_map(Mishap::Kill),
        2 => site().prop_map(Mishap::Cut),
        2 => Just(Mishap::Stop),
        1 => Just(Mishap::OperationFails),
        1 => Just(Mishap::Answer(FaultKind::Busy)),
        1 => Just(Mishap::Answer(FaultKind::Unavailable)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever order the answers come in, and wherever two runs are cut, the same end.
    #[test]
    fn any_interleaving_and_any_two_mishaps_converge_to_the_same_end(
        seed in any::<u64>(),
        stage in prop::sample::select(Stage::ALL.to_vec()),
        first in (0_u32..120, mishap()),
        second in (0_u32..200, mishap()),
        lag_seconds in 0_u64..40,
    ) {
        let reached = paused(async {
            let (world, memory) = world_before(seed, stage).await;
            let world = world.fork();
            {
                let mut books = world.books();
                books.lag = Duration::from_secs(lag_seconds);
                books.mishaps.extend([first, second]);
            }
            let memory = apply(&world, SeededBugs::default(), stage, memory, 6).await?;
            check_stage(&world, stage, &memory).await
        });
        prop_assert_eq!(reached, Ok(()));
    }

    /// A stage may be given up half-way for any other that can follow it.
    #[test]
    fn a_configuration_that_changes_after_a_kill_converges_to_the_new_one(
        seed in any::<u64>(),
        request in 0_u32..130,
        site in site(),
    ) {
        let reached = paused(async {
            let world = World::new(seed);
            world.books().mishaps.insert(request, Mishap::Kill(site));
            let memory = match run(&world, SeededBugs::default(), Stage::Made, None).await {
                Some(outcome) => Some(outcome.memory),
                None => None,
            };
            let memory = apply(&world, SeededBugs::default(), Stage::Changed, memory, 3).await?;
            check_stage(&world, Stage::Changed, &memory).await
        });
        prop_assert_eq!(reached, Ok(()));
    }

    /// Two applies at once, without a lock between them: one of each object, and whoever loses
    /// says so.
    #[test]
    fn two_processes_at_once_make_one_of_each_object(seed in any::<u64>(), delay in 0_u64..400) {
        let reached = paused(async {
            let world = World::new(seed);
            two_at_once(&world, delay, SeededBugs::default()).await
        });
        prop_assert_eq!(reached, Ok(()));
    }
}

/// A run that looks again adopts at once: the parts that it waited for belong to the other by now.
#[test]
fn whoever_finds_the_principal_made_meanwhile_takes_it_before_its_parts() {
    let reached = paused(async {
        let world = World::new(2_917_538_974_082_950_592);
        two_at_once(&world, 303, SeededBugs::default()).await
    });
    assert_eq!(reached, Ok(()));
}

/// Two engines, as in two processes, create the same thing. At least one finishes.
pub(super) async fn two_at_once(world: &World, delay: u64, bugs: SeededBugs) -> Result<(), String> {
    let (one, two) = (job(world, Stage::Made, None), job(world, Stage::Made, None));
    let (first, second) = (engine(world, bugs), engine(world, bugs));
    let late = async {
        world.clock.sleep(Duration::from_secs(delay)).await;
        second.converge(&two).await
    };
    let (one, two) = tokio::join!(first.converge(&one), late);
    let ends = [one.end.clone(), two.end.clone()];
    let mut finished: Option<Memory> = None;
    let mut lost = Vec::new();
    for outcome in [one, two] {
        match &outcome.end {
            End::Finished => finished = Some(outcome.memory),
            End::Failed(faults) => {
                check_only_lost_to_the_other(faults)?;
                lost.push(outcome);
            }
            End::Stopped { .. } => return Err("nobody asked to stop".into()),
        }
    }
    let memory = finished.ok_or(format!("neither run finished: {ends:#?}"))?;
    for outcome in lost {
        if outcome.exists() {
            let left = outcome.memory.objects;
            return Err(format!("the loser takes {left:?} for its own"));
        }
        // What an older release would have left in state.
        let memory = Memory {
            objects: job(world, Stage::Made, None)
                .graph
                .nodes()
                .map(|(id, _)| id.clone())
                .filter(|id| *id != super::object::id("cluster"))
                .collect(),
            ..outcome.memory
        };
        let end = engine(world, bugs)
            .destroy(&job(world, Stage::Made, Some(memory)))
            .await
            .end;
        if end != End::Finished {
            return Err(format!("the loser cannot be forgotten: {end:#?}"));
        }
    }
    check_stage(world, Stage::Made, &memory).await?;
    // The winner owns every part, whoever made it.
    let winner = job(world, Stage::Made, Some(memory));
    let end = engine(world, bugs).destroy(&winner).await.end;
    let left: Vec<_> = world.books().things.keys().cloned().collect();
    if end == End::Finished && left.is_empty() {
        Ok(())
    } else {
        Err(format!("the winner's destroy leaves {left:?}: {end:#?}"))
    }
}

/// The first run has made everything and takes a pool back when the second has just taken the
/// cluster over.
#[test]
fn a_part_is_not_taken_back_from_a_run_that_has_the_principal() {
    let reached = paused(async {
        two_at_once(
            &World::new(10_117_095_034_871_894_710),
            372,
            SeededBugs::default(),
        )
        .await
    });
    assert_eq!(reached, Ok(()));
}

fn check_only_lost_to_the_other(faults: &[crate::Fault]) -> Result<(), String> {
    let lost = |fault: &crate::Fault| matches!(fault.kind, FaultKind::LostRace | FaultKind::Stale);
    if faults.iter().all(|it| lost(it) && it.next.is_some()) {
        Ok(())
    } else {
        Err(format!("{faults:#?}"))
    }
}

/// One resource of many that share a lock key.
fn small(world: &World, name: &'static str, frees_lock_early: bool) -> Job {
    let mut graph = Graph::new();
    graph.principal(Fake {
        lock: Some(LockKey::new("shared")),
        frees_lock_early,
        ..Fake::new(world, name).want("size", 1)
    });
    Job::new(graph, mark())
}

/// How long three creations take that share a key.
async fn creations(free_lock_early: bool) -> Duration {
    let world = World::new(7);
    let engine = engine(&world, SeededBugs::default());
    let jobs = ["a", "b", "c"].map(|name| small(&world, name, free_lock_early));
    let outcomes = futures::future::join_all(jobs.iter().map(|it| engine.converge(it))).await;
    assert!(outcomes.iter().all(Outcome::is_finished));
    world.clock.now().since(paymesh_clock::Moment::default())
}

#[test]
fn resources_that_share_a_lock_key_write_one_after_the_other() {
    paused(async {
        let took = creations(false).await;
        // Each creation takes at least 30 seconds in the cloud.
        assert!(took > Duration::from_secs(90), "{took:?}");
    });
}

#[test]
fn resources_that_free_a_shared_key_early_wait_for_no_effect() {
    paused(async {
        let one_by_one = creations(false).await;
        let took = creations(true).await;
        assert!(took * 2 < one_by_one, "{took:?} beside {one_by_one:?}");
    });
}

#[test]
fn who_frees_a_key_early_waits_for_who_holds_it_to_the_end() {
    paused(async {
        let world = World::new(7);
        let engine = engine(&world, SeededBugs::default());
        let (slow, quick) = (small(&world, "slow", false), small(&world, "quick", true));
        let until_written = async |name: &str| {
            let limit = world.clock.now() + Duration::from_hours(1);
            let is_written = || world.books().written.iter().any(|it| it == name);
            while !is_written() {
                assert!(world.clock.now() < limit, "{name} is not written");
                world.clock.sleep(Duration::from_millis(100)).await;
            }
        };
        let second = async {
            until_written("slow").await;
            engine.converge(&quick).await
        };
        let is_over = async {
            until_written("quick").await;
            world.books().things["slow"].operation.is_none()
        };
        let (slow, quick, is_over) = tokio::join!(engine.converge(&slow), second, is_over);
        assert!(slow.is_finished() && quick.is_finished());
        assert!(is_over, "both had the key at once");
    });
}
