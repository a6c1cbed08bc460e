//! The pages in `docs/` say what the provider does today.

use std::path::Path;

use paymesh::{
    cluster::{
        ClusterSpec,
        credentials::CredentialsSpec,
        lookup::LookupSpec,
        profiles::{self, Terms},
    },
    codes,
    settings::Settings,
};
use paymesh_plugin::docs::Site;

/// What the profiles stand for, from the table that the provider itself uses.
fn profiles_page() -> String {
    let row = |title: &str, value: &dyn Fn(&Terms) -> String| {
        let [high, low] = [&profiles::HIGH_AVAILABILITY, &profiles::COST_OPTIMIZED].map(value);
        format!("| {title} | {high} | {low} |\n")
    };
    let mut page = String::from(
        "What is set explicitly on a cluster or a pool wins over its profile.\n\n\
         | | `high_availability` | `cost_optimized` |\n|---|---|---|\n",
    );
    page += &row("AKS tier", &|terms| terms.aks_tier.to_owned());
    page += &row("zones of a pool (AKS)", &|terms| terms.zones.to_string());
    page += &row("surge of an upgrade (AKS)", &|terms| terms.surge.to_owned());
    page += &row(
        "minutes for a node to empty in an upgrade (AKS)",
        &|terms| terms.drain_minutes.to_string(),
    );
    page += &row("surge of an upgrade, in nodes (GKE)", &|terms| {
        terms.surge_nodes.to_string()
    });
    page += &row("autoscaling profile (GKE)", &|terms| {
        terms.gke_autoscaling.to_owned()
    });
    for (key, _) in profiles::HIGH_AVAILABILITY.autoscaler {
        page += &row(&format!("autoscaler `{key}` (AKS)"), &|terms| {
            profiles::autoscaler(terms).remove(*key).unwrap_or_default()
        });
    }
    page += "\n`cost_optimized` gives up:\n\n";
    for given_up in profiles::COST_OPTIMIZED.gives_up {
        page.extend(["- ", given_up, "\n"]);
    }
    page
}

#[test]
fn the_pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let site = Site::new::<Settings>(root.join("examples"))
        .and_then(|site| site.resource::<ClusterSpec>("Kubernetes"))
        .and_then(|site| site.data_source::<LookupSpec>("Kubernetes"))
        .and_then(|site| site.ephemeral::<CredentialsSpec>("Kubernetes"))
        .unwrap()
        .codes(codes::ROWS)
        .guide(
            "profiles",
            "Profiles",
            "What each cluster profile stands for.",
            &profiles_page(),
        );
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        site.write(&root.join("docs")).unwrap();
    }
    let stale = site.differences(&root.join("docs")).unwrap();
    assert!(
        stale.is_empty(),
        "stale pages {stale:?}: run UPDATE_EXPECT=1 cargo test -p paymesh --test docs"
    );
}
