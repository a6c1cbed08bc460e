//! What reading tells a plan.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::{Fake, id},
    rules::{CALM, our_tags, plant, remembered, single},
    scenario::{Stage, apply, engine, job, mark, paused, run, world_before},
    world::{Mishap, Site, World},
};
use crate::{FaultKind, Graph, Job, Limits, Memory, OperationId, StopToken, Unfinished};

#[test]
fn a_plan_shows_what_an_apply_would_refuse() {
    paused(async {
        let world = World::new(1);
        plant(
            &world,
            "cluster",
            &our_tags("mine"),
            &[("size", 2), ("zone", 2)],
        );
        let job = Job {
            memory: Some(remembered("mine")),
            ..single(&world)
        };
        let reading = engine(&world, CALM).observe(&job).await.unwrap();
        assert!(reading.steps.is_empty());
        let refusals: Vec<String> = reading
            .refusals
            .iter()
            .map(|it| format!("{:?} {it} [{:?}]", it.kind, it.attribute))
            .collect();
        expect![[r#"
            MustReplace fake cluster: it differs in what can never change: zone: it is fixed at creation.
            Undo the change; or let Terraform destroy it and create it anew: terraform apply -replace=ADDRESS. To destroy it as it is: terraform destroy -refresh=false. [Some("zone")]"#]]
        .assert_eq(&refusals.join("\n"));
    });
}

#[test]
fn what_exists_is_read_side_by_side() {
    paused(async {
        let world = World::new(9);
        let memory = apply(&world, CALM, Stage::Made, None, 1).await.unwrap();
        let began = world.clock.now();
        engine(&world, CALM)
            .observe(&job(&world, Stage::Made, Some(memory)))
            .await
            .unwrap();
        // One round of reads and one listing, each of at most 3,020 ms.
        let took = world.clock.now().since(began);
        assert!(took < Duration::from_millis(6050), "{took:?}");
    });
}

#[test]
fn a_region_that_does_not_answer_is_told_with_the_way_out() {
    paused(async {
        let world = World::new(1);
        world
            .books()
            .mishaps
            .insert(0, Mishap::Answer(FaultKind::Unavailable));
        let faults = engine(&world, CALM)
            .observe(&single(&world))
            .await
            .unwrap_err();
        expect![[r#"
            fake cluster: injected
            Nothing was changed. Wait until the cloud answers again (its status page says more); meanwhile `terraform plan -refresh=false` works from the state, and `terraform destroy -refresh=false` destroys without reading first."#]].assert_eq(&faults[0].to_string());
    });
}

#[test]
fn a_stop_does_not_wait_for_a_read_that_hangs() {
    paused(async {
        let world = World::new(1);
        let job = Job {
            stop: StopToken::new(),
            ..single(&world)
        };
        world
            .books()
            .mishaps
            .insert(0, Mishap::Kill(Site::BeforeReceipt));
        let began = world.clock.now();
        let asked = async {
            world.clock.sleep(Duration::from_secs(30)).await;
            job.stop.stop();
        };
        let engine = engine(&world, CALM);
        let (read, ()) = tokio::join!(engine.observe(&job), asked);
        assert!(world.clock.now().since(began) < Duration::from_secs(31));
        let faults = read.unwrap_err();
        assert_eq!(
            faults[0].message,
            "reading it was interrupted before the cloud had answered."
        );
    });
}

#[test]
fn a_read_that_hangs_ends_at_its_limit_and_tells_it() {
    paused(async {
        let world = World::new(1);
        let job = Job {
            limits: Limits {
                total: Duration::from_mins(20),
                ..Limits::default()
            },
            ..single(&world)
        };
        let hangs = Mishap::Kill(Site::BeforeReceipt);
        world.books().mishaps.insert(0, hangs);
        let read = engine(&world, CALM).observe(&job).await;
        let faults = read.unwrap_err();
        assert_eq!(
            faults[0].message,
            "the cloud has not told all about it within 20 minutes."
        );
    });
}

/// The steps that a plan prints, a line each; `!` marks those that disrupt.
async fn steps(world: &World, stage: Stage, memory: Option<Memory>) -> String {
    foreseen(world, &job(world, stage, memory)).await
}

/// The same for any job.
async fn foreseen(world: &World, job: &Job) -> String {
    let reading = engine(world, CALM).observe(job).await.unwrap();
    let lines = reading.steps.iter().map(|step| {
        let mark = if step.disruptive { '!' } else { '-' };
        format!("{mark} {}: {}\n", step.object.name, step.title)
    });
    lines.collect()
}

#[test]
fn each_stage_is_foreseen_step_by_step() {
    paused(async {
        let mut foreseen = Vec::new();
        for stage in [Stage::Made, Stage::Changed, Stage::Rotated, Stage::Upgraded] {
            let (world, memory) = world_before(1, stage).await;
            let steps = steps(&world, stage, memory).await;
            foreseen.push(format!("{stage:?}\n{steps}"));
        }
        expect![[r#"
            Made
            - group: create fake group
            - identity: create fake identity
            - cluster: create fake cluster
            - role: create fake role
            - pool-b: create fake pool-b
            - pool-a1: create fake pool-a1
            Changed
            - cluster: tier 1 -> 2
            - pool-b: size 1 -> 2
            - pool-a1: size 1 -> 2
            Rotated
            - pool-a2: create fake pool-a2
            ! pool-a1: drain pool-a1
            ! pool-a1: delete fake pool-a1
            Upgraded
            ! cluster: cluster version 1 -> 2
            ! pool-b: pool-b version 1 -> 2
            ! pool-a2: pool-a2 version 1 -> 2
            ! cluster: cluster version 2 -> 3
            ! pool-b: pool-b version 2 -> 3
            ! pool-a2: pool-a2 version 2 -> 3
        "#]]
        .assert_eq(&foreseen.concat());
    });
}

#[test]
fn a_plan_after_an_interrupt_shows_what_still_runs_and_what_is_left() {
    paused(async {
        let mut foreseen = Vec::new();
        for stage in [Stage::Made, Stage::Rotated, Stage::Upgraded] {
            for request in [12, 16, 20] {
                let (world, memory) = world_before(1, stage).await;
                let begun = world.books().requests;
                let stop = (begun + request, Mishap::Stop);
                world.books().mishaps.extend([stop]);
                let outcome = run(&world, CALM, stage, memory).await.unwrap();
                assert!(!outcome.is_finished(), "{stage:?} took {request} requests");
                let steps = steps(&world, stage, Some(outcome.memory)).await;
                foreseen.push(format!("{stage:?}, stopped at request {request}\n{steps}"));
            }
        }
        expect![[r#"
            Made, stopped at request 12
            - group: wait for Updating on fake group
            - identity: create fake identity
            - cluster: create fake cluster
            - role: create fake role
            - pool-b: create fake pool-b
            - pool-a1: create fake pool-a1
            Made, stopped at request 16
            - group: wait for Updating on fake group
            - identity: create fake identity
            - cluster: create fake cluster
            - role: create fake role
            - pool-b: create fake pool-b
            - pool-a1: create fake pool-a1
            Made, stopped at request 20
            - group: wait for Updating on fake group
            - identity: create fake identity
            - cluster: create fake cluster
            - role: create fake role
            - pool-b: create fake pool-b
            - pool-a1: create fake pool-a1
            Rotated, stopped at request 12
            - pool-a2: wait for Updating on fake pool-a2
            ! pool-a1: drain pool-a1
            ! pool-a1: delete fake pool-a1
            Rotated, stopped at request 16
            ! pool-a1: drain pool-a1
            ! pool-a1: delete fake pool-a1
            Rotated, stopped at request 20
            ! pool-a1: delete fake pool-a1
            Upgraded, stopped at request 12
            - cluster: wait for Updating on fake cluster
            ! pool-b: pool-b version 1 -> 2
            ! pool-a2: pool-a2 version 1 -> 2
            ! cluster: cluster version 2 -> 3
            ! pool-b: pool-b version 2 -> 3
            ! pool-a2: pool-a2 version 2 -> 3
            Upgraded, stopped at request 16
            - cluster: wait for Updating on fake cluster
            ! pool-b: pool-b version 1 -> 2
            ! pool-a2: pool-a2 version 1 -> 2
            ! cluster: cluster version 2 -> 3
            ! pool-b: pool-b version 2 -> 3
            ! pool-a2: pool-a2 version 2 -> 3
            Upgraded, stopped at request 20
            - cluster: wait for Updating on fake cluster
            ! pool-b: pool-b version 1 -> 2
            ! pool-a2: pool-a2 version 1 -> 2
            ! cluster: cluster version 2 -> 3
            ! pool-b: pool-b version 2 -> 3
            ! pool-a2: pool-a2 version 2 -> 3
        "#]]
        .assert_eq(&foreseen.concat());
    });
}

#[test]
fn a_plan_shows_what_differs_beneath_somebody_elses_operation() {
    paused(async {
        let (world, memory) = world_before(1, Stage::Changed).await;
        let now = world.clock.now();
        world.books().start(&id("cluster"), now, false, false, None);
        let foreseen = steps(&world, Stage::Changed, memory).await;
        expect![[r#"
            - cluster: tier 1 -> 2
            - pool-b: size 1 -> 2
            - pool-a1: size 1 -> 2
        "#]]
        .assert_eq(&foreseen);
    });
}

#[test]
fn a_quiet_change_is_foreseen_and_so_is_what_another_lets_follow_it() {
    paused(async {
        let world = World::new(1);
        for (name, version) in [("cluster", 2), ("pool", 2), ("part", 1)] {
            let fields = [("size", 1), ("version", version)];
            plant(&world, name, &our_tags("mine"), &fields);
        }
        let mut graph = Graph::new();
        // It waits for the part, and the part for the pool, whose next version waits for it.
        graph.principal(Fake {
            followers: vec!["part"],
            ..Fake::new(&world, "cluster").want("version", 3)
        });
        graph.present(Fake {
            parent: Some("cluster"),
            ..Fake::new(&world, "pool").want("version", 3).want("size", 2)
        });
        graph.present(Fake {
            parent: Some("pool"),
            ..Fake::new(&world, "part").want("version", 2)
        });
        let job = Job {
            memory: Some(remembered("mine")),
            ..Job::new(graph, mark())
        };
        expect![[r#"
            - pool: size 1 -> 2
            ! part: part version 1 -> 2
            ! cluster: cluster version 2 -> 3
            ! pool: pool version 2 -> 3
        "#]]
        .assert_eq(&foreseen(&world, &job).await);
    });
}

#[test]
fn a_plan_shows_what_goes_when_what_runs_on_it_has_ended() {
    paused(async {
        let world = World::new(1);
        for name in ["cluster", "role"] {
            plant(&world, name, &our_tags("mine"), &[]);
        }
        let now = world.clock.now();
        world.books().start(&id("role"), now, false, false, None);
        let mut graph = Graph::new();
        graph.principal(Fake::new(&world, "cluster"));
        let mut before = graph.clone();
        before.present(Fake::new(&world, "role"));
        let mut memory = remembered("mine");
        memory.objects.insert(id("role"));
        let job = Job {
            memory: Some(memory),
            before: Some(before),
            ..Job::new(graph, mark())
        };
        expect![[r#"
            ! role: delete fake role
        "#]]
        .assert_eq(&foreseen(&world, &job).await);
    });
}

#[test]
fn a_plan_that_will_be_refused_tells_whose_work_runs_on_what_waits() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("size", 1)]);
        let now = world.clock.now();
        let operation = world.books().start(&id("cluster"), now, false, false, None);
        let mut graph = Graph::new();
        graph.given(Fake::new(&world, "group"));
        graph.principal(Fake {
            needs: vec!["group"],
            ..Fake::new(&world, "cluster").want("size", 2)
        });
        let anothers = Job {
            memory: Some(remembered("mine")),
            ..Job::new(graph, mark())
        };
        let mut memory = remembered("mine");
        memory.unfinished.push(Unfinished {
            object: id("cluster"),
            step: "size 1 -> 2".into(),
            operation: Some(OperationId {
                name: operation,
                token: String::new(),
            }),
        });
        let ours = Job {
            memory: Some(memory),
            ..anothers.clone()
        };
        expect![[r#"
            - cluster: size 1 -> 2
        "#]]
        .assert_eq(&foreseen(&world, &anothers).await);
        expect![[r#"
            - cluster: wait for Updating on fake cluster
        "#]]
        .assert_eq(&foreseen(&world, &ours).await);
    });
}

/// What is wanted of `name`, by the user's `attribute`.
fn wanted(world: &World, name: &'static str, attribute: Option<&'static str>) -> Fake {
    Fake {
        attribute,
        ..Fake::new(world, name)
    }
}

async fn differing(world: &World, graph: Graph) -> Vec<String> {
    let job = Job {
        memory: Some(remembered("mine")),
        ..Job::new(graph, mark())
    };
    engine(world, CALM).observe(&job).await.unwrap().differing
}

#[test]
fn the_attributes_differ_of_what_is_ours_and_at_rest_and_those_that_ask_for_what_is_gone() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("size", 1)]);
        for pool in ["pool-a", "pool-b"] {
            plant(&world, pool, &our_tags("mine"), &[("zone", 1)]);
        }
        plant(&world, "anothers", &[], &[("tier", 1)]);
        plant(&world, "busy", &our_tags("mine"), &[("load", 1)]);
        let now = world.clock.now();
        world.books().start(&id("busy"), now, false, false, None);
        let mut graph = Graph::new();
        graph.principal(wanted(&world, "cluster", None).want("size", 2));
        // Another zone is another object only where the attribute of the object says the zone.
        graph.present(wanted(&world, "pool-a", Some("zone")).want("zone", 2));
        graph.present(wanted(&world, "pool-b", Some("pools.b")).want("zone", 2));
        graph.present(wanted(&world, "pool-c", Some("pools.c")));
        graph.present(wanted(&world, "anothers", None).want("tier", 2));
        graph.present(wanted(&world, "busy", None).want("load", 2));
        let differing = differing(&world, graph).await;
        assert_eq!(differing, ["size", "zone", "pools.c"]);
    });
}

#[test]
fn no_attribute_differs_that_would_replace_the_principal() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[("zone", 1)]);
        let mut graph = Graph::new();
        graph.principal(wanted(&world, "cluster", Some("zone")).want("zone", 2));
        let differing = differing(&world, graph).await;
        assert_eq!(differing, Vec::<String>::new());
    });
}

#[test]
fn while_something_runs_on_the_principal_nothing_that_is_seen_is_the_last_word() {
    paused(async {
        let world = World::new(1);
        plant(&world, "cluster", &our_tags("mine"), &[]);
        plant(&world, "pool", &our_tags("mine"), &[("size", 1)]);
        let now = world.clock.now();
        world.books().start(&id("cluster"), now, false, false, None);
        let mut graph = Graph::new();
        graph.principal(wanted(&world, "cluster", None));
        graph.present(wanted(&world, "pool", None).want("size", 2));
        let differing = differing(&world, graph).await;
        assert_eq!(differing, Vec::<String>::new());
    });
}
