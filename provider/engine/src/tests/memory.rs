//! What a run remembers, however it ends.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::{Fake, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{engine, mark, paused},
    world::{Mishap, World},
};
use crate::{
    End, FaultKind, Graph, Holder, Job, Limits, Mark, OperationId, Outcome, Remark, Unfinished,
};

/// Converges `job`, and asks it to stop after `time`.
async fn stopped_after(world: &World, job: &Job, time: Duration) -> Outcome {
    let engine = engine(world, CALM);
    let asked = async {
        world.clock.sleep(time).await;
        job.stop.stop();
    };
    let (outcome, ()) = tokio::join!(engine.converge(job), asked);
    outcome
}

#[test]
fn a_run_that_could_not_read_keeps_its_holder() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("zone", 1)]);
        let silence = Mishap::Answer(FaultKind::Unavailable);
        world.books().mishaps.insert(0, silence);
        let before = remembered("mine");
        let job = Job {
            memory: Some(before.clone()),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        assert!(matches!(outcome.end, End::Failed(_)), "{:?}", outcome.end);
        assert_eq!(outcome.memory.holder, before.holder);
        assert_eq!(outcome.memory.objects, before.objects);
    });
}

/// How a create of `graph` ends whose principal the cloud refuses.
async fn without_principal(world: &World, mut graph: Graph) -> Outcome {
    graph.principal(Fake {
        parent: Some("nowhere"),
        ..Fake::new(world, "cluster")
    });
    let job = Job::new(graph, mark());
    let outcome = engine(world, CALM).converge(&job).await;
    check_end(&outcome, &expect!["Refused fake cluster: no parent"]);
    outcome
}

#[test]
fn a_create_that_never_had_its_principal_keeps_the_holder_that_it_wrote() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        graph.present(Fake::new(&world, "identity"));
        let outcome = without_principal(&world, graph).await;
        let written = world.books().things["identity"].tags[Mark::HOLDER_KEY].clone();
        assert_eq!(outcome.memory.holder, Some(Holder::found(written)));
    });
}

#[test]
fn what_nobody_has_made_has_no_holder() {
    paused(async {
        let world = World::new(1);
        let outcome = without_principal(&world, Graph::new()).await;
        assert_eq!(outcome.memory.holder, None);
    });
}

/// A cluster that the cloud has made, and does not show before tomorrow.
fn hide(world: &World) {
    let tomorrow = world.clock.now() + Duration::from_hours(24);
    let mut books = world.books();
    let cluster = books.things.get_mut("cluster").expect("it was made");
    cluster.visible_from = tomorrow;
}

#[test]
fn what_an_operation_of_an_earlier_run_may_yet_show_is_not_forgotten() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("zone", 1)]);
        hide(&world);
        let ends = world.clock.now() + Duration::from_hours(1);
        let cluster = id("cluster");
        let operation = world.books().start(&cluster, ends, false, false, None);
        let mut memory = remembered("mine");
        memory.unfinished.push(Unfinished {
            object: cluster.clone(),
            step: "create".into(),
            operation: Some(OperationId {
                name: operation,
                token: String::new(),
            }),
        });
        let job = Job {
            memory: Some(memory),
            ..single(&world)
        };
        let outcome = stopped_after(&world, &job, Duration::from_mins(2)).await;
        check_end(&outcome, &expect!["Asked: fake cluster: create (op-1)"]);
        assert!(outcome.memory.objects.contains(&cluster));
    });
}

#[test]
fn what_the_cloud_has_made_and_does_not_show_is_not_forgotten() {
    paused(async {
        let world = World::new(1);
        let job = Job {
            limits: Limits {
                settle: Duration::from_hours(1),
                ..Limits::default()
            },
            ..single(&world)
        };
        let somebody = async {
            // It is sent within 10 seconds, and takes at least 30.
            world.clock.sleep(Duration::from_secs(20)).await;
            hide(&world);
        };
        let stopped = stopped_after(&world, &job, Duration::from_mins(10));
        let (outcome, ()) = tokio::join!(stopped, somebody);
        let is_stopped = matches!(outcome.end, End::Stopped { .. });
        assert!(is_stopped, "{:?}", outcome.end);
        let made = world.books().things["cluster"].clone();
        assert_eq!(made.operation, None, "it is still being made");
        assert!(outcome.exists(), "{:?}", outcome.memory);
    });
}

#[test]
fn what_was_adopted_is_not_forgotten_over_one_read_that_shows_nothing() {
    paused(async {
        let mut looks = 0;
        for request in 0..60 {
            let world = World::new(1);
            let fields = [("size", 1), ("zone", 1)];
            plant(&world, "cluster", &our_tags("theirs"), &fields);
            world.books().mishaps = [
                (request, Mishap::Answer(FaultKind::Refused)),
                (request + 1, Mishap::Answer(FaultKind::Missing)),
            ]
            .into();
            let outcome = engine(&world, CALM).converge(&single(&world)).await;
            let books = world.books();
            let is_adopted = books.things["cluster"].tags[Mark::HOLDER_KEY] != "theirs";
            let is_failed = matches!(outcome.end, End::Failed(_));
            // What failed was the write after the takeover or its proof, and the look after it showed
            // nothing.
            if is_adopted && is_failed && books.asked > 1 && books.fired.len() == 2 {
                looks += 1;
                assert!(outcome.exists(), "request {request}");
            }
        }
        assert!(looks > 0);
    });
}

#[test]
fn what_objects_say_last_is_remembered_and_what_they_said_before_when_they_say_nothing() {
    paused(async {
        let world = World::new(1);
        for name in ["cluster", "pool", "role"] {
            plant(&world, name, &our_tags("mine"), &[]);
        }
        let mut graph = Graph::new();
        graph.principal(Fake {
            remark: Some("new"),
            ..Fake::new(&world, "cluster")
        });
        graph.present(Fake::new(&world, "pool"));
        graph.present(Fake::new(&world, "role"));
        let remark = |name: &str, text: &str| Remark {
            object: id(name),
            text: text.into(),
        };
        let mut memory = remembered("mine");
        memory.remarks = vec![remark("cluster", "old"), remark("pool", "known")];
        let job = Job {
            memory: Some(memory),
            ..Job::new(graph, mark())
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        let expected = [remark("cluster", "new"), remark("pool", "known")];
        assert_eq!(reading.memory.remarks, expected);
    });
}
