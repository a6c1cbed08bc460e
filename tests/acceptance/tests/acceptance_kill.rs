//! SIGKILL at every write request of a procedure, on both clouds, and an ordinary run after it.

use expect_test::{Expect, expect};
use paymesh_acceptance::{
    Matrix,
    samples::{LARGER, SMALLER, both},
};

fn check_kills(before: Option<&str>, after: Option<&str>, points: &Expect) {
    let matrix = Matrix::record(before, after);
    points.assert_eq(&matrix.points());
    matrix.kill_everywhere();
}

#[test]
fn a_killed_create_is_finished() {
    check_kills(
        None,
        Some(&both()),
        &expect![[r#"
            1 azure PUT managedClusters/pay-aks
            2 azure PUT managedClusters/pay-aks/agentPools/workysy
            3 azure PUT resourceGroups/paymesh-acceptance-one-47f9-westeurope
            4 azure PUT roleAssignments/60012948-fd1e-552a-b1af-fbfa8c4470bd
            5 azure PUT userAssignedIdentities/pay-aks-control-plane
            1 google POST paymesh-hub/locations/europe-west1/clusters
            2 google POST paymesh-hub/serviceAccounts
            3 google POST paymesh-hub:setIamPolicy
        "#]],
    );
}

#[test]
fn a_killed_pool_rotation_is_finished() {
    let larger = both().replace(SMALLER, LARGER);
    check_kills(
        Some(&both()),
        Some(&larger),
        &expect![[r#"
            1 azure DELETE managedClusters/pay-aks/agentPools/workysy
            2 azure PUT managedClusters/pay-aks/agentPools/workl7f
            3 azure PUT managedClusters/pay-aks/agentPools/workysy
            1 google DELETE paymesh-hub/locations/europe-west1/clusters/pay-gke/nodePools/work-4h3
            2 google POST paymesh-hub/locations/europe-west1/clusters/pay-gke/nodePools
        "#]],
    );
}

#[test]
fn a_killed_upgrade_is_finished() {
    let older = both().replace("1.34", "1.33");
    check_kills(
        Some(&older),
        Some(&both()),
        &expect![[r#"
            1 azure PUT managedClusters/pay-aks
            2 azure PUT managedClusters/pay-aks/agentPools/systemhb9
            3 azure PUT managedClusters/pay-aks/agentPools/workysy
            1 google PUT paymesh-hub/locations/europe-west1/clusters/pay-gke
            2 google PUT paymesh-hub/locations/europe-west1/clusters/pay-gke/nodePools/system-vbw
            3 google PUT paymesh-hub/locations/europe-west1/clusters/pay-gke/nodePools/work-4h3
        "#]],
    );
}

#[test]
fn a_killed_destroy_is_finished() {
    check_kills(
        Some(&both()),
        None,
        &expect![[r#"
            1 azure DELETE managedClusters/pay-aks
            2 azure DELETE resourceGroups/paymesh-acceptance-one-47f9-westeurope
            3 azure DELETE roleAssignments/60012948-fd1e-552a-b1af-fbfa8c4470bd
            4 azure DELETE userAssignedIdentities/pay-aks-control-plane
            1 google DELETE paymesh-hub/locations/europe-west1/clusters/pay-gke
            2 google DELETE paymesh-hub/serviceAccounts/pm-pay-gke-cqtvhncc@paymesh-hub.iam.gserviceaccount.com
            3 google POST paymesh-hub:setIamPolicy
        "#]],
    );
}
