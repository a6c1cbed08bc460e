//! The engine brings Azure's objects to what is wanted, against a resource manager in memory.

mod arm;

use arm::Arm;
use expect_test::{Expect, expect};
use paymesh_azure::{
    Access, ArmId, Azure, Cluster, ClusterWant, DrainPool, Group, GroupWant, Identity,
    IdentityWant, Pool, PoolMode, PoolWant, Power, Principal, Role, RoleWant, Scale,
    ScaleToNothing, cluster_object_id, group_object_id, identity_object_id, pool_object_id,
    well_known_roles,
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
    system: PoolMode,
    workers: Vec<PoolWant>,
    retired: Vec<&'static str>,
    access: Access,
    /// Who administers the cluster.
    admins: Vec<Principal>,
    /// Who did and does no more.
    dismissed: Vec<Principal>,
}

impl Default for Want {
    fn default() -> Self {
        Self {
            version: "1.33",
            power: None,
            tier: "Standard",
            system: PoolMode::System,
            workers: vec![worker("w1", "Standard_D4ds_v5")],
            retired: Vec::new(),
            access: Access::Private,
            admins: Vec::new(),
            dismissed: Vec::new(),
        }
    }
}

fn somebody(id: &str) -> Principal {
    Principal::Known {
        id: id.to_owned(),
        kind: "User".to_owned(),
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
                attribute: None,
                needs: Vec::new(),
            },
        );
        let mut system = PoolWant::new("sys", want.system, "Standard_D2ds_v5", Scale::Fixed(3));
        let promoted = want.workers.iter().filter(|it| it.mode == PoolMode::System);
        system.system_pools = promoted.map(|it| pool_object_id(&id, &it.name)).collect();
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
        let admin = |principal: &Principal| {
            let want = RoleWant {
                scope: id.to_string(),
                role: well_known_roles::CLUSTER_ADMIN.to_owned(),
                principal: principal.clone(),
                attribute: Some("admins".into()),
                needs: vec![cluster_object_id(&id)],
            };
            Role::new(&self.azure, "team/prod", want)
        };
        for principal in &want.admins {
            graph.present(admin(principal));
        }
        for principal in &want.dismissed {
            graph.absent(admin(principal), Vec::new());
        }
        for old in &want.retired {
            let how = std::sync::Arc::new(ScaleToNothing::new(&self.azure));
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

const ASSIGNMENTS: &str = "providers/Microsoft.Authorization/roleAssignments";

impl Bed {
    /// Who administers the cluster, in order.
    fn admins(&self) -> Vec<String> {
        let prefix = format!("{}/{ASSIGNMENTS}/", cluster_id()).to_ascii_lowercase();
        let inner = self.arm.lock();
        let all = inner
            .bodies
            .iter()
            .filter(|(it, _)| it.starts_with(&prefix));
        let mut ids: Vec<_> = all
            .map(|(_, body)| {
                body["properties"]["principalId"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        ids.sort();
        ids
    }

    /// Somebody assigns the admin's role by hand.
    fn assign_by_hand(&self, principal: &str) -> String {
        let path = format!("{}/{ASSIGNMENTS}/by-hand", cluster_id());
        let role = well_known_roles::CLUSTER_ADMIN;
        let definition =
            format!("/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"name": "by-hand", "properties": {
            "principalId": principal, "principalType": "User", "roleDefinitionId": definition,
            "scope": cluster_id().as_str(),
        }});
        self.arm
            .lock()
            .bodies
            .insert(path.to_ascii_lowercase(), body);
        path
    }

    async fn converge(&mut self, want: &Want) -> Vec<String> {
        self.azure.forget_reads();
        let engine = Engine::new(self.azure.client().clock().clone());
        let outcome = engine.converge(&self.job(want)).await;
        assert_eq!(outcome.end, End::Finished);
        self.memory = Some(outcome.memory);
        self.arm.take_writes()
    }

    async fn fault(&mut self, want: &Want) -> paymesh_engine::Fault {
        self.azure.forget_reads();
        let engine = Engine::new(self.azure.client().clock().clone());
        let outcome = engine.converge(&self.job(want)).await;
        let End::Failed(mut faults) = outcome.end else {
            panic!("{:?}", outcome.end)
        };
        faults.remove(0)
    }
}

#[tokio::test]
async fn the_deployer_is_whoever_created_and_another_one_changes_nothing() {
    let want = Want {
        admins: vec![Principal::Deployer],
        ..Want::default()
    };
    let mut bed = Bed::new().await;
    bed.converge(&want).await;
    assert_eq!(bed.admins(), ["o-1"]);
    bed.azure = bed.arm.signed_in_as("o-2");
    assert_eq!(bed.converge(&want).await, [] as [String; 0]);
    // Taken away by hand, it comes back for the one who created.
    let prefix = format!("{}/{ASSIGNMENTS}/", cluster_id()).to_ascii_lowercase();
    bed.arm
        .lock()
        .bodies
        .retain(|it, _| !it.starts_with(&prefix));
    bed.converge(&want).await;
    assert_eq!(bed.admins(), ["o-1"]);
}

#[tokio::test]
async fn a_deployer_who_is_an_admin_anyway_stays_the_deployer() {
    let want = Want {
        admins: vec![somebody("o-1"), Principal::Deployer],
        ..Want::default()
    };
    let mut bed = Bed::new().await;
    bed.converge(&want).await;
    assert_eq!(bed.admins(), ["o-1"]);
    bed.azure = bed.arm.signed_in_as("o-2");
    assert_eq!(bed.converge(&want).await, [] as [String; 0]);
}

#[tokio::test]
async fn an_assignment_under_another_name_serves_and_is_never_deleted() {
    let want = Want {
        admins: vec![somebody("u-1"), somebody("u-2")],
        ..Want::default()
    };
    let mut bed = Bed::made().await;
    let by_hand = bed.assign_by_hand("u-1");
    bed.converge(&want).await;
    assert_eq!(bed.admins(), ["u-1", "u-2"]);
    let gone = Want {
        dismissed: want.admins.clone(),
        ..Want::default()
    };
    bed.converge(&gone).await;
    assert_eq!(bed.admins(), ["u-1"]);
    assert!(bed.arm.body(&by_hand).is_some());
}

#[tokio::test]
async fn a_pool_that_moved_between_read_and_write_is_read_and_compared_again() {
    let mut bed = Bed::made().await;
    let pool = cluster_id().child("agentPools", "w1").folded();
    // Somebody makes the very change that was wanted: nothing is left to write.
    bed.arm.lock().before_write = Some((pool.clone(), |body| {
        body["properties"]["maxCount"] = 9.into();
    }));
    let mut want = Want::default();
    want.workers[0].scale = Scale::Auto { min: 1, max: 9 };
    assert_eq!(bed.converge(&want).await, ["PUT agentPools/w1"]);
    // Somebody changes something else: it survives, and the change is made over it.
    bed.arm.lock().before_write = Some((pool.clone(), |body| {
        body["properties"]["nodeLabels"]["theirs"] = "kept".into();
    }));
    want.workers[0].scale = Scale::Auto { min: 1, max: 7 };
    assert_eq!(bed.converge(&want).await, ["PUT agentPools/w1"; 2]);
    let body = bed.arm.body(&pool).unwrap();
    assert_eq!(body["properties"]["nodeLabels"]["theirs"], "kept");
    assert_eq!(body["properties"]["maxCount"], 7);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_an_error_at_the_attribute_and_not_repeated() {
    let mut bed = Bed::made().await;
    bed.arm.lock().ignored = vec!["/properties/maxCount", "/sku/tier"];
    let mut want = Want::default();
    want.workers[0].scale = Scale::Auto { min: 1, max: 9 };
    let fault = bed.fault(&want).await;
    assert_eq!(fault.attribute.as_deref(), Some("maxCount"));
    assert_eq!(fault.kind, paymesh_engine::FaultKind::NotShrinking);
    assert_eq!(bed.arm.take_writes(), ["PUT agentPools/w1"]);
    let fault = bed
        .fault(&Want {
            tier: "Premium",
            ..Want::default()
        })
        .await;
    assert_eq!(fault.attribute.as_deref(), Some("sku.tier"));
    assert_eq!(bed.arm.take_writes(), ["PUT managedClusters/main"]);
}

#[tokio::test]
async fn a_pool_stops_being_a_system_pool_only_after_another_is_one() {
    let mut bed = Bed::made().await;
    let mut want = Want::default();
    want.workers[0].mode = PoolMode::System;
    want.system = PoolMode::User;
    assert_eq!(
        bed.converge(&want).await,
        ["PUT agentPools/w1", "PUT agentPools/sys"]
    );
}

#[tokio::test]
async fn a_pool_above_its_floor_follows_the_upgrade_channel_only() {
    let mut bed = Bed::made().await;
    let path = cluster_id().folded();
    bed.arm.lock().bodies.get_mut(&path).unwrap()["properties"]["currentKubernetesVersion"] =
        "1.34.2".into();
    let mut want = Want::default();
    want.workers[0].kubernetes_version = "1.33".to_owned();
    let wrote = bed.converge(&want).await;
    assert_eq!(wrote, ["PUT agentPools/sys"], "the other names no floor");
}
