//! One rule, one test.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use expect_test::{Expect, expect};
use paymesh_clock::Moment;

use super::{
    object::{Fake, id},
    scenario::{Stage, apply, check_stage, engine, graph, job, mark, paused, run, world_before},
    world::{Mishap, Site, Thing, World},
};
use crate::{
    End, Engine, Event, FaultKind, Graph, Holder, Job, Limits, Mark, Memory, NameHeld, Outcome,
    Standing, StopCause, StopToken, seeded::SeededBugs,
};

pub(super) const CALM: SeededBugs = SeededBugs {
    no_adoption: false,
    no_guard: false,
    no_conditional_create: false,
    no_resume: false,
};

/// Puts a thing into the cloud that no run of ours made.
pub(super) fn plant(
    world: &World,
    name: &str,
    tags: &[(&'static str, &str)],
    fields: &[(&'static str, i64)],
) {
    let thing = Thing {
        fields: fields.iter().copied().collect(),
        tags: tags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
        parent: None,
        etag: 0,
        incarnation: 1,
        visible_from: Moment::default(),
        operation: None,
    };
    world.books().things.insert(name.into(), thing);
}

pub(super) fn our_tags(holder: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        (Mark::OWNER_KEY, "payments/test"),
        (Mark::NAME_KEY, "main"),
        (Mark::HOLDER_KEY, holder),
    ]
}

/// A resource of one object.
pub(super) fn single(world: &World) -> Job {
    let mut graph = Graph::new();
    graph.principal(Fake::new(world, "cluster").want("size", 2).want("zone", 1));
    Job {
        import_advice: Some("import { id = \"cluster\" }".into()),
        ..Job::new(graph, mark())
    }
}

fn holder_of(world: &World, name: &str) -> Option<String> {
    world
        .books()
        .things
        .get(name)?
        .tags
        .get(Mark::HOLDER_KEY)
        .cloned()
}

pub(super) fn check_end(outcome: &Outcome, expected: &Expect) {
    let text = match &outcome.end {
        End::Finished => "finished".into(),
        End::Stopped { cause, unfinished } => {
            let left = unfinished.iter().map(|it| {
                let operation = it.operation.as_ref().map(ToString::to_string);
                format!(
                    "{}: {} ({})",
                    it.object,
                    it.step,
                    operation.unwrap_or_default()
                )
            });
            format!("{cause:?}: {}", left.collect::<Vec<_>>().join("; "))
        }
        End::Failed(faults) => faults
            .iter()
            .map(|it| format!("{:?} {}", it.kind, it))
            .collect::<Vec<_>>()
            .join("\n---\n"),
    };
    expected.assert_eq(&text);
}

#[test]
fn what_bears_no_mark_is_never_touched() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &[], &[("size", 1), ("zone", 1)]);
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        check_end(
            &outcome,
            &expect![[r#"
            Foreign fake cluster: it exists already and is not ours: it bears no owner mark. It was not touched.
            import { id = "cluster" }"#]],
        );
        assert!(!outcome.exists());
        assert_eq!(world.books().things["cluster"].fields["size"], 1);
    });
}

#[test]
fn what_bears_anothers_mark_is_never_touched() {
    paused(async {
        let world = World::new(1);
        let tags = [(Mark::OWNER_KEY, "search/prod"), (Mark::NAME_KEY, "main")];
        plant(&world, "cluster", &tags, &[("size", 1), ("zone", 1)]);
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        check_end(
            &outcome,
            &expect![[r#"
            Foreign fake cluster: it exists already and is not ours: it bears the mark of owner search/prod, name main. It was not touched.
            import { id = "cluster" }"#]],
        );
    });
}

#[test]
fn what_bears_our_mark_but_can_never_match_is_not_adopted() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("h0"),
            &[("size", 1), ("zone", 2)],
        );
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        check_end(
            &outcome,
            &expect![[r#"
            MustReplace fake cluster: it exists already and bears our mark, but differs in what can never change: zone: it is fixed at creation. It was not adopted.
            Make the configuration match it, give the new one another name (or remove create_before_destroy), or delete it. import { id = "cluster" }"#]],
        );
        assert!(!outcome.exists());
        assert_eq!(holder_of(&world, "cluster").as_deref(), Some("h0"));
    });
}

#[test]
fn an_adoption_writes_a_fresh_holder_and_repairs() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("h0"),
            &[("size", 1), ("zone", 1)],
        );
        let outcome = engine(&world, CALM).converge(&single(&world)).await;
        assert!(outcome.is_finished());
        let holder = outcome.memory.holder.expect("an adoption keeps its holder");
        assert_eq!(
            holder_of(&world, "cluster").as_deref(),
            Some(holder.as_str())
        );
        assert_eq!(world.books().things["cluster"].fields["size"], 2);
        assert!(world.books().creations.is_empty());
    });
}

