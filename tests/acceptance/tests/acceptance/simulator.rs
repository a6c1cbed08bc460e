//! The harness's own view of a simulated cloud.

use paymesh_acceptance::Cloud;

#[test]
fn every_test_has_an_empty_cloud_of_its_own() {
    let (one, two) = (Cloud::start(), Cloud::start());
    assert_ne!(one.card()["azure"], two.card()["azure"]);
    assert_eq!(one.all("managedClusters"), Vec::<String>::new());
    assert_eq!(one.writes(0), Vec::<String>::new());
}
