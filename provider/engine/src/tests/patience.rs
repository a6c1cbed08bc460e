//! How long a run waits for what the cloud does not take, or does not show, and how it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use expect_test::expect;
use paymesh_clock::Clock;
use serde_json::Value;

use super::{
    object::{Fake, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single},
    scenario::{Stage, engine, job, mark, paused, world_before},
    world::{Books, Mishap, World},
};
use crate::{
    Context, Difference, End, Engine, Fault, FaultKind, Graph, Job, Limits, LockKey, Memory,
    Object, ObjectId, Observation, Seen, Sent, Subject, async_trait,
};

/// How a run fared whose writes the cloud refuses for a time.
struct Fared {
    faults: Vec<Fault>,
    took: Duration,
    /// Writes that the cloud was asked for.
    asked: u32,
}

/// A world with a cluster that an earlier run made.
fn ours() -> World {
    let world = World::new(1);
    let traits = [("size", 1), ("zone", 1)];
    plant(&world, "cluster", &our_tags("mine"), &traits);
    world
}

/// A change of a cluster that the cloud refuses `for_` so long.
async fn refused(kind: FaultKind, for_: Duration) -> Fared {
    let world = ours();
    let began = world.clock.now();
    world.books().refuses = Some((kind, began + for_));
    let job = Job {
        memory: Some(remembered("mine")),
        ..single(&world)
    };
    let outcome = engine(&world, CALM).converge(&job).await;
    let took = world.clock.now().since(began);
    let books = world.books();
    let faults = match outcome.end {
        End::Finished => {
            assert_eq!(books.things["cluster"].fields["size"], 2);
            Vec::new()
        }
        End::Failed(faults) => faults,
        End::Stopped { .. } => panic!("nobody stops it"),
    };
    Fared {
        faults,
        took,
        asked: books.asked,
    }
}

const EVER: Duration = Duration::from_hours(24);
/// More than the requests of one try take, pause and all.
const A_TRY: Duration = Duration::from_secs(20);

#[test]
fn what_is_not_effective_yet_is_waited_for_and_no_longer_than_the_cloud_settles() {
    paused(async {
        let limits = Limits::default();
        let early = limits.settle.checked_sub(A_TRY).unwrap();
        let fared = refused(FaultKind::Propagating, early).await;
        assert!(fared.faults.is_empty(), "{:?}", fared.faults);
        assert!(fared.took >= early);

        let fared = refused(FaultKind::Propagating, EVER).await;
        assert_eq!(fared.faults.len(), 1);
        assert_eq!(fared.faults[0].kind, FaultKind::Propagating);
        assert!(fared.took > limits.settle && fared.took < limits.settle + A_TRY);
    });
}

#[test]
fn a_neighbour_that_is_busy_is_waited_for_and_no_longer_than_the_limit_says() {
    paused(async {
        let limits = Limits::default();
        let early = limits.busy.checked_sub(A_TRY).unwrap();
        let fared = refused(FaultKind::Busy, early).await;
        assert!(fared.faults.is_empty(), "{:?}", fared.faults);
        assert!(fared.took >= early);

        let fared = refused(FaultKind::Busy, EVER).await;
        assert_eq!(fared.faults.len(), 1);
        assert_eq!(fared.faults[0].kind, FaultKind::TimedOut);
        let message = &fared.faults[0].message;
        assert!(
            message.ends_with("It was still so after 60 minutes."),
            "{message}"
        );
        let next = fared.faults[0].next.as_deref();
        assert_eq!(next, Some("Wait until it has ended, then apply again."));
        assert!(fared.took > limits.busy && fared.took < limits.busy + A_TRY);
    });
}

#[test]
fn a_neighbour_that_shows_that_it_is_busy_is_waited_for_by_looking_at_it() {
    const BUSY_FOR: Duration = Duration::from_mins(30);
    paused(async {
        let mut asked = Vec::new();
        for is_busy in [false, true] {
            let (world, memory) = world_before(1, Stage::Changed).await;
            let before = world.books().asked;
            let requests = world.books().requests;
            let began = world.clock.now();
            let job = job(&world, Stage::Changed, memory);
            let meanwhile = async {
                // After everything was looked at once.
                while is_busy && world.books().asked == before {
                    world.clock.sleep(Duration::from_millis(10)).await;
                    let seen = world.books().requests - requests;
                    if seen > u32::try_from(job.graph.nodes().count()).unwrap() {
                        let ends = began + BUSY_FOR;
                        world.books().start(&id("pool-b"), ends, false, false, None);
                        break;
                    }
                }
            };
            let engine = engine(&world, CALM);
            let (outcome, ()) = tokio::join!(engine.converge(&job), meanwhile);
            assert!(outcome.is_finished(), "{:?}", outcome.end);
            assert!(!is_busy || world.clock.now().since(began) >= BUSY_FOR);
            asked.push(world.books().asked - before);
        }
        // Once in two minutes, and not every five seconds: it may wait for something else.
        assert!(asked[1] > asked[0] + 5, "writes: {asked:?}");
        assert!(asked[1] <= asked[0] + 20, "writes: {asked:?}");
    });
}

