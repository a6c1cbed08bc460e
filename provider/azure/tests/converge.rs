//! The engine brings Azure's objects to what is wanted, against a resource manager in memory.

mod arm;

use arm::Arm;
use expect_test::{Expect, expect};
use paymesh_azure::{
    Access, ArmId, Azure, Cluster, ClusterWant, Cordon, DrainPool, Group, GroupWant, Identity,
    IdentityWant, Pool, PoolMode, PoolWant, Power, Principal, Role, RoleWant, Scale,
    group_object_id, identity_object_id, well_known_roles,
};
use paymesh_engine::{End, Engine, Graph, Job, Mark, Memory, Object};
use serde_json::json;

struct Bed {
    arm: Arm,
    azure: Azure,
    memory: Option<Memory>,
}

struct Want {
    version: &'static str,
    power: Option<Power>,
    tier: &'static str,
    workers: Vec<PoolWant>,
    retired: Vec<&'static str>,
    access: Access,
}

impl Default for Want {
    fn default() -> Self {
        Self {
            version: "1.33",
            power: None,
            tier: "Standard",
            workers: vec![worker("w1", "Standard_D4ds_v5")],
            retired: Vec::new(),
            access: Access::Private { dns_zone: None },
        }
    }
}

fn worker(name: &str, size: &str) -> PoolWant {
    PoolWant {
        labels: [("team".to_owned(), "pay".to_owned())].into(),
        ..PoolWant::new(name, PoolMode::User, size, Scale::Auto { min: 1, max: 5 })
    }
}

fn cluster_id() -> ArmId {
    ArmId::group("s", "rg").cluster("main")
}

impl Bed {
    async fn new() -> Self {
        let (arm, azure) = Arm::start().await;
        Self {
            arm,
            azure,
            memory: None,
        }
    }

    /// A bed in which the default already exists.
    async fn made() -> Self {
        let mut bed = Self::new().await;
        let engine = Engine::new(bed.azure.client().clock().clone());
        let outcome = engine.converge(&bed.job(&Want::default())).await;
        assert_eq!(outcome.end, End::Finished);
        bed.memory = Some(outcome.memory);
        bed.arm.take_writes();
        bed
    }

    fn job(&self, want: &Want) -> Job {
        let (group, id) = (ArmId::group("s", "rg"), cluster_id());
        let identity = group.resource("Microsoft.ManagedIdentity/userAssignedIdentities", "main");
        let location = "westeurope".to_owned();
        let role = Role::new(
            &self.azure,
            "team/prod",
            RoleWant {
                scope: "/subscriptions/s/resourceGroups/net".to_owned(),
                role: well_known_roles::NETWORK_CONTRIBUTOR.to_owned(),
                principal: Principal::Identity(identity_object_id(&identity)),
                needs: Vec::new(),
            },
        );
        let system = PoolWant::new("sys", PoolMode::System, "Standard_D2ds_v5", Scale::Fixed(3));
        let cluster = ClusterWant {
            identity: Some(identity.clone()),
            tags: [("team".to_owned(), "pay".to_owned())].into(),
            tier: want.tier.to_owned(),
            power: want.power,
            access: want.access.clone(),
            pools: vec![system.clone()],
            needs: vec![
                group_object_id(&group),
                identity_object_id(&identity),
                role.id(),
            ],
            ..ClusterWant::new(id.clone(), &location, want.version)
        };
        let mut graph = Graph::new();
        let group_want = GroupWant {
            id: group,
            location: location.clone(),
            tags: cluster.tags.clone(),
        };
        graph.present(Group::new(&self.azure, group_want));
        let identity_want = IdentityWant {
            id: identity,
            location,
            tags: cluster.tags.clone(),
        };
        graph.present(Identity::new(&self.azure, identity_want));
        graph.present(role);
        graph.principal(Cluster::new(&self.azure, cluster));
        graph.present(Pool::new(&self.azure, &id, system));
        let workers: Vec<_> = want
            .workers
            .iter()
            .map(|it| graph.present(Pool::new(&self.azure, &id, it.clone())))
            .collect();
        for old in &want.retired {
            let how = std::sync::Arc::new(Cordon::new(&self.azure));
            let drain = DrainPool::new(&self.azure, &id, old, how);
            let drain = graph.done(drain, workers.clone());
            graph.absent(Pool::found(&self.azure, &id, old), vec![drain]);
        }
        let mut job = Job::new(graph, Mark::new("team/prod", "main"));
        job.memory.clone_from(&self.memory);
        job
    }

    /// Converges to `want` and tells the writes that took.
    async fn check_converges(&mut self, want: &Want, expected: &Expect) {
        self.azure.forget_reads();
        let engine = Engine::new(self.azure.client().clock().clone());
        let outcome = engine.converge(&self.job(want)).await;
        assert_eq!(outcome.end, End::Finished);
        self.memory = Some(outcome.memory);
        expected.assert_eq(&self.arm.take_writes().join("\n"));
        // A second run finds nothing to do.
        self.azure.forget_reads();
        let outcome = engine.converge(&self.job(want)).await;
        assert_eq!(
            (outcome.end, self.arm.take_writes()),
            (End::Finished, Vec::new())
        );
    }

