//! An import writes nothing; its first write takes the object over.

use expect_test::expect;

use super::{
    object::{Fake, OFF, id},
    rules::{CALM, check_end, our_tags, plant, remembered, single, telling},
    scenario::{engine, mark, paused},
    world::World,
};
use crate::{Graph, Holder, Imported, Job, Mark, Memory, Standing};

/// What an entry remembers that has just imported the cluster.
async fn imported(world: &World) -> Memory {
    let job = Job {
        memory: Some(Memory::default()),
        ..single(world)
    };
    let reading = engine(world, CALM).observe(&job).await.unwrap();
    assert!(reading.memory.objects.contains(&id("cluster")));
    assert_eq!(reading.steps, []);
    reading.memory
}

fn with(world: &World, memory: &Memory) -> Job {
    Job {
        memory: Some(memory.clone()),
        ..single(world)
    }
}

fn holder_of(world: &World) -> Option<Holder> {
    let books = world.books();
    let holder = books.things["cluster"].tags.get(Mark::HOLDER_KEY).cloned();
    holder.map(Holder::found)
}

/// Of two entries that imported the cluster with these tags, the first to write has it.
fn check_the_first_to_write_has_it(tags: &[(&'static str, &'static str)]) {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", tags, &[("size", 1), ("zone", 1)]);
        let before = holder_of(&world);
        let (first, second) = (imported(&world).await, imported(&world).await);
        assert_eq!(holder_of(&world), before, "an import writes nothing");

        let outcome = engine(&world, CALM).converge(&with(&world, &second)).await;
        assert!(outcome.is_finished(), "{:?}", outcome.end);
        assert_eq!(holder_of(&world), second.holder);
        assert_eq!(outcome.memory.imported, None);
        assert_eq!(world.books().things["cluster"].fields["size"], 2);

        let job = with(&world, &first);
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert_eq!(reading.standing, Standing::Stale);
        assert!(!engine(&world, CALM).converge(&job).await.is_finished());
        let outcome = engine(&world, CALM).destroy(&job).await;
        assert!(outcome.is_finished() && !outcome.exists());
        assert!(world.books().deletions.is_empty());
    });
}

#[test]
fn of_two_entries_that_import_what_nobody_marked_the_first_to_write_has_it() {
    check_the_first_to_write_has_it(&[]);
}

#[test]
fn of_two_entries_that_import_what_an_older_entry_holds_the_first_to_write_has_it() {
    check_the_first_to_write_has_it(&our_tags("older"));
}

#[test]
fn of_two_entries_that_import_what_bears_anothers_mark_the_first_to_write_has_it() {
    check_the_first_to_write_has_it(&[
        (Mark::OWNER_KEY, "search/prod"),
        (Mark::NAME_KEY, "main"),
        (Mark::HOLDER_KEY, "theirs"),
    ]);
}

#[test]
fn an_import_with_nothing_to_do_plans_nothing_ever_after() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &[], &[("size", 2), ("zone", 1)]);
        let first = imported(&world).await;
        let reading = engine(&world, CALM).observe(&with(&world, &first)).await;
        let reading = reading.unwrap();
        assert_eq!(reading.steps, []);
        assert_eq!(reading.memory, first);
    });
}

#[test]
fn a_destroy_right_after_an_import_takes_the_object_over_and_deletes_it() {
    for tags in [&[][..], &our_tags("older")] {
        paused(async {
            let world = World::new(1);
            plant(&world, "cluster", tags, &[("size", 2), ("zone", 1)]);
            let first = imported(&world).await;
            let second = imported(&world).await;
            let outcome = engine(&world, CALM).destroy(&with(&world, &first)).await;
            assert!(outcome.is_finished(), "{:?}", outcome.end);
            assert!(world.books().things.is_empty());
            assert_eq!(world.books().holders, [first.holder.clone().unwrap()]);
            let job = with(&world, &second);
            let reading = engine(&world, CALM).observe(&job).await.unwrap();
            assert_eq!(reading.standing, Standing::Gone);
        });
    }
}