/// Waits until it is so in the cloud, an hour at most.
async fn until(world: &World, is_so: impl Fn(&Books) -> bool) {
    let limit = world.clock.now() + Duration::from_hours(1);
    while !is_so(&world.books()) {
        let written = world.books().written.clone();
        assert!(world.clock.now() < limit, "{written:?} are written");
        world.clock.sleep(Duration::from_millis(10)).await;
    }
}

fn is_written(books: &Books) -> bool {
    books.written.iter().any(|it| it == "cluster")
}

/// A cluster of ours that is to change, beside another.
fn beside(world: &World, other: Fake) -> Job {
    for name in ["cluster", other.name] {
        plant(world, name, &our_tags("mine"), &[("size", 1)]);
    }
    let mut memory = remembered("mine");
    memory.objects.insert(id(other.name));
    let mut graph = Graph::new();
    graph.present(other);
    graph.principal(Fake {
        lock: Some(LockKey::new("cluster")),
        ..Fake::new(world, "cluster").want("size", 2)
    });
    Job {
        memory: Some(memory),
        ..Job::new(graph, mark())
    }
}

/// What may not be written at a time with the cluster.
fn pool(world: &World) -> Fake {
    Fake {
        lock: Some(LockKey::new("cluster")),
        ..Fake::new(world, "pool")
    }
}

#[test]
fn a_neighbour_that_has_just_become_busy_is_looked_at_when_a_write_is_refused() {
    paused(async {
        let world = World::new(1);
        let job = beside(&world, pool(&world));
        let inside = Some("cluster".into());
        world.books().things.get_mut("pool").unwrap().parent = inside;
        // Both were looked at, and the cluster's children listed: the look before the write.
        let mishap = Mishap::Begin("pool");
        world.books().mishaps.insert(3, mishap);
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let books = world.books();
        assert_eq!(books.fired, [mishap]);
        assert_eq!(books.asked, 2);
    });
}

#[test]
fn a_neighbour_at_rest_keeps_nobody_waiting() {
    paused(async {
        let world = World::new(1);
        let job = beside(&world, pool(&world));
        let began = world.clock.now();
        let ends = began + Duration::from_secs(20);
        world.books().refuses = Some((FaultKind::Busy, ends));
        let cloud = async {
            until(&world, is_written).await;
            world.clock.now().since(began)
        };
        let engine = engine(&world, CALM);
        let (outcome, took) = tokio::join!(engine.converge(&job), cloud);
        assert!(outcome.is_finished(), "{:?}", outcome.end);
        assert!(world.books().asked > 1, "nothing was refused");
        assert!(took < Duration::from_mins(1), "{took:?}");
    });
}

#[test]
fn what_shares_no_lock_is_no_neighbour_to_wait_for() {
    paused(async {
        let world = World::new(1);
        let job = beside(&world, Fake::new(&world, "other"));
        let now = world.clock.now();
        {
            let mut books = world.books();
            let ends = now + Duration::from_mins(30);
            books.start(&id("other"), ends, false, false, None);
            books.refuses = Some((FaultKind::Busy, now + Duration::from_mins(1)));
        }
        let cloud = async {
            until(&world, is_written).await;
            world.clock.now().since(now)
        };
        let engine = engine(&world, CALM);
        let (outcome, took) = tokio::join!(engine.converge(&job), cloud);
        check_end(&outcome, &expect!["finished"]);
        let soon = Duration::from_mins(1) + A_TRY;
        assert!(took < soon, "the cluster waited for it: {took:?}");
    });
}

#[test]
fn what_this_run_writes_itself_is_no_neighbour_to_wait_for() {
    paused(async {
        let world = World::new(1);
        let other = Fake {
            lock: Some(LockKey::new("cluster")),
            frees_lock_early: true,
            ..Fake::new(&world, "other").want("size", 2)
        };
        let job = beside(&world, other);
        let cloud = async {
            // The other is taken, and works for half a minute at least.
            until(&world, |books| books.asked == 1).await;
            let ever = world.clock.now() + EVER;
            world.books().refuses = Some((FaultKind::Busy, ever));
            until(&world, |books| books.asked == 2).await;
            world.books().refuses = None;
            let free = world.clock.now();
            until(&world, is_written).await;
            world.clock.now().since(free)
        };
        let engine = engine(&world, CALM);
        let (outcome, took) = tokio::join!(engine.converge(&job), cloud);
        check_end(&outcome, &expect!["finished"]);
        assert!(took < A_TRY, "the cluster waited for it: {took:?}");
    });
}

