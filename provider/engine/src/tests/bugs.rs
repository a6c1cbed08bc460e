//! The tests are tested: each protection, switched off, must turn them red.

use super::{
    scenario::Stage,
    sweep::sweep,
    world::{Mishap, Site},
};
use crate::seeded::SeededBugs;

fn check_caught(bugs: SeededBugs) {
    let mishaps = [
        Mishap::Kill(Site::AfterEffect),
        Mishap::Kill(Site::AfterAnswer),
        Mishap::Cut(Site::AfterEffect),
        Mishap::Stop,
    ];
    let caught = Stage::ALL
        .into_iter()
        .flat_map(|stage| mishaps.map(|mishap| (stage, mishap)))
        .any(|(stage, mishap)| sweep(stage, mishap, bugs).is_err());
    assert!(caught, "nothing noticed {bugs:?}");
}

#[test]
fn an_engine_that_does_not_adopt_is_caught() {
    check_caught(SeededBugs {
        no_adoption: true,
        ..SeededBugs::default()
    });
}

#[test]
fn an_engine_that_does_not_wait_for_running_operations_is_caught() {
    check_caught(SeededBugs {
        no_resume: true,
        ..SeededBugs::default()
    });
}