    async fn check_destroys(&mut self, want: &Want, expected: &Expect) {
        self.azure.forget_reads();
        let engine = Engine::new(self.azure.client().clock().clone());
        let outcome = engine.destroy(&self.job(want)).await;
        assert_eq!(outcome.end, End::Finished);
        expected.assert_eq(&self.arm.take_writes().join("\n"));
    }
}

#[tokio::test]
async fn a_cluster_with_everything_it_needs_is_made_in_order_and_goes_again() {
    let (mut bed, want) = (Bed::new().await, Want::default());
    bed.check_converges(
        &want,
        &expect![[r#"
            PUT resourceGroups/rg
            PUT userAssignedIdentities/main
            PUT roleAssignments/413c5081-56bc-5612-a268-ea1b7283bb32
            PUT managedClusters/main
            PUT agentPools/w1"#]],
    )
    .await;
    let body = bed.arm.body(cluster_id().as_str()).unwrap();
    assert_eq!(body["tags"]["paymesh-owner"], "team/prod");
    assert!(bed.arm.body("/subscriptions/s/resourceGroups/rg").is_some());
    bed.check_destroys(
        &want,
        &expect![[r#"
            DELETE managedClusters/main
            DELETE roleAssignments/413c5081-56bc-5612-a268-ea1b7283bb32
            DELETE userAssignedIdentities/main
            DELETE resourceGroups/rg"#]],
    )
    .await;
}

#[tokio::test]
async fn versions_go_up_one_minor_at_a_time_with_the_pools_behind() {
    let mut bed = Bed::made().await;
    let want = Want {
        version: "1.35",
        ..Want::default()
    };
    bed.check_converges(
        &want,
        &expect![[r#"
        PUT managedClusters/main
        PUT agentPools/sys
        PUT agentPools/w1
        PUT managedClusters/main
        PUT agentPools/sys
        PUT agentPools/w1"#]],
    )
    .await;
    // A lower minimum is no wish to go down.
    bed.check_converges(&Want::default(), &expect![[""]]).await;
}

#[tokio::test]
async fn an_update_keeps_what_nobody_here_knows() {
    let mut bed = Bed::made().await;
    let path = cluster_id().folded();
    bed.arm.lock().bodies.get_mut(&path).unwrap()["properties"]["newInPreview"] = json!({"a": 1});
    bed.arm.lock().bodies.get_mut(&path).unwrap()["tags"]["theirs"] = "kept".into();
    bed.check_converges(
        &Want {
            tier: "Premium",
            ..Want::default()
        },
        &expect!["PUT managedClusters/main"],
    )
    .await;
    let body = bed.arm.body(&path).unwrap();
    assert_eq!(body["properties"]["newInPreview"], json!({"a": 1}));
    assert_eq!(
        (&body["tags"]["theirs"], &body["sku"]["tier"]),
        (&json!("kept"), &json!("Premium"))
    );
}

#[tokio::test]
async fn a_pool_is_rotated_by_a_new_one_a_drain_and_the_end_of_the_old() {
    let mut bed = Bed::made().await;
    let want = Want {
        workers: vec![worker("w2", "Standard_D8ds_v5")],
        retired: vec!["w1"],
        ..Want::default()
    };
    bed.check_converges(
        &want,
        &expect![[r#"
        PUT agentPools/w2
        PUT agentPools/w1
        DELETE agentPools/w1"#]],
    )
    .await;
    assert!(
        bed.arm
            .body(cluster_id().child("agentPools", "w1").as_str())
            .is_none()
    );
}

#[tokio::test]
async fn a_cluster_stops_and_starts() {
    let mut bed = Bed::made().await;
    let stopped = Want {
        power: Some(Power::Stopped),
        ..Want::default()
    };
    bed.check_converges(&stopped, &expect!["POST main/stop"])
        .await;
    // Nobody's business: it stays as it is.
    bed.check_converges(&Want::default(), &expect![[""]]).await;
    let running = Want {
        power: Some(Power::Running),
        ..Want::default()
    };
    bed.check_converges(&running, &expect!["POST main/start"])
        .await;
}

#[tokio::test]
async fn what_only_a_new_cluster_can_change_is_refused_with_the_reason() {
    let bed = Bed::made().await;
    let public = Want {
        access: Access::Public {
            authorized_cidrs: vec!["192.0.2.0/24".to_owned()],
        },
        ..Want::default()
    };
    let engine = Engine::new(bed.azure.client().clock().clone());
    let outcome = engine.converge(&bed.job(&public)).await;
    let End::Failed(faults) = outcome.end else {
        panic!("{:?}", outcome.end)
    };
    assert!(
        faults[0].message.contains("cannot become public"),
        "{}",
        faults[0]
    );
    assert_eq!(bed.arm.take_writes(), [] as [String; 0]);
}
