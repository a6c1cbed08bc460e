//! What the engine may not believe, take or write: each guard by itself.

use std::{collections::BTreeMap, time::Duration};

use expect_test::expect;

use super::{
    object::{Fake, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{engine, mark, paused},
    world::{Mishap, World},
};
use crate::{End, FaultKind, Graph, Job, Limits, Standing};

/// A cluster of ours with what it needs and what is in it, each as `(name, holder)` says.
fn planted(world: &World, things: &[(&str, &'static str)]) -> Job {
    for (name, holder) in things {
        plant(world, name, &our_tags(holder), &[("size", 1)]);
    }
    put_into_cluster(world, "pool");
    let mut graph = Graph::new();
    graph.present(Fake::new(world, "identity"));
    graph.principal(Fake {
        needs: vec!["identity"],
        ..Fake::new(world, "cluster").want("size", 1)
    });
    graph.present(Fake {
        parent: Some("cluster"),
        ..Fake::new(world, "pool").want("size", 1)
    });
    Job::new(graph, mark())
}

fn put_into_cluster(world: &World, name: &str) {
    if let Some(thing) = world.books().things.get_mut(name) {
        thing.parent = Some("cluster".into());
    }
}

#[test]
fn of_two_that_create_one_object_at_once_one_gives_way() {
    paused(async {
        let world = World::new(1);
        let (one, two) = (planted(&world, &[]), planted(&world, &[]));
        let (first, second) = (engine(&world, CALM), engine(&world, CALM));
        let (one, two) = tokio::join!(first.converge(&one), second.converge(&two));
        let loser = if one.is_finished() { two } else { one };
        check_end(
            &loser,
            &expect![[r#"
            LostRace fake cluster: another run with the same owner and name created it at the same moment, and owns it; nothing of it belongs to this one.
            If another resource or another state manages it, give one of the two another name or another `owner`. If it was another apply of this one, wait until that has ended, then apply again."#]],
        );
        assert!(!loser.exists());
        assert!(loser.memory.objects.is_empty());
        let written = world.books().written.clone();
        assert_eq!(written.iter().filter(|it| *it == "cluster").count(), 1);
    });
}

#[test]
fn the_principal_is_taken_over_before_anything_else() {
    paused(async {
        let world = World::new(1);
        let things = [("identity", "h0"), ("cluster", "h0"), ("pool", "h0")];
        let job = planted(&world, &things);
        assert!(engine(&world, CALM).converge(&job).await.is_finished());
        assert_eq!(world.books().written[0], "cluster");
    });
}

/// A cluster of this entry, and a pool in it that somebody else took who has not got the cluster.
fn with_a_part_to_take_back(world: &World) -> Job {
    let things = [
        ("identity", "mine"),
        ("cluster", "mine"),
        ("pool", "theirs"),
    ];
    let mut memory = remembered("mine");
    memory.objects.extend([id("identity"), id("pool")]);
    Job {
        memory: Some(memory),
        ..planted(world, &things)
    }
}

/// The look at the pool before it is taken back: all three were looked at, and the cluster's
/// children listed.
const LOOK_AT_THE_PART: u32 = 4;

#[test]
fn a_part_is_taken_back_from_nobody_who_has_just_taken_the_principal() {
    paused(async {
        let world = World::new(1);
        let job = with_a_part_to_take_back(&world);
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().written, ["pool"]);

        let world = World::new(1);
        let job = with_a_part_to_take_back(&world);
        let taken = Mishap::TakeOver("cluster");
        world.books().mishaps.insert(LOOK_AT_THE_PART, taken);
        let outcome = engine(&world, CALM).converge(&job).await;
        let End::Failed(faults) = &outcome.end else {
            panic!("{:#?}", outcome.end)
        };
        assert!(faults.iter().all(|it| it.kind == FaultKind::Stale));
        let books = world.books();
        assert_eq!(books.fired, [taken]);
        assert!(books.written.is_empty(), "{:?}", books.written);
    });
}

#[test]
fn a_part_of_what_somebody_else_has_just_begun_to_work_on_is_not_asked_for_until_that_ends() {
    paused(async {
        let world = World::new(1);
        let job = with_a_part_to_take_back(&world);
        let mishap = Mishap::Begin("cluster");
        world.books().mishaps.insert(LOOK_AT_THE_PART, mishap);
        let began = world.clock.now();
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert!(world.clock.now().since(began) > Duration::from_mins(30));
        let books = world.books();
        assert_eq!(books.fired, [mishap]);
        // The one that is refused shows that it has to wait.
        assert_eq!(books.asked, 2);
    });
}

#[test]
fn one_refusal_known_beforehand_and_nothing_is_written() {
    paused(async {
        let world = World::new(1);
        let job = planted(&world, &[]);
        plant(&world, "pool", &[], &[]);
        plant(&world, "cluster", &our_tags("h0"), &[("size", 2)]);
        put_into_cluster(&world, "pool");
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            Foreign fake pool: it exists already and is not ours: it bears no owner mark. It was not touched.
            Choose another name, or import it."#]],
        );
        assert!(world.books().written.is_empty());
    });
}

#[test]
fn a_child_that_only_follows_its_parent_is_not_taken_for_ours() {
    paused(async {
        let world = World::new(1);
        let job = planted(
            &world,
            &[("identity", "h0"), ("cluster", "h0"), ("pool", "h0")],
        );
        plant(&world, "role-of-somebody", &[], &[]);
        put_into_cluster(&world, "role-of-somebody");
        let outcome = engine(&world, CALM).converge(&job).await;
        assert!(outcome.is_finished());
        assert!(!outcome.memory.objects.contains(&id("role-of-somebody")));
        assert!(world.books().deletions.is_empty());
    });
}

#[test]
fn a_read_sees_a_takeover_that_is_under_way_to_its_end() {
    paused(async {
        let world = World::new(1);
        let fields = [("size", 2), ("zone", 1)];
        plant(&world, "cluster", &our_tags("mine"), &fields);
        world.books().late_tags = true;
        let theirs = our_tags("theirs").into_iter();
        let theirs = theirs.map(|(key, tag)| (key, tag.to_owned())).collect();
        let cluster = id("cluster");
        let taken = world.update(&cluster, 0, BTreeMap::new(), theirs);
        taken.await.unwrap();
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert_eq!(reading.standing, Standing::Stale);
    });
}

#[test]
fn a_read_does_not_believe_one_absence() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("mine"),
            &[("size", 2), ("zone", 1)],
        );
        let soon = world.clock.now() + Duration::from_secs(4);
        world
            .books()
            .things
            .get_mut("cluster")
            .expect("it was planted")
            .visible_from = soon;
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert!(reading.memory.objects.contains(&id("cluster")));
    });
}

