//! What is begun only when something else has come to its end, and what is made only once.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::Fake,
    rules::{CALM, check_end},
    scenario::{engine, mark, paused},
    world::{Thing, World},
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
fn only_others_in_the_graph_come_before() {
    let world = World::new(1);
    let mut graph = Graph::new();
    let group = graph.present(Fake::new(&world, "group"));
    let cluster = graph.present(Fake {
        needs: vec!["group", "cluster", "elsewhere"],
        ..Fake::new(&world, "cluster")
    });
    let before: Vec<_> = graph.before(&cluster).into_iter().collect();
    assert_eq!(before, [group]);
}

#[test]
fn a_level_waits_for_those_above_it_and_for_no_other() {
    let world = World::new(1);
    let mut graph = Graph::new();
    for (name, parent) in [
        ("group", None),
        ("cluster", Some("group")),
        ("pool", Some("cluster")),
        ("account", None),
    ] {
        graph.present(Fake {
            parent,
            ..Fake::new(&world, name)
        });
    }
    let levels = graph.levels(|id| graph.before(id).into_iter().collect());
    let names = levels.iter().map(|level| {
        let names = level.iter().map(|id| id.name.as_str());
        names.collect::<Vec<_>>()
    });
    let names: Vec<_> = names.collect();
    let expected = [vec!["group", "account"], vec!["cluster"], vec!["pool"]];
    assert_eq!(names, expected);
}

/// Waits until the cloud has the last thing, and it is so.
async fn until_last(world: &World, is_so: impl Fn(&Thing) -> bool) {
    let limit = world.clock.now() + Duration::from_hours(1);
    while !world.books().things.get("last").is_some_and(&is_so) {
        let left = world.books().things.clone();
        assert!(world.clock.now() < limit, "{left:?}");
        world.clock.sleep(Duration::from_millis(100)).await;
    }
}

/// The size that a thing has in the end that somebody changes while the run makes another, beside
/// one that can be made or cannot.
async fn size_after(can_be_made: bool) -> i64 {
    let world = World::new(1);
    let mut graph = Graph::new();
    graph.present(Fake::new(&world, "changed").want("size", 2));
    graph.present(Fake {
        needs: vec!["changed"],
        ..Fake::new(&world, "last")
    });
    graph.present(Fake {
        parent: (!can_be_made).then_some("nowhere"),
        ..Fake::new(&world, "other")
    });
    let job = Job::new(graph, mark());
    let engine = engine(&world, CALM);
    let somebody = async {
        until_last(&world, |_| true).await;
        world.books().meddle("changed", "size", 7);
    };
    let (outcome, ()) = tokio::join!(engine.converge(&job), somebody);
    assert_eq!(outcome.is_finished(), can_be_made, "{:?}", outcome.end);
    let books = world.books();
    assert!(books.things.contains_key("last"));
    books.things["changed"].fields["size"]
}

#[test]
fn a_run_looks_at_everything_again_unless_it_has_failed() {
    paused(async {
        assert_eq!(size_after(true).await, 2);
        assert_eq!(size_after(false).await, 7);
    });
}

#[test]
fn what_waits_for_each_other_is_told_of_and_not_taken_for_done() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        for (name, need) in [("one", "other"), ("other", "one")] {
            graph.present(Fake {
                needs: vec![need],
                ..Fake::new(&world, name)
            });
        }
        let outcome = engine(&world, CALM)
            .converge(&Job::new(graph, mark()))
            .await;
        check_end(
            &outcome,
            &expect![
                "Defect fake one: `create` never gets its turn: fake one, fake other wait for each other"
            ],
        );
        assert!(world.books().written.is_empty());
    });
}

#[test]
fn what_was_there_and_does_not_show_for_a_while_is_looked_for_and_not_made_again() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        graph.present(Fake::new(&world, "first"));
        graph.present(Fake {
            needs: vec!["first"],
            ..Fake::new(&world, "last")
        });
        let job = Job::new(graph, mark());
        let engine = engine(&world, CALM);
        let show_first = |from| {
            let mut books = world.books();
            let first = books.things.get_mut("first").expect("it was made");
            first.visible_from = from;
        };
        let cloud = async {
            until_last(&world, |it| it.operation.is_some()).await;
            show_first(world.clock.now() + Duration::from_hours(24));
            until_last(&world, |it| it.operation.is_none()).await;
            // By then everything is looked at again.
            world.clock.sleep(Duration::from_mins(1)).await;
            show_first(world.clock.now());
        };
        let (outcome, ()) = tokio::join!(engine.converge(&job), cloud);
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().creations, ["first", "last"]);
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
