//! The tests are tested: each protection, switched off, must turn them red.

use super::{
    properties::two_at_once,
    scenario::{Stage, apply, check_stage, engine, job, paused},
    sweep::{Every, sweep},
    world::{Mishap, Site, World},
};
use crate::seeded::SeededBugs;

fn is_caught_by_sweeps(bugs: SeededBugs) -> bool {
    let mishaps = [
        Mishap::Kill(Site::AfterEffect),
        Mishap::Kill(Site::AfterAnswer),
        Mishap::Cut(Site::AfterEffect),
        Mishap::Stop,
    ];
    let every = Every { nth: 1, from: 0 };
    Stage::ALL
        .into_iter()
        .flat_map(|stage| mishaps.map(|mishap| (stage, mishap)))
        .any(|(stage, mishap)| sweep(stage, mishap, every, bugs).is_err())
}

#[test]
fn an_engine_that_does_not_adopt_is_caught() {
    assert!(is_caught_by_sweeps(SeededBugs {
        no_adoption: true,
        ..SeededBugs::default()
    }));
}

#[test]
fn an_engine_that_does_not_wait_for_running_operations_is_caught() {
    assert!(is_caught_by_sweeps(SeededBugs {
        no_resume: true,
        ..SeededBugs::default()
    }));
}

#[test]
fn an_engine_that_creates_unconditionally_is_caught() {
    let bugs = SeededBugs {
        no_conditional_create: true,
        ..SeededBugs::default()
    };
    let caught = (0..40).any(|seed| {
        paused(async {
            let world = World::new(seed);
            world.books().conditional = false;
            two_at_once(&world, 0, bugs).await.is_err()
        })
    });
    assert!(caught);
}

#[test]
fn an_engine_without_guards_is_caught() {
    let bugs = SeededBugs {
        no_guard: true,
        ..SeededBugs::default()
    };
    let harmless = paused(async {
        let world = World::new(3);
        let first = apply(&world, bugs, Stage::Made, None, 1).await?;
        let second = apply(&world, bugs, Stage::Made, None, 1).await?;
        engine(&world, bugs)
            .destroy(&job(&world, Stage::Made, Some(first)))
            .await;
        check_stage(&world, Stage::Made, &second).await
    });
    assert!(harmless.is_err());
}
