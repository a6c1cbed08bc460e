//! The pages in `docs/` say what the provider does today.

use std::{collections::BTreeSet, path::Path};

use paymesh::{
    cluster::{
        ClusterSpec,
        credentials::CredentialsSpec,
        lookup::LookupSpec,
        machines,
        profiles::{self, Terms},
    },
    codes,
    settings::Settings,
};
use paymesh_plugin::docs::Site;

/// How to sign in and what to be allowed, on the first page.
const PROVIDER: &str = include_str!("pages/provider.md");

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

/// The machines by size, from the tables that the provider itself chooses from.
fn machines_page() -> String {
    let tables = [machines::AZURE, machines::GOOGLE];
    let sizes: BTreeSet<(u32, u32)> = tables
        .iter()
        .flat_map(|table| table.iter())
        .map(|machine| (machine.vcpu, machine.memory_gb))
        .collect();
    let mut page = String::from(
        "A pool with `vcpu` and `memory_gb` gets the first machine of its cloud's column that has at \
         least both. The choice is kept until `vcpu` or `memory_gb` changes, also when a later \
         version of the provider has more machines. `machine_type` names any other.\n\n\
         | vCPU | memory (GiB) | AKS | GKE |\n|---|---|---|---|\n",
    );
    let rows = sizes.into_iter().map(|size| {
        let [aks, gke] = tables.map(|table| {
            let of_size = table
                .iter()
                .filter(|machine| (machine.vcpu, machine.memory_gb) == size);
            let names: Vec<String> = of_size
                .map(|machine| format!("`{}`", machine.name))
                .collect();
            names.join(", ")
        });
        format!("| {} | {} | {aks} | {gke} |\n", size.0, size.1)
    });
    page.extend(rows);
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
        .provider_sections(PROVIDER)
        .codes(codes::ROWS)
        .guide(
            "profiles",
            "Profiles",
            "What each cluster profile stands for.",
            &profiles_page(),
        )
        .guide(
            "machines",
            "Machine types",
            "Which machine a pool sized by vCPU and memory gets.",
            &machines_page(),
        )
        .guide(
            "simulator",
            "The simulated cloud",
            "Clusters on a laptop, without an account.",
            include_str!("pages/simulator.md"),
        )
        .guide(
            "orphans",
            "Orphans",
            "What no state has, and how it is taken away.",
            include_str!("pages/orphans.md"),
        )
        .guide(
            "watch",
            "Watching a run",
            "What a running apply does, step by step.",
            include_str!("pages/watch.md"),
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

#[test]
fn the_first_page_names_every_variable_that_signing_in_reads_and_no_other() {
    let source = concat!(
        include_str!("../../google/src/credentials.rs"),
        include_str!("../../azure/src/credentials/mod.rs"),
        include_str!("../../azure/src/credentials/assertion.rs"),
        include_str!("../../azure/src/environment.rs"),
        include_str!("../src/session.rs"),
        include_str!("../../cli/src/orphans/mod.rs"),
        include_str!("../../cli/src/orphans/clouds.rs"),
    );
    assert_eq!(variables(PROVIDER), variables(source));
}

/// The variables of the usual chains that a text names.
fn variables(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| letter != '_' && !letter.is_ascii_uppercase())
        .filter(|word| {
            [
                "ARM_",
                "AZURE_",
                "ACTIONS_",
                "GOOGLE_",
                "GCLOUD_",
                "CLOUDSDK_",
            ]
            .iter()
            .any(|prefix| word.len() > prefix.len() && word.starts_with(prefix))
        })
        .collect()
}