pub(super) fn remembered(holder: &str) -> Memory {
    let holder = Some(Holder::found(holder));
    Memory {
        holder,
        objects: [id("cluster")].into(),
        ..Memory::default()
    }
}

#[test]
fn a_stale_entry_updates_nothing() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("theirs"),
            &[("size", 1), ("zone", 1)],
        );
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert_eq!(reading.standing, Standing::Stale);
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            Stale fake cluster: another state entry has taken this object over; this entry (main (payments/test)) is out of date and changes nothing.
            Remove this entry with `terraform state rm`, or give one of the two states another `owner`."#]],
        );
        assert_eq!(world.books().things["cluster"].fields["size"], 1);
    });
}

#[test]
fn a_stale_entrys_destroy_only_forgets() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("theirs"),
            &[("size", 2), ("zone", 1)],
        );
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let outcome = engine(&world, CALM).destroy(&job).await;
        assert!(outcome.is_finished() && !outcome.exists());
        expect![
            "another state entry holds this object now. It was not deleted, only forgotten here."
        ]
        .assert_eq(&outcome.notes[0].message);
        assert!(world.books().deletions.is_empty());
    });
}

#[test]
fn a_destroy_does_not_believe_one_read_that_shows_nothing() {
    paused(async {
        let world = World::new(1);
        let fields = [("size", 2), ("zone", 1)];
        plant(&world, "cluster", &our_tags("mine"), &fields);
        let soon = world.clock.now() + Duration::from_secs(1);
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
        assert!(engine(&world, CALM).destroy(&job).await.is_finished());
        assert!(world.books().things.is_empty());
    });
}

#[test]
fn a_destroy_does_not_believe_one_wrong_answer_whichever_it_is() {
    let destroy = |wrong: Option<u32>| {
        paused(async move {
            let world = World::new(1);
            let fields = [("size", 2), ("zone", 1)];
            plant(&world, "cluster", &our_tags("mine"), &fields);
            let nothing_there = Mishap::Answer(FaultKind::Missing);
            world
                .books()
                .mishaps
                .extend(wrong.map(|it| (it, nothing_there)));
            let job = Job {
                memory: Some(remembered("mine")),
                ..single(&world)
            };
            let outcome = engine(&world, CALM).destroy(&job).await;
            let left: Vec<_> = world.books().things.keys().cloned().collect();
            if outcome.is_finished() {
                assert_eq!(left, Vec::<String>::new(), "with request {wrong:?} wrong");
            }
            world.books().requests
        })
    };
    let calm = destroy(None);
    for wrong in 0..calm {
        destroy(Some(wrong));
    }
}

/// The cluster is gone, and what was made beside it bears another's holder: a replacement was
/// killed between its halves, or another state is about to create.
fn beheaded(world: &World) -> Job {
    plant(world, "identity", &our_tags("theirs"), &[]);
    let mut graph = Graph::new();
    graph.present(Fake::new(world, "identity"));
    graph.principal(Fake::new(world, "cluster"));
    let mut memory = remembered("mine");
    memory.objects.insert(id("identity"));
    Job {
        memory: Some(memory),
        ..Job::new(graph, mark())
    }
}

#[test]
fn what_is_left_beside_a_missing_principal_is_taken_over_by_an_apply() {
    paused(async {
        let world = World::new(1);
        let job = beheaded(&world);
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        for name in ["identity", "cluster"] {
            assert_eq!(holder_of(&world, name).as_deref(), Some("mine"), "{name}");
        }
        assert!(world.books().deletions.is_empty());
    });
}

