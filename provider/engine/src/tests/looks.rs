//! What is looked at, how often, and what an answer may mean.

use expect_test::expect;

use super::{
    object::Fake,
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{engine, mark, paused},
    world::{Mishap, World},
};
use crate::{Fault, FaultKind, Graph, Job, Limits, Reading, Standing};

#[test]
fn a_fault_that_says_that_nothing_is_there_is_an_answer() {
    paused(async {
        let world = World::new(1);
        let nothing_there = Mishap::Answer(FaultKind::Missing);
        world.books().mishaps.insert(0, nothing_there);
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().fired, [nothing_there]);
    });
}

#[test]
fn what_is_gone_is_asked_for_as_often_as_the_limit_says_and_what_was_to_be_in_it_never() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        graph.present(Fake {
            parent: Some("cluster"),
            ..Fake::new(&world, "pool")
        });
        let job = Job {
            memory: Some(remembered("mine")),
            ..Job::new(graph, mark())
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert_eq!(reading.standing, Standing::Gone);
        assert_eq!(world.books().requests, Limits::default().absent_reads);
    });
}

/// What reading a cluster comes to whose listing is answered with `kind`.
async fn listed(kind: FaultKind) -> Result<Reading, Vec<Fault>> {
    let world = World::new(1);
    let fields = [("size", 2), ("zone", 1)];
    plant(&world, "cluster", &our_tags("mine"), &fields);
    world.books().mishaps.insert(1, Mishap::Answer(kind));
    let job = Job {
        memory: Some(remembered("mine")),
        ..single(&world)
    };
    let read = engine(&world, CALM).observe(&job).await;
    assert_eq!(world.books().fired, [Mishap::Answer(kind)]);
    read
}

#[test]
fn a_listing_that_is_denied_ends_a_read_and_a_listing_of_what_has_just_gone_does_not() {
    paused(async {
        assert!(listed(FaultKind::Missing).await.is_ok());
        let faults = listed(FaultKind::Denied).await.unwrap_err();
        assert_eq!(faults[0].kind, FaultKind::Denied);
    });
}

#[test]
fn nobody_asks_what_is_in_anothers_cluster() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &[], &[("size", 2), ("zone", 1)]);
        plant(&world, "role-other", &[], &[]);
        let parent = Some("cluster".into());
        world.books().things.get_mut("role-other").unwrap().parent = parent;
        let job = single(&world);
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert!(reading.notes.is_empty(), "{:?}", reading.notes);
        assert_eq!(world.books().requests, 1);
    });
}

#[test]
fn what_a_listing_brings_is_looked_at_once_before_it_is_done() {
    paused(async {
        let world = World::new(1);
        for name in ["cluster", "old"] {
            plant(&world, name, &our_tags("mine"), &[]);
        }
        let parent = Some("cluster".into());
        world.books().things.get_mut("old").unwrap().parent = parent;
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        let job = Job {
            memory: Some(remembered("mine")),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.written, ["drain old", "old"]);
        // Before the drain, after it, and with all the others in the end.
        assert_eq!(books.asked_if_drained, 3);
    });
}
