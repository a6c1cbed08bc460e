//! What a write may assume, and what it may wait for.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use expect_test::expect;
use paymesh_clock::{Clock, Moment};
use serde_json::Value;

use super::{
    object::{Fake, OFF, id},
    rules::{CALM, check_end, our_tags, plant, remembered},
    scenario::{Stage, apply, check_stage, engine, mark, paused, world_before},
    world::{Mishap, Site, World},
};
use crate::{
    Busy, Context, Difference, Engine, Fault, Graph, Holder, Job, Limits, LockKey, Mark, Memory,
    Object, ObjectId, Observation, Operation, OperationId, Outcome, Poll, Seen, Sent, StopToken,
    Unfinished, async_trait,
};

/// A cluster of two sizes, both one too small.
fn two_fields(world: &World) -> Job {
    plant(
        world,
        "cluster",
        &our_tags("mine"),
        &[("size", 1), ("tier", 1)],
    );
    let mut graph = Graph::new();
    graph.principal(Fake::new(world, "cluster").want("size", 2).want("tier", 1));
    Job {
        memory: Some(remembered("mine")),
        ..Job::new(graph, mark())
    }
}

/// Meets request number `request` with somebody who sets the tier to 7.
fn check_meddling(request: u32) {
    paused(async {
        let world = World::new(1);
        let job = two_fields(&world);
        world
            .books()
            .mishaps
            .insert(request, Mishap::Meddle("tier", 7));
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.fired.len(), 1, "nobody meddled");
        let fields = &books.things["cluster"].fields;
        let now = (fields["size"], fields["tier"]);
        assert_eq!(now, (2, 1), "request {request} of {}", books.requests);
    });
}

#[test]
fn a_field_that_moves_before_the_write_is_seen_and_repaired() {
    // Requests: a look at all, a look under the locks, then the write, refused by its etag.
    check_meddling(2);
}

#[test]
fn a_field_that_moves_after_the_write_is_not_taken_for_a_write_without_effect() {
    // Any request after the write but the last, a listing that follows the last look.
    for request in 3..40 {
        let reached = paused(async {
            let world = World::new(1);
            let job = two_fields(&world);
            engine(&world, CALM).converge(&job).await;
            world.books().requests > request + 1
        });
        if reached {
            check_meddling(request);
        }
    }
}

/// Something that takes half an hour, and that nobody may start twice.
#[derive(Clone)]
struct Slow {
    clock: Clock,
    begun: Arc<AtomicU32>,
    ends: Arc<Mutex<Option<Moment>>>,
}

impl Slow {
    fn is_over(&self) -> bool {
        let ends = *self.ends.lock().unwrap();
        ends.is_some_and(|ends| ends <= self.clock.now())
    }
}

#[async_trait]
impl Object for Slow {
    fn id(&self) -> ObjectId {
        id("slow")
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        Ok(if self.is_over() {
            Observation::Present(Seen::new(Value::Null))
        } else {
            Observation::Absent
        })
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        *self.ends.lock().unwrap() = Some(self.clock.now() + Duration::from_mins(30));
        Ok(Sent::Started(Arc::new(self.clone())))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }

