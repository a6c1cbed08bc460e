//! What reading tells a plan.

use std::time::Duration;

use expect_test::expect;

use super::{
    object::id,
    rules::{CALM, our_tags, plant, remembered, single},
    scenario::{Stage, apply, engine, job, paused, run, world_before},
    world::{Mishap, Site, World},
};
use crate::{FaultKind, Job, Memory, StopToken};

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

/// The steps that a plan prints, a line each; `!` marks those that disrupt.
async fn steps(world: &World, stage: Stage, memory: Option<Memory>) -> String {
    let job = job(world, stage, memory);
    let reading = engine(world, CALM).observe(&job).await.unwrap();
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
