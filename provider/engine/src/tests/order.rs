//! What is begun only when something else has come to its end, and what is made only once.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::Fake,
    rules::{CALM, check_end},
    scenario::{engine, mark, paused},
    world::World,
};
use crate::{Graph, Job, LockKey};

/// A cluster with pools that its version waits for.
fn graph(world: &World, version: i64, pools: &[&'static str]) -> Graph {
    let mut graph = Graph::new();
    graph.principal(Fake {
        lock: Some(LockKey::new("cluster")),
        followers: vec!["pool"],
        ..Fake::new(world, "cluster").want("version", version)
    });
    for pool in pools {
        graph.present(Fake {
            parent: Some("cluster"),
            lock: Some(LockKey::new("cluster")),
            ..Fake::new(world, pool).want("version", version)
        });
    }
    graph
}

#[test]
fn what_a_cluster_does_not_wait_for_is_begun_when_the_cluster_has_all_its_versions() {
    paused(async {
        let world = World::new(1);
        let before = graph(&world, 1, &["pool"]);
        let first = Job::new(before.clone(), mark());
        let made = engine(&world, CALM).converge(&first).await;
        world.books().written.clear();
        let job = Job {
            memory: Some(made.memory),
            before: Some(before),
            ..Job::new(graph(&world, 3, &["another", "pool"]), mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        let last = books.written.iter().rposition(|it| it == "cluster");
        let begun = books.written.iter().position(|it| it == "another");
        assert!(last.is_some() && begun > last, "{:?}", books.written);
    });
}

#[test]
fn what_somebody_deletes_while_the_run_goes_on_is_told_of_and_not_made_again() {
    paused(async {
        let world = World::new(1);
        let job = Job::new(graph(&world, 1, &["another", "pool"]), mark());
        let engine = engine(&world, CALM);
        let somebody = async {
            // One after the other: when the second is begun, the first was seen at rest.
            let pools = |it: &&String| it.as_str() != "cluster";
            loop {
                world.clock.sleep(Duration::from_millis(100)).await;
                let mut books = world.books();
                let made: Vec<String> = books.creations.iter().filter(pools).cloned().collect();
                if let [first, _] = made.as_slice() {
                    books.things.remove(first);
                    return;
                }
            }
        };
        let (outcome, ()) = tokio::join!(engine.converge(&job), somebody);
        check_end(
            &outcome,
            &expect![[r#"
            Missing fake another: it was created in this run and is gone: somebody deleted it.
            Apply again to create it again."#]],
        );
        assert_eq!(world.books().creations.len(), 3);
    });
}