#[test]
fn what_an_import_found_is_its_own_until_another_takes_it() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("older"), &[("zone", 1)]);
        let memory = imported(&world).await;
        let found = Some(Imported {
            holder: Some(Holder::found("older")),
        });
        assert_eq!(memory.imported, found);
        let reading = engine(&world, CALM).observe(&with(&world, &memory)).await;
        assert_eq!(reading.unwrap().standing, Standing::Current);
    });
}

fn plant_what_is_off_and_theirs(world: &World) {
    let theirs = [
        (Mark::OWNER_KEY, "search/prod"),
        (Mark::HOLDER_KEY, "theirs"),
    ];
    let fields = [("size", 2), ("zone", 1), (OFF, 1)];
    plant(world, "cluster", &theirs, &fields);
}

#[test]
fn what_is_switched_off_and_somebody_elses_stays_theirs_after_an_import() {
    paused(async {
        let world = World::new(1);
        plant_what_is_off_and_theirs(&world);
        let memory = imported(&world).await;
        let job = with(&world, &memory);
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(
            &outcome,
            &expect![[r#"
            Foreign fake cluster: it was imported and bears the mark of owner search/prod, name (none); as long as it is stopped it takes no other. Nothing was changed.
            Start it in the same change, and it is taken over; or take it out of this state."#]],
        );
        let outcome = engine(&world, CALM).destroy(&job).await;
        assert!(outcome.is_finished() && !outcome.exists());
        assert!(world.books().written.is_empty() && world.books().deletions.is_empty());
    });
}

#[test]
fn what_is_started_in_the_same_change_is_taken_over() {
    paused(async {
        let world = World::new(1);
        plant_what_is_off_and_theirs(&world);
        let memory = imported(&world).await;
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster").want("size", 2).want(OFF, 0));
        let job = Job {
            memory: Some(memory.clone()),
            ..Job::new(graph, mark())
        };
        let outcome = engine(&world, CALM).converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        assert_eq!(holder_of(&world), memory.holder);
        assert_eq!(world.books().things["cluster"].fields[OFF], 0);
    });
}

#[test]
fn an_entry_keeps_what_is_its_own_whatever_mark_somebody_writes_there() {
    paused(async {
        let world = World::new(1);
        let tags = [
            (Mark::OWNER_KEY, "search/prod"),
            (Mark::NAME_KEY, "main"),
            (Mark::HOLDER_KEY, "mine"),
        ];
        plant(&world, "cluster", &tags, &[("size", 2), ("zone", 1)]);
        let outcome = engine(&world, CALM)
            .converge(&with(&world, &remembered("mine")))
            .await;
        check_end(&outcome, &expect!["finished"]);
        assert!(outcome.exists());
    });
}

#[test]
fn what_an_import_found_beside_the_principal_is_taken_over_after_it() {
    paused(async {
        let world = World::new(1);
        for name in ["identity", "cluster"] {
            plant(&world, name, &[], &[]);
        }
        let mut graph = Graph::new();
        graph.present(Fake::new(&world, "identity"));
        graph.principal(Fake::new(&world, "cluster"));
        let job = Job {
            memory: Some(Memory::default()),
            ..Job::new(graph, mark())
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        let job = Job {
            memory: Some(reading.memory),
            ..job
        };
        let (engine, told) = telling(&world);
        let outcome = engine.converge(&job).await;
        check_end(&outcome, &expect!["finished"]);
        let told = told.lock().unwrap();
        let place = |line: &str| {
            let place = told.iter().position(|it| it == line);
            place.unwrap_or_else(|| panic!("{line} is not told: {told:#?}"))
        };
        let taken = place("fake cluster adopt Finished");
        assert!(taken < place("fake identity adopt Started"), "{told:#?}");
    });
}
