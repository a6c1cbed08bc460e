//! Changes that meet in one apply, and have to wait for each other.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};

/// Applies `before`, if there is one, and then `after`, which must be reached in one apply.
#[track_caller]
fn check_reached(before: Option<&ClusterBlock>, after: &ClusterBlock) {
    let cloud = Cloud::start();
    let first = before.unwrap_or(after);
    let workspace = Workspace::new(&cloud, &first.to_string());
    workspace.apply().succeeds();
    if before.is_some() {
        workspace.configure(&after.to_string());
        workspace.apply().succeeds();
    }
    workspace.plans_nothing();
    let wanted = ["system", "work"].map(|key| after.sets(&format!("node_pools.{key}.vcpu")));
    let pools = wanted.into_iter().filter(|is_wanted| *is_wanted).count();
    let attributes = workspace.attributes(&after.address());
    let status = attributes["pools"].as_object().map(serde_json::Map::len);
    assert_eq!(status, Some(pools), "{attributes:#}");
}

fn aks() -> ClusterBlock {
    ClusterBlock::plain(Provider::Aks, "pay")
}

const LARGER: &str = "node_pools.work.vcpu = 8; node_pools.work.memory_gb = 32";

#[test]
fn a_cluster_that_is_made_switched_off_has_its_pools() {
    check_reached(None, &aks().with(r#"power = "off""#));
}

#[test]
fn pools_come_and_go_before_their_cluster_is_switched_off() {
    let off = aks().with(r#"power = "off""#);
    let without = "node_pools.work = absent";
    check_reached(Some(&aks()), &off.clone().with(LARGER));
    check_reached(Some(&aks().with(without)), &off);
    check_reached(Some(&aks()), &off.with(without));
}

#[test]
fn a_pool_is_replaced_while_its_cluster_climbs_several_versions() {
    let gke = ClusterBlock::plain(Provider::Gke, "pay");
    let cases = [
        (aks(), "1.33", ""),
        (gke, "1.32", r#"; upgrade_channel = "regular""#),
    ];
    for (block, from, channel) in cases {
        let at = |version| {
            let change = format!("kubernetes_version = \"{version}\"");
            block.clone().with(&change)
        };
        let after = at("1.35").with(&format!("{LARGER}{channel}"));
        check_reached(Some(&at(from)), &after);
    }
}
