//! Whose an object is: by memory, by what it is in, and by whose the principal is.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::{Fake, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{engine, mark, paused},
    world::{Books, World},
};
use crate::{Graph, Holder, Job, Mark, Memory, OperationId, Standing, Unfinished};

/// What bears no mark of its own: it is whose the `parent` is.
fn follower(world: &World, name: &'static str, parent: &'static str) -> Fake {
    Fake {
        parent: Some(parent),
        tagged: false,
        holds: false,
        ..Fake::new(world, name).want("size", 2)
    }
}

fn ours(graph: Graph) -> Job {
    Job {
        memory: Some(remembered("mine")),
        ..Job::new(graph, mark())
    }
}

#[test]
fn what_bears_no_mark_inside_something_given_is_ours_by_its_name() {
    paused(async {
        let world = World::new(1);
        plant(&world, "group", &[], &[]);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        plant(&world, "role", &[], &[("size", 1)]);
        let mut graph = Graph::new();
        graph.given(Fake::new(&world, "group"));
        graph.principal(Fake::new(&world, "cluster"));
        graph.present(follower(&world, "role", "group"));
        let outcome = engine(&world, CALM).converge(&ours(graph)).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().things["role"].fields["size"], 2);
        assert!(outcome.memory.objects.contains(&id("role")));
        assert!(!outcome.memory.objects.contains(&id("group")));
    });
}

#[test]
fn what_bears_no_mark_inside_what_is_anothers_is_anothers() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        plant(&world, "other", &[], &[]);
        plant(&world, "role", &[], &[("size", 1)]);
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        graph.present(Fake::new(&world, "other"));
        graph.present(follower(&world, "role", "other"));
        let outcome = engine(&world, CALM).converge(&ours(graph)).await;
        check_end(
            &outcome,
            &expect![[r#"
            Foreign fake other: it exists already and is not ours: it bears no owner mark. It was not touched.
            Choose another name, or import it.
            ---
            Foreign fake role: it exists already and is not ours: it bears no owner mark. It was not touched.
            Choose another name, or import it."#]],
        );
        assert!(world.books().written.is_empty());
    });
}

#[test]
fn a_part_that_memory_lists_is_ours_though_it_has_lost_its_mark() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        plant(&world, "part", &[], &[("size", 1)]);
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        graph.present(Fake::new(&world, "part").want("size", 2));
        let mut job = ours(graph);
        let memory = job.memory.get_or_insert_default();
        memory.objects.insert(id("part"));
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().things["part"].fields["size"], 2);
    });
}

#[test]
fn an_entry_that_lost_a_race_takes_the_principal_over_when_it_is_applied_again() {
    paused(async {
        let world = World::new(1);
        let fields = [("size", 2), ("zone", 1)];
        plant(&world, "cluster", &our_tags("theirs"), &fields);
        let job = Job {
            memory: Some(Memory {
                holder: Some(Holder::found("mine")),
                ..Memory::default()
            }),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.things["cluster"].tags[Mark::HOLDER_KEY], "mine");
        assert!(outcome.memory.objects.contains(&id("cluster")));
    });
}

#[test]
fn while_there_is_no_principal_a_part_is_taken_back_once() {
    paused(async {
        let world = World::new(1);
        plant(&world, "identity", &our_tags("theirs"), &[("size", 1)]);
        let mut graph = Graph::new();
        graph.present(Fake::new(&world, "identity").want("size", 2));
        graph.principal(Fake {
            needs: vec!["identity"],
            ..Fake::new(&world, "cluster")
        });
        let mut job = ours(graph);
        let memory = job.memory.get_or_insert_default();
        memory.objects.insert(id("identity"));
        let is_taken = |books: &Books| {
            let identity = &books.things["identity"];
            identity.tags[Mark::HOLDER_KEY] == "mine" && identity.operation.is_none()
        };
        let others = async {
            let limit = world.clock.now() + Duration::from_hours(1);
            while !is_taken(&world.books()) {
                assert!(world.clock.now() < limit, "it is not taken over");
                world.clock.sleep(Duration::from_millis(10)).await;
            }
            let mut books = world.books();
            let identity = books.things.get_mut("identity").expect("it was planted");
            identity.tags.insert(Mark::HOLDER_KEY, "others".into());
        };
        let engine = engine(&world, CALM);
        let (outcome, ()) = tokio::join!(engine.converge(&job), others);
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().holders, [Holder::found("mine")]);
    });
}

/// How the state entry stands of a cluster that is gone, and of which `left` is left.
async fn standing(left: &[&str], memory: Memory) -> Standing {
    let world = World::new(1);
    for name in left {
        plant(&world, name, &our_tags("mine"), &[]);
    }
    let mut graph = Graph::new();
    graph.given(Fake::new(&world, "group"));
    graph.present(Fake::new(&world, "identity"));
    graph.principal(Fake::new(&world, "cluster"));
    let job = Job {
        memory: Some(memory),
        ..Job::new(graph, mark())
    };
    let reading = engine(&world, CALM).observe(&job).await.unwrap();
    reading.standing
}

#[test]
fn a_cluster_that_is_gone_is_all_gone_unless_something_of_ours_is_left_or_runs() {
    paused(async {
        let mut memory = remembered("mine");
        let left = ["group", "identity"];
        assert_eq!(standing(&left, memory.clone()).await, Standing::Gone);
        memory.objects.extend([id("group"), id("identity")]);
        assert_eq!(standing(&left, memory.clone()).await, Standing::Remains);
        assert_eq!(standing(&left[..1], memory).await, Standing::Gone);

        let mut memory = remembered("mine");
        memory.unfinished.push(Unfinished {
            object: id("cluster"),
            step: "create".into(),
            operation: Some(OperationId {
                name: "op-1".into(),
                token: String::new(),
            }),
        });
        assert_eq!(standing(&[], memory).await, Standing::Remains);
    });
}