#[test]
fn what_is_left_beside_a_missing_principal_is_left_by_a_destroy() {
    paused(async {
        let world = World::new(1);
        let outcome = engine(&world, CALM).destroy(&beheaded(&world)).await;
        assert!(outcome.is_finished());
        assert!(world.books().deletions.is_empty());
    });
}

#[test]
fn a_missing_holder_proves_nothing() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &[], &[("size", 1), ("zone", 1)]);
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        assert!(engine(&world, CALM).converge(&job).await.is_finished());
        assert_eq!(world.books().things["cluster"].fields["size"], 2);
        let outcome = engine(&world, CALM).destroy(&job).await;
        assert!(outcome.is_finished());
        assert!(world.books().things.is_empty());
    });
}

#[test]
fn an_import_takes_what_exists_without_writing() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &[], &[("size", 1), ("zone", 1)]);
        let job = Job {
            memory: Some(Memory::default()),
            ..single(&world)
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert!(reading.memory.objects.contains(&id("cluster")));
        let job = Job {
            memory: Some(reading.memory),
            ..single(&world)
        };
        assert!(engine(&world, CALM).converge(&job).await.is_finished());
        assert_eq!(world.books().things["cluster"].fields["size"], 2);
    });
}

#[test]
fn a_second_state_with_one_owner_and_name_makes_the_first_stale_and_deletes_nothing() {
    paused(async {
        let world = World::new(3);
        let first = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let second = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let old = engine(&world, CALM)
            .destroy(&job(&world, Stage::Made, Some(first)))
            .await;
        assert!(old.is_finished());
        check_stage(&world, Stage::Made, &second).await.unwrap();
    });
}

#[test]
fn a_name_that_frees_itself_is_waited_for() {
    paused(async {
        let world = World::new(1);
        let held = |frees_in| NameHeld {
            why: "a deleted cluster holds the name.".into(),
            frees_in,
            next: "Purge it with `cloud purge cluster`.".into(),
        };
        let job = |frees_in| {
            let mut graph = Graph::new();
            let name_held = Some(held(frees_in));
            graph.principal(Fake {
                name_held,
                ..Fake::new(&world, "cluster")
            });
            Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).converge(&job(None)).await;
        check_end(
            &outcome,
            &expect![[r#"
            NameHeld fake cluster: a deleted cluster holds the name.
            Purge it with `cloud purge cluster`."#]],
        );
        let began = world.clock.now();
        let frees_in = Duration::from_mins(7);
        let outcome = engine(&world, CALM).converge(&job(Some(frees_in))).await;
        check_end(
            &outcome,
            &expect![[r#"
            NameHeld fake cluster: a deleted cluster holds the name.
            Purge it with `cloud purge cluster`."#]],
        );
        let (took, limit) = (world.clock.now().since(began), Limits::default().busy);
        assert!(took > limit && took < limit + 2 * frees_in, "{took:?}");
    });
}

#[test]
fn a_write_that_changes_nothing_names_its_attribute_and_is_not_repeated() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("mine"),
            &[("size", 1), ("zone", 1)],
        );
        world.books().stubborn.push("size");
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let began = world.clock.now();
        let outcome = engine(&world, CALM).converge(&job).await;
        assert!(world.clock.now().since(began) > job.limits.settle);
        check_end(
            &outcome,
            &expect![[r#"
            NotShrinking fake cluster: the cloud accepted the change of size, but shows no change. It was not sent again.
            Set the attribute to the value that the cloud shows, or remove it."#]],
        );
        let End::Failed(faults) = outcome.end else {
            panic!("it cannot finish")
        };
        assert_eq!(faults[0].attribute.as_deref(), Some("size"));
        assert_eq!(world.books().things["cluster"].etag, 1, "one write");
    });
}

#[test]
fn a_given_object_must_exist_and_is_never_deleted() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        graph.given(Fake::new(&world, "group"));
        graph.principal(Fake {
            parent: Some("group"),
            ..Fake::new(&world, "cluster")
        });
        let job = Job::new(graph, mark());
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            NeedMissing fake group: it does not exist.
            Create it first, correct its name, or leave the name out."#]],
        );
        plant(&world, "group", &[], &[]);
        let outcome = engine(&world, CALM).converge(&job).await;
        assert!(outcome.is_finished());
        let job = Job {
            memory: Some(outcome.memory),
            ..job
        };
        assert!(engine(&world, CALM).destroy(&job).await.is_finished());
        assert_eq!(world.books().things.keys().collect::<Vec<_>>(), ["group"]);
    });
}

