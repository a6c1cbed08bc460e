//! What reading tells a plan.

use std::time::Duration;

use expect_test::expect;

use super::{
    rules::{CALM, our_tags, plant, remembered, single},
    scenario::{Stage, apply, engine, job, paused},
    world::{Mishap, Site, World},
};
use crate::{FaultKind, Job, StopToken};

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
