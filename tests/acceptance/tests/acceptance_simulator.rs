//! The harness's own view of a simulated cloud.

use paymesh_acceptance::{Cloud, Workspace};

#[test]
fn every_test_has_an_empty_cloud_of_its_own() {
    let (one, two) = (Cloud::start(), Cloud::start());
    assert_ne!(one.card()["azure"], two.card()["azure"]);
    assert_eq!(one.all("managedClusters"), Vec::<String>::new());
    assert_eq!(one.writes(0), Vec::<String>::new());
}

#[test]
fn what_the_guide_to_the_simulated_cloud_shows_can_be_planned_as_it_stands() {
    let cloud = Cloud::start();
    let guide = include_str!("../../../docs/guides/simulator.md");
    let blocks: String = guide
        .split("```terraform\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let example = include_str!("../../../examples/resources/paymesh_cluster/resource.tf");
    let workspace = Workspace::new(&cloud, &format!("{blocks}{example}"));
    workspace.plans_something().says("2 to add");
}