#[test]
fn a_group_that_is_not_empty_stays_with_a_note() {
    paused(async {
        let (world, memory) = world_before(5, Stage::Gone).await;
        plant(&world, "someone-elses", &[], &[]);
        world
            .books()
            .things
            .get_mut("someone-elses")
            .unwrap()
            .parent = Some("group".into());
        let outcome = engine(&world, CALM)
            .destroy(&job(&world, Stage::Gone, memory))
            .await;
        check_end(&outcome, &expect!["finished"]);
        expect!["it is not empty: left in place."].assert_eq(&outcome.notes[0].message);
        assert!(!outcome.exists());
    });
}

#[test]
fn an_unwanted_child_with_our_mark_goes_and_others_are_reported() {
    paused(async {
        let world = World::new(9);
        let memory = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        plant(&world, "pool-old", &our_tags("h9"), &[]);
        plant(
            &world,
            "pool-other",
            &[(Mark::OWNER_KEY, "x"), (Mark::NAME_KEY, "y")],
            &[],
        );
        plant(&world, "role-other", &[], &[]);
        for name in ["pool-old", "pool-other", "role-other"] {
            world.books().things.get_mut(name).unwrap().parent = Some("cluster".into());
        }
        let outcome = run(&world, CALM, Stage::Made, Some(memory)).await.unwrap();
        assert!(outcome.is_finished());
        assert_eq!(world.books().deletions, ["pool-old"]);
        let notes: Vec<String> = outcome
            .notes
            .iter()
            .map(|it| format!("{}: {}", it.object, it.message))
            .collect();
        expect![[r#"
            fake pool-other: it is not in the configuration and was left alone: it bears the mark of owner x, name y.
            fake role-other: it is not in the configuration and was left alone: nothing says who made it."#]].assert_eq(&notes.join("\n"));
    });
}

#[test]
fn a_pool_deleted_behind_our_back_is_planned_and_returns() {
    paused(async {
        let world = World::new(9);
        let memory = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        world.books().things.remove("pool-b");
        let job = job(&world, Stage::Made, Some(memory));
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        let steps: Vec<&str> = reading.steps.iter().map(|it| it.title.as_str()).collect();
        assert_eq!(steps, ["create fake pool-b"]);
        assert!(!reading.memory.objects.contains(&id("pool-b")));
        assert!(engine(&world, CALM).converge(&job).await.is_finished());
        assert!(world.books().things.contains_key("pool-b"));
    });
}

#[test]
fn a_plan_lists_disruptive_steps_in_order() {
    paused(async {
        let (world, memory) = world_before(5, Stage::Rotated).await;
        let titles = |stage| {
            let job = job(&world, stage, memory.clone());
            let engine = engine(&world, CALM);
            async move {
                let steps = engine.observe(&job).await.unwrap().steps;
                steps
                    .into_iter()
                    .map(|it| it.title)
                    .collect::<Vec<_>>()
                    .join("\n")
            }
        };
        expect![[r#"
            create fake pool-a2
            drain pool-a1
            delete fake pool-a1"#]]
        .assert_eq(&titles(Stage::Rotated).await);
        let reached = apply(&world, CALM, Stage::Rotated, memory.clone(), 1)
            .await
            .unwrap();
        let upgrade = job(&world, Stage::Upgraded, Some(reached));
        let steps = engine(&world, CALM).observe(&upgrade).await.unwrap().steps;
        let steps: Vec<String> = steps.into_iter().map(|it| it.title).collect();
        expect![[r#"
            cluster version 1 -> 2
            pool-b version 1 -> 2
            pool-a2 version 1 -> 2
            cluster version 2 -> 3
            pool-b version 2 -> 3
            pool-a2 version 2 -> 3"#]]
        .assert_eq(&steps.join("\n"));
    });
}

#[test]
fn an_operation_that_the_cloud_runs_by_itself_is_no_difference() {
    paused(async {
        let world = World::new(9);
        let memory = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let etag = world.books().things["cluster"].etag;
        let tags = world.books().things["cluster"].tags.clone();
        world
            .update(&id("cluster"), etag, BTreeMap::new(), tags)
            .await
            .unwrap();
        let read = |stage| {
            let (job, engine) = (
                job(&world, stage, Some(memory.clone())),
                engine(&world, CALM),
            );
            async move { engine.observe(&job).await.unwrap().steps.len() }
        };
        assert!(world.books().things["cluster"].operation.is_some());
        assert_eq!(read(Stage::Made).await, 0);
        assert_eq!(
            read(Stage::Changed).await,
            3,
            "the cluster's tier and two pools' size"
        );
    });
}

#[test]
fn a_stop_names_what_is_left_and_what_runs() {
    paused(async {
        let world = World::new(1);
        let stop = StopToken::new();
        let job = Job {
            stop: stop.clone(),
            ..single(&world)
        };
        let engine = engine(&world, CALM);
        let asked = async {
            world.clock.sleep(Duration::from_secs(20)).await;
            stop.stop();
            let asked_at = world.clock.now();
            std::future::pending::<()>().await;
            asked_at
        };
        let outcome = tokio::select! {
            outcome = engine.converge(&job) => outcome,
            _ = asked => unreachable!("it never ends"),
        };
        assert!(world.clock.now().since(Moment::default()) < Duration::from_secs(24));
        check_end(&outcome, &expect!["Asked: fake cluster: create (op-2)"]);
        assert!(outcome.exists());
    });
}

#[test]
fn what_was_accepted_and_is_not_shown_yet_is_remembered() {
    paused(async {
        let world = World::new(1);
        world.books().lag = Duration::from_mins(10);
        let stop = StopToken::new();
        let job = Job {
            stop: stop.clone(),
            ..single(&world)
        };
        let asked = async {
            world.clock.sleep(Duration::from_mins(2)).await;
            stop.stop();
            std::future::pending::<()>().await;
        };
        let engine = engine(&world, CALM);
        let outcome = tokio::select! {
            outcome = engine.converge(&job) => outcome,
            () = asked => unreachable!("it never ends"),
        };
        assert_eq!(world.books().creations, ["cluster"]);
        assert!(outcome.exists(), "{:?}", outcome.memory);
    });
}

#[test]
fn a_timeout_names_the_operation_and_the_next_run_goes_on() {
    paused(async {
        let world = World::new(1);
        let limits = Limits {
            total: Duration::from_secs(25),
            ..Limits::default()
        };
        let job = Job {
            limits,
            ..single(&world)
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        assert!(
            matches!(&outcome.end, End::Stopped { cause: StopCause::TimedOut, unfinished } if unfinished[0].operation.is_some())
        );
        let job = Job {
            memory: Some(outcome.memory),
            ..single(&world)
        };
        assert!(engine(&world, CALM).converge(&job).await.is_finished());
        assert_eq!(world.books().creations, ["cluster"]);
    });
}

#[test]
fn failures_side_by_side_are_all_reported_and_the_rest_goes_on() {
    paused(async {
        let world = World::new(1);
        let mut graph = Graph::new();
        for name in ["a", "b", "c"] {
            let parent = (name != "c").then_some("nowhere");
            graph.present(Fake {
                parent,
                ..Fake::new(&world, name)
            });
        }
        let outcome = engine(&world, CALM)
            .converge(&Job::new(graph, mark()))
            .await;
        check_end(
            &outcome,
            &expect![[r#"
            Refused fake a: no parent
            ---
            Refused fake b: no parent"#]],
        );
        assert!(outcome.memory.objects.contains(&id("c")));
    });
}

/// An engine, and what it tells; what it tells again and again is told once.
pub(super) fn telling(world: &World) -> (Engine, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = told.clone();
    let tell = move |event: &Event| {
        let mut told = tell.lock().unwrap();
        told.push(format!(
            "{} {} {:?}",
            event.object, event.step, event.happening
        ));
        told.dedup();
    };
    let engine = Engine::new(world.clock.clone()).reporting_to(Arc::new(tell));
    (engine, told)
}

#[test]
fn progress_is_told_step_by_step() {
    paused(async {
        let world = World::new(1);
        let (engine, told) = telling(&world);
        assert!(engine.converge(&single(&world)).await.is_finished());
        expect![[r#"
            fake cluster create Started
            fake cluster create Polled("Running")
            fake cluster create Finished"#]]
        .assert_eq(&told.lock().unwrap().join("\n"));
    });
}

#[test]
fn a_destroy_waits_for_what_runs_before_it_asks_for_a_deletion() {
    paused(async {
        let world = World::new(1);
        let fields = [("size", 2), ("zone", 1)];
        plant(&world, "cluster", &our_tags("mine"), &fields);
        let now = world.clock.now();
        world.books().start(&id("cluster"), now, false, false, None);
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let (engine, told) = telling(&world);
        assert!(engine.destroy(&job).await.is_finished());
        expect![[r#"
            fake cluster wait for Updating Started
            fake cluster wait for Updating Polled("Running")
            fake cluster wait for Updating Finished
            fake cluster delete Started
            fake cluster delete Polled("Running")
            fake cluster delete Finished"#]]
        .assert_eq(&told.lock().unwrap().join("\n"));
    });
}

#[test]
fn a_destroy_asks_for_no_deletion_of_what_goes_with_its_cluster() {
    paused(async {
        let (world, memory) = world_before(1, Stage::Gone).await;
        world.books().written.clear();
        let outcome = run(&world, CALM, Stage::Gone, memory).await;
        check_end(&outcome.expect("nobody kills it"), &expect!["finished"]);
        assert_eq!(world.books().written, ["cluster", "identity", "group"]);
    });
}

#[test]
fn nothing_to_do_reads_each_object_once() {
    paused(async {
        let world = World::new(9);
        let memory = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let before = world.books().requests;
        engine(&world, CALM)
            .observe(&job(&world, Stage::Made, Some(memory)))
            .await
            .unwrap();
        let objects = graph(&world, Stage::Made).nodes().count();
        // And one listing of the cluster's children.
        assert_eq!(
            world.books().requests - before,
            u32::try_from(objects).unwrap() + 1
        );
    });
}

#[test]
fn a_restless_object_ends_in_a_fault_that_names_what_runs() {
    paused(async {
        let world = World::new(1);
        let persistent: BTreeMap<u32, Mishap> = (1..10_000)
            .step_by(2)
            .map(|n| (n, Mishap::Answer(FaultKind::Busy)))
            .collect();
        world.books().mishaps = persistent;
        let limits = Limits {
            busy: Duration::from_mins(10),
            ..Limits::default()
        };
        let job = Job {
            limits,
            ..single(&world)
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        let End::Failed(faults) = outcome.end else {
            panic!("it cannot finish")
        };
        assert!(
            matches!(faults[0].kind, FaultKind::TimedOut | FaultKind::Busy),
            "{faults:?}"
        );
    });
}

#[test]
fn a_kill_between_both_halves_of_create_before_destroy_deletes_nothing_healthy() {
    for request in (0..120).step_by(3) {
        paused(async {
            let world = World::new(11);
            let old = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
            let at = world.books().requests + request;
            world
                .books()
                .mishaps
                .insert(at, Mishap::Kill(Site::AfterEffect));
            // The first half creates under the same name and finds the healthy object; it may
            // be killed. Then the deposed one is destroyed, then the configuration is applied.
            let new = run(&world, CALM, Stage::Made, None)
                .await
                .map(|it| it.memory);
            world.books().mishaps.clear();
            let memory = match new {
                Some(new) => {
                    let job = job(&world, Stage::Made, Some(old));
                    assert!(engine(&world, CALM).destroy(&job).await.is_finished());
                    apply(&world, CALM, Stage::Made, Some(new), 2)
                        .await
                        .unwrap()
                }
                None => apply(&world, CALM, Stage::Made, None, 2).await.unwrap(),
            };
            check_stage(&world, Stage::Made, &memory).await.unwrap();
        });
    }
}