#[test]
fn a_race_that_is_always_lost_is_run_as_often_as_the_limit_says() {
    paused(async {
        for kind in [
            FaultKind::LostRace,
            FaultKind::Uncertain,
            FaultKind::Missing,
        ] {
            let fared = refused(kind, EVER).await;
            assert_eq!(fared.faults.len(), 1, "{kind:?}");
            assert_eq!(fared.faults[0].kind, kind);
            assert_eq!(fared.asked, Limits::default().retries + 1, "{kind:?}");
        }
    });
}

#[test]
fn a_refusal_is_not_asked_again() {
    paused(async {
        let fared = refused(FaultKind::Refused, EVER).await;
        assert_eq!(fared.faults.len(), 1);
        assert_eq!((fared.faults[0].kind, fared.asked), (FaultKind::Refused, 1));
    });
}

#[test]
fn what_a_refused_write_leaves_is_not_forgotten_over_one_read_that_shows_nothing() {
    paused(async {
        for destroys in [false, true] {
            let mut looks = 0;
            for request in 0..4 {
                let world = ours();
                world.books().mishaps = [
                    (request, Mishap::Answer(FaultKind::Refused)),
                    (request + 1, Mishap::Answer(FaultKind::Missing)),
                ]
                .into();
                let job = Job {
                    memory: Some(remembered("mine")),
                    ..single(&world)
                };
                let engine = engine(&world, CALM);
                let outcome = if destroys {
                    engine.destroy(&job).await
                } else {
                    engine.converge(&job).await
                };
                let books = world.books();
                let is_there = books.things.contains_key("cluster");
                let is_remembered = outcome.memory.objects.contains(&id("cluster"));
                assert!(is_remembered || !is_there, "request {request}");
                // A read that is refused ends the run: this was the write, and the look after it.
                let is_failed = matches!(outcome.end, End::Failed(_));
                looks += usize::from(is_failed && books.fired.len() == 2);
            }
            assert!(looks > 0);
        }
    });
}

#[test]
fn what_the_cloud_confirms_and_does_not_show_is_looked_for_as_long_as_it_settles() {
    paused(async {
        let settle = Limits::default().settle;
        // The operation itself takes up to five and a half minutes.
        let most = settle + Duration::from_secs(330) + A_TRY;
        for changes in [true, false] {
            let world = ours();
            world.books().stubborn = vec!["size"];
            world.books().undying = true;
            let job = Job {
                memory: Some(remembered("mine")),
                ..single(&world)
            };
            let began = world.clock.now();
            let engine = engine(&world, CALM);
            let outcome = if changes {
                engine.converge(&job).await
            } else {
                engine.destroy(&job).await
            };
            let End::Failed(faults) = outcome.end else {
                panic!("it shows nothing, and it ended well");
            };
            let kind = if changes {
                FaultKind::NotShrinking
            } else {
                FaultKind::TimedOut
            };
            assert_eq!(faults[0].kind, kind);
            let took = world.clock.now().since(began);
            assert!(
                took > settle + Duration::from_secs(30) && took < most,
                "{took:?}"
            );
        }
    });
}

/// Something that is as wanted when it is looked at after a write, and at no other time.
struct Restless {
    is_fresh: AtomicBool,
    written: Arc<AtomicU32>,
}

#[async_trait]
impl Object for Restless {
    fn id(&self) -> ObjectId {
        id("restless")
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let is_fresh = self.is_fresh.swap(false, Ordering::Relaxed);
        Ok(Observation::Present(Seen::new(is_fresh.into())))
    }

    fn differ(&self, _: &Context, seen: &Seen) -> Difference {
        if seen.body == Value::Bool(true) {
            Difference::Same
        } else {
            Difference::change(vec![Subject::Attribute("size".into())])
        }
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.is_fresh.store(true, Ordering::Relaxed);
        Ok(Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }
}

#[test]
fn what_somebody_changes_back_each_time_is_written_as_often_as_there_are_rounds_and_told_of() {
    paused(async {
        let written: Arc<AtomicU32> = Arc::default();
        let mut graph = Graph::new();
        let restless = graph.principal(Restless {
            is_fresh: AtomicBool::new(false),
            written: Arc::clone(&written),
        });
        let job = Job {
            memory: Some(Memory {
                objects: [restless].into(),
                ..remembered("mine")
            }),
            ..Job::new(graph, mark())
        };
        let outcome = Engine::new(Clock::real()).converge(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            NotShrinking fake restless: `update size` is needed again each time it is done: something else changes the object too
            Find what else manages this object, and let one of the two own the attribute."#]],
        );
        let End::Failed(faults) = outcome.end else {
            panic!("it never rests")
        };
        assert_eq!(faults[0].attribute.as_deref(), Some("size"));
        assert_eq!(written.load(Ordering::Relaxed), job.limits.rounds);
    });
}
