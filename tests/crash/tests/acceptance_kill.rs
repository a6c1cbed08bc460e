//! SIGKILL at every write request of a procedure, on both clouds, and an ordinary run after it.

use expect_test::{Expect, expect};
use paymesh_acceptance::Cloud;
use paymesh_crash::{Procedure, Writes};

#[track_caller]
fn check_kills(procedure: Procedure, points: &Expect) {
    let cloud = Cloud::start();
    let writes = Writes::of(&cloud, procedure);
    points.assert_eq(&writes.points());
    if let Err(why) = writes.kill_everywhere() {
        panic!("{why}");
    }
}

#[test]
fn a_killed_create_is_finished() {
    check_kills(
        Procedure::Create,
        &expect![[r#"
            1 azure PUT resourceGroups/paymesh-acceptance-one-47f9-westeurope
            2 azure PUT managedClusters/pay-crash
            3 azure PUT managedClusters/pay-crash/agentPools/workysy
            4 azure PUT roleAssignments/dff5d42b-9b4d-5fec-8480-c2a2e5581d71
            5 azure PUT userAssignedIdentities/pay-crash-control-plane
            1 google POST paymesh-hub/locations/europe-west1/clusters
            2 google POST paymesh-hub/serviceAccounts
            3 google POST paymesh-hub:setIamPolicy
        "#]],
    );
}

#[test]
fn a_killed_pool_rotation_is_finished() {
    check_kills(
        Procedure::Rotation,
        &expect![[r#"
            1 azure DELETE managedClusters/pay-crash/agentPools/workysy
            2 azure PUT managedClusters/pay-crash/agentPools/workl7f
            3 azure PUT managedClusters/pay-crash/agentPools/workysy
            1 google DELETE paymesh-hub/locations/europe-west1/clusters/pay-crash/nodePools/work-4h3
            2 google POST paymesh-hub/locations/europe-west1/clusters/pay-crash/nodePools
        "#]],
    );
}

#[test]
fn a_killed_upgrade_is_finished() {
    check_kills(
        Procedure::Upgrade,
        &expect![[r#"
            1 azure PUT managedClusters/pay-crash
            2 azure PUT managedClusters/pay-crash/agentPools/systemhb9
            3 azure PUT managedClusters/pay-crash/agentPools/workysy
            1 google PUT paymesh-hub/locations/europe-west1/clusters/pay-crash
            2 google PUT paymesh-hub/locations/europe-west1/clusters/pay-crash/nodePools/system-vbw
            3 google PUT paymesh-hub/locations/europe-west1/clusters/pay-crash/nodePools/work-4h3
        "#]],
    );
}

#[test]
fn a_killed_destroy_is_finished() {
    check_kills(
        Procedure::Delete,
        &expect![[r#"
            1 azure DELETE resourceGroups/paymesh-acceptance-one-47f9-westeurope
            2 azure DELETE managedClusters/pay-crash
            3 azure DELETE roleAssignments/dff5d42b-9b4d-5fec-8480-c2a2e5581d71
            4 azure DELETE userAssignedIdentities/pay-crash-control-plane
            1 google DELETE paymesh-hub/locations/europe-west1/clusters/pay-crash
            2 google DELETE paymesh-hub/serviceAccounts/pm-pay-crash-1hmmtd3k@paymesh-hub.iam.gserviceaccount.com
            3 google POST paymesh-hub:setIamPolicy
        "#]],
    );
}