#[test]
fn a_deletion_that_deletes_nothing_is_not_believed() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("mine"),
            &[("size", 2), ("zone", 1)],
        );
        world.books().undying = true;
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            TimedOut fake cluster: the cloud confirmed the deletion, but still shows the object (incarnation 1).
            Run the command again."#]],
        );
        assert!(outcome.exists());
    });
}

#[test]
fn a_creation_that_failed_and_left_nothing_is_forgotten() {
    paused(async {
        let world = World::new(1);
        let request = 2;
        world
            .books()
            .mishaps
            .insert(request, Mishap::OperationFails);
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        check_end(
            &outcome,
            &expect![[r#"
            OperationFailed fake cluster: it failed
            Operation: op-2"#]],
        );
        assert_eq!(world.books().fired, [Mishap::OperationFails]);
        assert!(!outcome.exists() && outcome.memory.objects.is_empty());
    });
}

#[test]
fn polls_that_nobody_answers_end() {
    paused(async {
        let world = World::new(1);
        world.books().silent = true;
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        let End::Failed(faults) = &outcome.end else {
            panic!("{:#?}", outcome.end)
        };
        assert_eq!(faults[0].kind, FaultKind::Unavailable);
        assert!(faults[0].operation.is_some());
        // Two looks and the creation come before the polls, and a look at what is left after them.
        let polls = Limits::default().retries + 1;
        assert_eq!(world.books().requests, 3 + polls + 1);
        assert!(outcome.memory.objects.contains(&id("cluster")));
    });
}