    fn resume(&self, _: &OperationId) -> Option<Arc<dyn Operation>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Operation for Slow {
    fn id(&self) -> OperationId {
        OperationId {
            name: "slow-1".into(),
            token: "slow-1".into(),
        }
    }

    async fn poll(&self) -> Result<Poll, Fault> {
        Ok(if self.is_over() {
            Poll::Succeeded
        } else {
            Poll::Running {
                after: Duration::from_secs(10),
                status: "Running".into(),
            }
        })
    }
}

#[test]
fn a_stop_never_waits_for_a_procedure_and_the_next_run_does_not_begin_it_again() {
    paused(async {
        let world = World::new(1);
        let slow = Slow {
            clock: world.clock.clone(),
            begun: Arc::default(),
            ends: Arc::default(),
        };
        let stop = StopToken::new();
        let mut graph = Graph::new();
        let cluster = graph.principal(Fake::new(&world, "cluster"));
        graph.done(slow.clone(), vec![cluster]);
        let job = Job {
            stop: stop.clone(),
            ..Job::new(graph, mark())
        };
        let engine = engine(&world, CALM);
        let asked = async {
            world.clock.sleep(Duration::from_mins(10)).await;
            stop.stop();
            world.clock.now()
        };
        let (outcome, asked) = tokio::join!(engine.converge(&job), asked);
        assert!(world.clock.now().since(asked) < Duration::from_secs(1));
        check_end(&outcome, &expect!["Asked: fake slow: run (slow-1)"]);
        let job = Job {
            memory: Some(Memory::from_bytes(&outcome.memory.to_bytes()).unwrap()),
            stop: StopToken::new(),
            ..job
        };
        let outcome = engine.converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(slow.begun.load(Ordering::Relaxed), 1);
    });
}

/// Something that rests only half an hour after its deletion was confirmed, and is gone then.
struct Lingering {
    clock: Clock,
    goes: Arc<Mutex<Option<Moment>>>,
}

#[async_trait]
impl Object for Lingering {
    fn id(&self) -> ObjectId {
        id("lingering")
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let goes = *self.goes.lock().unwrap();
        if goes.is_some_and(|goes| goes <= self.clock.now()) {
            return Ok(Observation::Absent);
        }
        Ok(Observation::Present(Seen {
            busy: goes.map(|_| Busy {
                what: "Deleting".into(),
                operation: None,
            }),
            ..Seen::new(Value::Null)
        }))
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        *self.goes.lock().unwrap() = Some(self.clock.now() + Duration::from_mins(30));
        Ok(Sent::Done)
    }
}

/// How the destroy of it ends that waits for `busy` at most, and what time it takes.
async fn destroyed_within(busy: Duration) -> (Outcome, Duration) {
    let clock = Clock::real();
    let mut graph = Graph::new();
    let lingering = graph.principal(Lingering {
        clock: clock.clone(),
        goes: Arc::default(),
    });
    let job = Job {
        memory: Some(Memory {
            objects: [lingering].into(),
            ..remembered("mine")
        }),
        limits: Limits {
            busy,
            ..Limits::default()
        },
        ..Job::new(graph, mark())
    };
    let began = clock.now();
    let outcome = Engine::new(clock.clone()).destroy(&job).await;
    (outcome, clock.now().since(began))
}

#[test]
fn what_still_works_on_its_deletion_is_waited_for_as_for_anything_that_is_busy() {
    paused(async {
        let (outcome, took) = destroyed_within(Duration::from_hours(1)).await;
        check_end(&outcome, &expect!["finished"]);
        assert!(took >= Duration::from_mins(30));
    });
}

#[test]
fn what_is_busy_is_waited_for_no_longer_than_the_limit_says() {
    paused(async {
        let limit = Duration::from_mins(10);
        let (outcome, took) = destroyed_within(limit).await;
        check_end(
            &outcome,
            &expect![[r#"
            TimedOut fake lingering: `Deleting` still runs on it after 10 minutes.
            Wait until it has ended, then apply again."#]],
        );
        assert!(took > limit && took < limit + Duration::from_secs(20));
    });
}

/// Something that shows ten seconds after it was made.
struct Soon {
    clock: Clock,
    shows: Arc<Mutex<Option<Moment>>>,
}

#[async_trait]
impl Object for Soon {
    fn id(&self) -> ObjectId {
        id("soon")
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let shows = *self.shows.lock().unwrap();
        Ok(if shows.is_some_and(|shows| shows <= self.clock.now()) {
            Observation::Present(Seen::new(Value::Null))
        } else {
            Observation::Absent
        })
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        *self.shows.lock().unwrap() = Some(self.clock.now() + Duration::from_secs(10));
        Ok(Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }
}

#[test]
fn an_operation_that_nobody_can_ask_about_any_more_is_not_waited_for() {
    paused(async {
        let clock = Clock::real();
        let shows = Arc::default();
        let mut graph = Graph::new();
        let soon = graph.principal(Soon {
            clock: clock.clone(),
            shows: Arc::clone(&shows),
        });
        let mut memory = remembered("mine");
        memory.unfinished.push(Unfinished {
            object: soon,
            step: "create".into(),
            operation: Some(OperationId {
                name: "op-1".into(),
                token: String::new(),
            }),
        });
        let job = Job {
            memory: Some(memory),
            ..Job::new(graph, mark())
        };
        let began = clock.now();
        let outcome = Engine::new(clock).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let shows = *shows.lock().unwrap();
        assert_eq!(shows, Some(began + Duration::from_secs(10)));
    });
}

#[test]
fn what_runs_on_a_principal_since_this_run_writes_keeps_nobody_waiting() {
    paused(async {
        let world = World::new(1);
        for (name, holder) in [("cluster", "mine"), ("changed", "mine"), ("part", "theirs")] {
            plant(&world, name, &our_tags(holder), &[("size", 1)]);
        }
        let mut graph = Graph::new();
        let lock = Some(LockKey::new("cluster"));
        graph.principal(Fake {
            lock: lock.clone(),
            ..Fake::new(&world, "cluster")
        });
        // It is written for half a minute at least, and nothing else on the cluster meanwhile.
        graph.present(Fake {
            lock,
            ..Fake::new(&world, "changed").want("size", 2)
        });
        graph.present(Soon {
            clock: world.clock.clone(),
            shows: Arc::default(),
        });
        // It is taken back meanwhile, after a look at the cluster.
        graph.present(Fake {
            needs: vec!["soon"],
            ..Fake::new(&world, "part")
        });
        graph.present(Fake {
            needs: vec!["cluster", "changed"],
            ..Fake::new(&world, "last")
        });
        let mut memory = remembered("mine");
        memory.objects.extend([id("changed"), id("part")]);
        let job = Job {
            memory: Some(memory),
            ..Job::new(graph, mark())
        };
        let engine = engine(&world, CALM);
        let cluster = id("cluster");
        let cloud = async {
            // All was looked at, and what is soon there is not there yet.
            world.clock.sleep(Duration::from_secs(10)).await;
            let ends = world.clock.now() + Duration::from_mins(30);
            world.books().start(&cluster, ends, false, false, None);
            let limit = world.clock.now() + Duration::from_hours(1);
            let is_begun = || world.books().creations.iter().any(|it| it == "last");
            while !is_begun() {
                assert!(world.clock.now() < limit, "the last is not begun");
                world.clock.sleep(Duration::from_millis(100)).await;
            }
            world.books().things["cluster"].operation.is_some()
        };
        let (outcome, still_runs) = tokio::join!(engine.converge(&job), cloud);
        check_end(&outcome, &expect!["finished"]);
        assert!(still_runs, "the last waited for the cluster");
        let taken = world.books().things["part"].tags[Mark::HOLDER_KEY].clone();
        assert_eq!(taken, "mine");
    });
}

/// A cluster with one pool, as it was before and as it is wanted now.
fn graph_with(world: &World, pool: &'static str, role: Option<&'static str>) -> Graph {
    let mut graph = Graph::new();
    graph.principal(Fake {
        needs: role.into_iter().collect(),
        ..Fake::new(world, "cluster")
    });
    graph.present(Fake {
        parent: Some("cluster"),
        drained: true,
        ..Fake::new(world, pool)
    });
    if let Some(role) = role {
        graph.present(Fake::new(world, role));
    }
    graph
}

async fn changed(world: &World) -> crate::Outcome {
    let before = graph_with(world, "old", Some("role"));
    let first = Job::new(before.clone(), mark());
    let made = engine(world, CALM).converge(&first).await;
    assert!(made.is_finished());
    let job = Job {
        memory: Some(made.memory),
        before: Some(before),
        ..Job::new(graph_with(world, "new", None), mark())
    };
    let titles: Vec<String> = engine(world, CALM)
        .observe(&job)
        .await
        .unwrap()
        .steps
        .into_iter()
        .map(|it| it.title)
        .collect();
    expect![[r#"
        create fake new
        drain old
        delete fake old
        delete fake role"#]]
    .assert_eq(&titles.join("\n"));
    engine(world, CALM).converge(&job).await
}

#[test]
fn what_was_wanted_before_and_is_no_more_goes_after_what_takes_its_place() {
    paused(async {
        let world = World::new(1);
        let outcome = changed(&world).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.things.keys().collect::<Vec<_>>(), ["cluster", "new"]);
        assert_eq!(books.drained, ["old"]);
        assert!(!outcome.memory.objects.contains(&id("role")));
    });
}

#[test]
fn what_an_adoption_finds_serves_until_what_takes_its_place_is_there() {
    paused(async {
        let world = World::new(1);
        let first = Job::new(graph_with(&world, "old", None), mark());
        assert!(engine(&world, CALM).converge(&first).await.is_finished());
        world.books().written.clear();
        let second = Job::new(graph_with(&world, "new", None), mark());
        let reading = engine(&world, CALM).observe(&second).await.unwrap();
        let titles: Vec<&str> = reading.steps.iter().map(|it| it.title.as_str()).collect();
        expect![[r#"
            adopt fake cluster
            create fake new
            drain old
            delete fake old"#]]
        .assert_eq(&titles.join("\n"));
        let outcome = engine(&world, CALM).converge(&second).await;
        check_end(&outcome, &expect!["finished"]);
        let written = world.books().written.clone();
        assert_eq!(written, ["cluster", "new", "drain old", "old"]);
    });
}

#[test]
fn what_is_wanted_as_it_was_before_is_not_drained() {
    paused(async {
        let world = World::new(1);
        let before = graph_with(&world, "pool", None);
        let first = Job::new(before.clone(), mark());
        let made = engine(&world, CALM).converge(&first).await;
        world.books().written.clear();
        let job = Job {
            memory: Some(made.memory),
            before: Some(before),
            ..Job::new(graph_with(&world, "pool", None), mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(world.books().written, Vec::<String>::new());
    });
}

#[test]
fn what_is_wanted_no_more_goes_although_something_in_another_place_cannot_be_made() {
    paused(async {
        let world = World::new(1);
        let before = graph_with(&world, "old", None);
        let first = Job::new(before.clone(), mark());
        let made = engine(&world, CALM).converge(&first).await;
        let mut graph = graph_with(&world, "new", None);
        graph.present(Fake {
            parent: Some("nowhere"),
            ..Fake::new(&world, "other")
        });
        let job = Job {
            memory: Some(made.memory),
            before: Some(before),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["Refused fake other: no parent"]);
        let left: Vec<_> = world.books().things.keys().cloned().collect();
        assert_eq!(left, ["cluster", "new"]);
    });
}

#[test]
fn what_was_wanted_before_and_is_anothers_now_stays() {
    paused(async {
        let world = World::new(1);
        let before = graph_with(&world, "pool", Some("role"));
        let made = engine(&world, CALM)
            .converge(&Job::new(before.clone(), mark()))
            .await;
        let mut memory = made.memory;
        memory.objects.shift_remove(&id("role"));
        world.books().things.get_mut("role").unwrap().tags.clear();
        let job = Job {
            memory: Some(memory),
            before: Some(before),
            ..Job::new(graph_with(&world, "pool", None), mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert!(world.books().things.contains_key("role"));
    });
}

fn labelled(world: &World, labels: &[&'static str]) -> Graph {
    let mut cluster = Fake::new(world, "cluster");
    for label in labels {
        cluster = cluster.want(label, 42);
    }
    let mut graph = Graph::new();
    graph.principal(cluster);
    graph
}

#[test]
fn labels_that_were_written_once_and_are_wanted_no_more_go_and_others_stay() {
    paused(async {
        let world = World::new(1);
        let engine = engine(&world, CALM);
        let first = Job::new(labelled(&world, &["label-cost", "label-team"]), mark());
        let memory = engine.converge(&first).await.memory;
        world
            .books()
            .things
            .get_mut("cluster")
            .unwrap()
            .fields
            .insert("label-theirs", 7);
        // A default of the whole configuration went: the graph before does not show it any more.
        let job = Job {
            memory: Some(Memory::from_bytes(&memory.to_bytes()).unwrap()),
            before: Some(labelled(&world, &["label-team"])),
            ..Job::new(labelled(&world, &["label-team"]), mark())
        };
        let outcome = engine.converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let fields = world.books().things["cluster"].fields.clone();
        let left: Vec<_> = fields.iter().filter(|(_, value)| **value != 0).collect();
        assert_eq!(left, [(&"label-team", &42), (&"label-theirs", &7)]);
        assert_eq!(outcome.memory.keys[0].keys.len(), 1);
    });
}

#[test]
fn labels_of_the_prior_configuration_go_although_no_memory_lists_them() {
    paused(async {
        let world = World::new(1);
        let engine = engine(&world, CALM);
        let before = labelled(&world, &["label-cost"]);
        let mut memory = engine
            .converge(&Job::new(before.clone(), mark()))
            .await
            .memory;
        memory.keys.clear();
        let job = Job {
            memory: Some(memory),
            before: Some(before),
            ..Job::new(labelled(&world, &[]), mark())
        };
        assert!(engine.converge(&job).await.is_finished());
        assert_eq!(world.books().things["cluster"].fields["label-cost"], 0);
    });
}

/// A cluster that is off in the end, with one pool.
fn graph_off(world: &World, pool: &'static str) -> Graph {
    let mut graph = Graph::new();
    graph.principal(Fake::new(world, "cluster").want(OFF, 1));
    graph.present(Fake {
        parent: Some("cluster"),
        drained: true,
        ..Fake::new(world, pool)
    });
    graph
}

#[test]
fn what_is_switched_off_goes_last() {
    paused(async {
        let world = World::new(1);
        let made_off = Job::new(graph_off(&world, "old"), mark());
        let outcome = engine(&world, CALM).converge(&made_off).await;
        check_end(&outcome, &expect!["finished"]);

        let world = World::new(1);
        let before = graph_with(&world, "old", None);
        let first = Job::new(before.clone(), mark());
        let made = engine(&world, CALM).converge(&first).await;
        let job = Job {
            memory: Some(made.memory),
            before: Some(before),
            ..Job::new(graph_off(&world, "new"), mark())
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        let titles: Vec<&str> = reading.steps.iter().map(|it| it.title.as_str()).collect();
        expect![[r#"
            create fake new
            drain old
            delete fake old
            off 0 -> 1"#]]
        .assert_eq(&titles.join("\n"));
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.things.keys().collect::<Vec<_>>(), ["cluster", "new"]);
    });
}

#[test]
fn a_cluster_that_climbs_two_versions_does_not_wait_for_ever_for_a_pool_that_is_replaced() {
    paused(async {
        for seed in 0..8 {
            let (world, memory) = world_before(seed, Stage::Rotated).await;
            let reached = apply(&world, CALM, Stage::Upgraded, memory, 1).await;
            let reached = reached.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            check_stage(&world, Stage::Upgraded, &reached)
                .await
                .unwrap();
        }
    });
}

/// One run that makes the cluster and switches it off; nothing, if it is killed.
async fn make_off(world: &World, memory: Option<Memory>) -> Option<crate::Outcome> {
    let job = Job {
        memory,
        ..Job::new(graph_off(world, "old"), mark())
    };
    let engine = engine(world, CALM);
    tokio::select! {
        biased;
        () = world.killed.notified() => None,
        outcome = engine.converge(&job) => Some(outcome),
    }
}

#[test]
fn a_create_that_is_killed_while_it_is_switched_off_is_finished_by_the_next_run() {
    for request in 0..24 {
        paused(async {
            let world = World::new(1);
            let kill = Mishap::Kill(Site::AfterEffect);
            world.books().mishaps.insert(request, kill);
            let first = make_off(&world, None).await;
            // What the killed run began goes on.
            world.clock.sleep(Duration::from_hours(1)).await;
            let outcome = match first {
                Some(outcome) => outcome,
                None => make_off(&world, None).await.expect("it is killed once"),
            };
            let left = format!("request {request}: {:?}", outcome.end);
            assert!(outcome.is_finished(), "{left}");
            let held = world.books().things["cluster"].tags[Mark::HOLDER_KEY].clone();
            assert_eq!(outcome.memory.holder, Some(Holder::found(held)), "{left}");
            let again = make_off(&world, Some(outcome.memory)).await;
            let again = again.expect("nobody kills it");
            assert!(again.is_finished(), "{left}");
            let books = world.books();
            assert_eq!(books.creations, ["cluster", "old"], "{left}");
            assert_eq!(books.things["cluster"].fields[OFF], 1, "{left}");
        });
    }
}

#[test]
fn of_two_entries_for_what_is_switched_off_the_first_only_forgets() {
    paused(async {
        let world = World::new(1);
        let first = make_off(&world, None).await.expect("nobody kills it");
        let second = make_off(&world, None).await.expect("nobody kills it");
        check_end(&second, &expect!["finished"]);
        assert_eq!(world.books().things["cluster"].fields[OFF], 1);
        let job = Job {
            memory: Some(first.memory),
            ..Job::new(graph_off(&world, "old"), mark())
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert!(world.books().deletions.is_empty());
    });
}
