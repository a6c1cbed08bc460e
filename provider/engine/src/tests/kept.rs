//! What is another's stays, whatever an entry remembers.

use std::collections::BTreeMap;

use expect_test::expect;

use super::{
    object::{Fake, OFF, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{Stage, apply, check_stage, engine, job, mark, paused, run, world_before},
    world::World,
};
use crate::{Graph, Holder, Job, Memory};

fn entry(holder: &str, objects: &[&str]) -> Memory {
    Memory {
        holder: Some(Holder::found(holder)),
        objects: objects.iter().map(|name| id(name)).collect(),
        ..Memory::default()
    }
}

#[test]
fn a_delete_leaves_what_bears_another_holder_although_memory_never_listed_it() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("theirs"),
            &[("size", 2), ("zone", 1)],
        );
        let job = Job {
            memory: Some(entry("mine", &[])),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        assert!(outcome.is_finished() && !outcome.exists());
        assert!(world.books().deletions.is_empty());
        expect![
            "another state entry holds this object now. It was not deleted, only forgotten here."
        ]
        .assert_eq(&outcome.notes[0].message);
    });
}

#[test]
fn the_parts_of_anothers_cluster_stay_with_it() {
    paused(async {
        let world = World::new(3);
        let winner = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let loser = entry("lost", &["group", "identity", "role"]);
        let outcome = engine(&world, CALM)
            .destroy(&job(&world, Stage::Made, Some(loser)))
            .await;
        assert!(outcome.is_finished() && !outcome.exists());
        check_stage(&world, Stage::Made, &winner).await.unwrap();
    });
}

#[test]
fn what_a_killed_create_left_beside_no_cluster_is_destroyed() {
    paused(async {
        let world = World::new(3);
        plant(&world, "group", &our_tags("mine"), &[]);
        plant(&world, "identity", &our_tags("killed"), &[]);
        let outcome = engine(&world, CALM)
            .destroy(&job(&world, Stage::Made, Some(entry("mine", &["group"]))))
            .await;
        assert!(outcome.is_finished());
        assert!(world.books().things.is_empty());
    });
}

#[test]
fn a_holder_that_is_ours_is_deleted() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("zone", 1)]);
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        assert!(engine(&world, CALM).destroy(&job).await.is_finished());
        assert!(world.books().things.is_empty());
    });
}

#[test]
fn a_part_of_ours_goes_although_what_it_is_in_is_anothers_and_stays() {
    paused(async {
        let world = World::new(1);
        plant(&world, "main", &our_tags("mine"), &[]);
        plant(&world, "cluster", &[], &[]);
        plant(&world, "pool", &our_tags("mine"), &[]);
        let parent = Some("cluster".into());
        world.books().things.get_mut("pool").unwrap().parent = parent;
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "main"));
        graph.present(Fake::new(&world, "cluster"));
        graph.present(Fake {
            parent: Some("cluster"),
            ..Fake::new(&world, "pool")
        });
        let job = Job {
            memory: Some(entry("mine", &["main", "pool"])),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let left: Vec<_> = world.books().things.keys().cloned().collect();
        assert_eq!(left, ["cluster"]);
    });
}

#[test]
fn a_destroy_takes_what_is_left_of_the_principal_that_it_has_deleted() {
    paused(async {
        let world = World::new(1);
        plant(&world, "identity", &our_tags("theirs"), &[]);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        let mut graph = Graph::new();
        graph.present(Fake::new(&world, "identity"));
        graph.principal(Fake {
            needs: vec!["identity"],
            ..Fake::new(&world, "cluster")
        });
        let job = Job {
            memory: Some(entry("mine", &["identity", "cluster"])),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().deletions, ["cluster", "identity"]);
    });
}

#[test]
fn what_is_off_is_not_started_to_take_it_back() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        plant(&world, "part", &our_tags("theirs"), &[(OFF, 1)]);
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        graph.present(Fake::new(&world, "part"));
        let job = Job {
            memory: Some(entry("mine", &["cluster", "part"])),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().written, Vec::<String>::new());
    });
}

#[test]
fn what_is_ours_and_switched_off_is_destroyed_as_it_is() {
    paused(async {
        let world = World::new(1);
        let fields = [("size", 2), ("zone", 1), (OFF, 1)];
        plant(&world, "cluster", &our_tags("mine"), &fields);
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().written, ["cluster"]);
        assert_eq!(world.books().deletions, ["cluster"]);
    });
}

/// The graph of a cluster in another zone, with the parts of the one that is there.
fn elsewhere(world: &World) -> Graph {
    let mut graph = Graph::new();
    graph.present(Fake::new(world, "group"));
    graph.present(Fake {
        parent: Some("group"),
        ..Fake::new(world, "identity")
    });
    graph.principal(Fake {
        parent: Some("group"),
        needs: vec!["identity"],
        ..Fake::new(world, "cluster").want("zone", 2)
    });
    graph
}

#[test]
fn a_create_that_cannot_have_its_principal_writes_nothing_and_owns_nothing() {
    paused(async {
        let world = World::new(3);
        let healthy = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let (etag, tags) = {
            let cluster = &world.books().things["cluster"];
            (cluster.etag, cluster.tags.clone())
        };
        // Also while the cloud works on it by itself.
        world
            .update(&id("cluster"), etag, BTreeMap::new(), tags)
            .await
            .unwrap();
        let before = world.books().things["identity"].etag;
        let outcome = engine(&world, CALM)
            .converge(&Job::new(elsewhere(&world), mark()))
            .await;
        check_end(
            &outcome,
            &expect![[r#"
            MustReplace fake cluster: it exists already and bears our mark, but differs in what can never change: zone: it is fixed at creation. It was not adopted.
            Make the configuration match it, give the new one another name (or remove create_before_destroy), or delete it."#]],
        );
        assert!(!outcome.exists());
        assert_eq!(world.books().things["identity"].etag, before);
        check_stage(&world, Stage::Made, &healthy).await.unwrap();
    });
}

#[test]
fn a_tainted_cluster_without_its_private_data_is_destroyed() {
    paused(async {
        let world = World::new(3);
        apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let outcome = engine(&world, CALM)
            .destroy(&job(&world, Stage::Made, Some(Memory::default())))
            .await;
        check_end(&outcome, &expect!["finished"]);
        assert!(world.books().things.is_empty());
    });
}

#[test]
fn a_run_remembers_its_owner_and_a_destroy_forgets_everything() {
    paused(async {
        let (world, memory) = world_before(1, Stage::Changed).await;
        let memory = memory.expect("a stage came before");
        assert_eq!(memory.owner.as_deref(), Some("payments/test"));
        let outcome = run(&world, CALM, Stage::Gone, Some(memory)).await;
        let outcome = outcome.expect("nobody kills it");
        assert!(outcome.is_finished());
        assert_eq!(outcome.memory, Memory::default());
    });
}

#[test]
fn an_engine_keeps_the_claims_of_its_process() {
    let engine = engine(&World::new(1), CALM);
    assert!(!engine.claims().is_applying());
    engine.claims().apply_began();
    assert!(engine.claims().is_applying());
}
