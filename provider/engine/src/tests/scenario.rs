//! A platform in four stages (made, changed, rotated, upgraded) and its end, and what must hold
//! whenever a stage is reached.

use std::collections::BTreeMap;

use super::{
    object::{Drain, Fake, id},
    world::World,
};
use crate::{Engine, Graph, Job, LockKey, Mark, Memory, Outcome, StopToken, seeded::SeededBugs};

/// What the configuration wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Made,
    Changed,
    Rotated,
    Upgraded,
    Gone,
}

impl Stage {
    pub(super) const ALL: [Self; 5] = [
        Self::Made,
        Self::Changed,
        Self::Rotated,
        Self::Upgraded,
        Self::Gone,
    ];

    /// The objects that must exist, and nothing else.
    fn inventory(self) -> &'static [&'static str] {
        match self {
            Self::Made | Self::Changed => {
                &["cluster", "group", "identity", "pool-a1", "pool-b", "role"]
            }
            Self::Rotated | Self::Upgraded => {
                &["cluster", "group", "identity", "pool-a2", "pool-b", "role"]
            }
            Self::Gone => &[],
        }
    }

    /// The deletions that the path to this stage asks for.
    fn deletions(self) -> &'static [&'static str] {
        match self {
            Self::Made | Self::Changed => &[],
            Self::Rotated | Self::Upgraded => &["pool-a1"],
            Self::Gone => &[
                "cluster", "group", "identity", "pool-a1", "pool-a2", "pool-b", "role",
            ],
        }
    }
}

pub(super) fn mark() -> Mark {
    Mark::new("payments/test", "main")
}

pub(super) fn graph(world: &World, stage: Stage) -> Graph {
    let version = if stage == Stage::Upgraded { 3 } else { 1 };
    let size = if stage == Stage::Made { 1 } else { 2 };
    let pool = |name| Fake {
        parent: Some("cluster"),
        lock: Some(LockKey::new("cluster")),
        ..Fake::new(world, name)
            .want("version", version)
            .want("size", size)
    };
    let mut graph = Graph::new();
    graph.present(Fake {
        holds: false,
        only_when_empty: true,
        ..Fake::new(world, "group")
    });
    graph.present(Fake {
        parent: Some("group"),
        ..Fake::new(world, "identity")
    });
    let rotated = matches!(stage, Stage::Rotated | Stage::Upgraded | Stage::Gone);
    let current = if rotated { "pool-a2" } else { "pool-a1" };
    graph.principal(Fake {
        parent: Some("group"),
        needs: vec!["identity"],
        lock: Some(LockKey::new("cluster")),
        followers: vec!["pool-a1", "pool-a2", "pool-b"],
        ..Fake::new(world, "cluster")
            .want("version", version)
            .want("tier", size)
            .want("zone", 1)
    });
    graph.present(Fake {
        parent: Some("cluster"),
        needs: vec!["identity"],
        tagged: false,
        holds: false,
        lock: Some(LockKey::new("cluster")),
        ..Fake::new(world, "role")
    });
    graph.present(pool("pool-b"));
    let current = graph.present(pool(current));
    if rotated && stage != Stage::Gone {
        let drained = graph.done(
            Drain {
                world: world.clone(),
                pool: "pool-a1",
            },
            vec![current],
        );
        graph.absent(pool("pool-a1"), vec![drained]);
    }
    graph
}

pub(super) fn job(world: &World, stage: Stage, memory: Option<Memory>) -> Job {
    Job {
        memory,
        ..Job::new(graph(world, stage), mark())
    }
}

pub(super) fn engine(world: &World, bugs: SeededBugs) -> Engine {
    Engine::new(world.clock.clone()).with_bugs(bugs)
}

/// One run of a process: it ends, or is killed and leaves nothing (`None`).
pub(super) async fn run(
    world: &World,
    bugs: SeededBugs,
    stage: Stage,
    memory: Option<Memory>,
) -> Option<Outcome> {
    let stop = StopToken::new();
    let job = Job {
        stop: stop.clone(),
        ..job(world, stage, memory)
    };
    let engine = engine(world, bugs);
    let work = async {
        if stage == Stage::Gone {
            engine.destroy(&job).await
        } else {
            engine.converge(&job).await
        }
    };
    let stopper = async {
        world.stopped.notified().await;
        stop.stop();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = world.killed.notified() => None,
        () = stopper => None,
        outcome = work => Some(outcome),
    }
}

/// Runs `stage` until it is finished, as a user who applies again would, at most `tries` times.
/// The memory is kept as Terraform keeps state: what a killed run learned is lost, and a create
/// that made nothing leaves none.
pub(super) async fn apply(
    world: &World,
    bugs: SeededBugs,
    stage: Stage,
    mut memory: Option<Memory>,
    tries: usize,
) -> Result<Memory, String> {
    let mut last = String::new();
    for _ in 0..tries {
        let Some(outcome) = run(world, bugs, stage, memory.clone()).await else {
            continue;
        };
        if outcome.is_finished() {
            return Ok(outcome.memory);
        }
        last = format!("{:#?}", outcome.end);
        if memory.is_some() || outcome.exists() {
            memory = Some(outcome.memory);
        }
    }
    Err(format!(
        "{stage:?} was not reached in {tries} runs; the last ended with {last}"
    ))
}

/// The books after `stage` was reached: exactly its objects, each made once, nothing else
/// deleted, and nothing differs.
pub(super) async fn check_stage(
    world: &World,
    stage: Stage,
    memory: &Memory,
) -> Result<(), String> {
    {
        let mut books = world.books();
        books.settle(world.clock.now());
        // What was not met by now is not met while checking.
        books.mishaps.clear();
        let inventory: Vec<&str> = books.things.keys().map(String::as_str).collect();
        if inventory != stage.inventory() {
            return Err(format!("{stage:?}: the cloud holds {inventory:?}"));
        }
        let mut made = BTreeMap::new();
        books
            .creations
            .iter()
            .for_each(|name| *made.entry(name.as_str()).or_insert(0) += 1);
        if let Some((name, count)) = made.iter().find(|(_, count)| **count > 1) {
            return Err(format!("{stage:?}: {name} was created {count} times"));
        }
        let harmed = books
            .deletions
            .iter()
            .find(|it| !stage.deletions().contains(&it.as_str()));
        if let Some(name) = harmed {
            return Err(format!("{stage:?}: {name} was deleted"));
        }
        let untold = books
            .things
            .keys()
            .find(|it| !memory.objects.contains(&id(it)));
        if let Some(name) = untold {
            return Err(format!(
                "{stage:?}: {name} is in the cloud and not in memory"
            ));
        }
    }
    if stage == Stage::Gone {
        return Ok(());
    }
    let job = job(world, stage, Some(memory.clone()));
    let reading = engine(world, SeededBugs::default()).observe(&job).await;
    let reading = reading.map_err(|faults| format!("{faults:?}"))?;
    if !reading.steps.is_empty() {
        return Err(format!("{stage:?}: still differs: {:?}", reading.steps));
    }
    Ok(())
}

/// Brings a fresh world without mishaps to just before `stage`.
pub(super) async fn world_before(seed: u64, stage: Stage) -> (World, Option<Memory>) {
    let world = World::new(seed);
    let mut memory = None;
    for earlier in Stage::ALL {
        if earlier == stage {
            break;
        }
        let reached = apply(&world, SeededBugs::default(), earlier, memory, 1)
            .await
            .unwrap();
        check_stage(&world, earlier, &reached).await.unwrap();
        memory = Some(reached);
    }
    (world, memory)
}

/// Runs `test` under paused time.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}
