//! A plan that disturbs what runs says so: every step, in order, for every cluster.

use std::fmt::Write as _;

use expect_test::expect;
use paymesh_acceptance::{Cloud, Workspace};

fn aks(name: &str, version: &str) -> String {
    format!(
        r#"
resource "paymesh_cluster" "{name}" {{
  name                = "{name}"
  region              = "westeurope"
  kubernetes_version  = "{version}"
  profile             = "cost_optimized"
  azure               = {{}}
  upgrade_channel     = "none"
  deletion_protection = false
  node_pools = {{
    system = {{ mode = "system", vcpu = 2, memory_gb = 8, min_nodes = 1, max_nodes = 2 }}
    work   = {{ vcpu = 2, memory_gb = 8, min_nodes = 0, max_nodes = 2 }}
  }}
}}
"#
    )
}

fn gke(name: &str, version: &str) -> String {
    aks(name, version)
        .replace("westeurope", "europe-west1")
        .replace("azure               = {}", GKE_NETWORK)
        .replace(
            "upgrade_channel     = \"none\"",
            "upgrade_channel     = \"regular\"",
        )
}

const GKE_NETWORK: &str = r#"google = {}
  network = {
    subnet_id      = "projects/paymesh-hub/regions/europe-west1/subnetworks/default"
    pods_range     = "pods"
    services_range = "services"
  }"#;

/// The numbered lines below the warning about `name`, without machine-made endings.
fn steps(plan: &str, name: &str) -> String {
    let title = format!("Apply will disturb what runs: paymesh_cluster {name}");
    let after = plan.split_once(&title).map_or("", |(_, after)| after);
    let mut steps = String::new();
    let lines = after
        .lines()
        .map(|line| line.trim_start_matches(['│', ' ']));
    for line in lines.skip_while(|line| !line.starts_with("1. ")) {
        if !line.starts_with(|first: char| first.is_ascii_digit()) {
            break;
        }
        writeln!(steps, "{line}").expect("writing to a string does not fail");
    }
    steps
}

#[test]
fn the_plan_of_an_upgrade_lists_every_step_in_order() {
    let cloud = Cloud::start();
    let both = |version: &str| format!("{}{}", aks("pay-aks", version), gke("pay-gke", version));
    let workspace = Workspace::new(&cloud, &both("1.33"));
    workspace.apply().succeeds();
    workspace.configure(&both("1.35"));
    let plan = workspace.plans_something();
    expect![[r#"
        1. control plane 1.33.8 -> 1.34 (managed cluster)
        2. pool systemkk3 1.33.8 -> 1.34 (agent pool)
        3. pool worki32 1.33.8 -> 1.34 (agent pool)
        4. control plane 1.34 -> 1.35 (managed cluster)
        5. pool systemkk3 1.34 -> 1.35 (agent pool)
        6. pool worki32 1.34 -> 1.35 (agent pool)
    "#]]
    .assert_eq(&steps(&plan.output, "pay-aks"));
    expect![[r#"
        1. control plane 1.33 -> 1.34 (GKE cluster)
        2. control plane 1.34 -> 1.35 (GKE cluster)
        3. node pool system-t51 1.33 -> 1.35 (GKE node pool)
        4. node pool work-25l 1.33 -> 1.35 (GKE node pool)
    "#]]
    .assert_eq(&steps(&plan.output, "pay-gke"));
}

#[test]
fn what_empties_a_pool_or_evicts_from_it_is_said() {
    let cloud = Cloud::start();
    let both = |change: &dyn Fn(String) -> String| {
        let clusters = [aks("pay-aks", "1.34"), gke("pay-gke", "1.34")];
        clusters
            .map(|it| change(it.replace("min_nodes = 0", "min_nodes = 1")))
            .concat()
    };
    let workspace = Workspace::new(&cloud, &both(&|it| it));
    workspace.apply().succeeds();
    workspace.configure(&both(&|it| {
        it.replace("  profile ", "  standby = true\n  profile ")
    }));
    let plan = workspace.plans_something();
    expect![[r#"
        1. update pool worki32 to no nodes: standby (agent pool)
    "#]]
    .assert_eq(&steps(&plan.output, "pay-aks"));
    // No pod waits for it, and it has no node yet.
    expect![[""]].assert_eq(&steps(&plan.output, "pay-gke"));

    let taint =
        r#"taints = [{ key = "gone", value = "yes", effect = "no_execute" }], min_nodes = 1"#;
    workspace.configure(&both(&|it| {
        it.replace(
            "min_nodes = 1, max_nodes = 2 }\n  }",
            &format!("{taint}, max_nodes = 2 }}\n  }}"),
        )
    }));
    let plan = workspace.plans_something();
    expect![[r#"
        1. update pool worki32: node_pools["work"].taints (agent pool)
    "#]]
    .assert_eq(&steps(&plan.output, "pay-aks"));
    expect![[r#"
        1. update node pool work-25l: taint gone evicts (GKE node pool)
    "#]]
    .assert_eq(&steps(&plan.output, "pay-gke"));
}

/// Regions of the GKE clusters among the twenty: each has ranges for one.
const REGIONS: [&str; 10] = [
    "europe-north1",
    "europe-southwest1",
    "europe-west1",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "us-central1",
    "us-east1",
    "us-west1",
];

/// The n-th of twenty clusters before or after its change: an upgrade or a rotation, on AKS or GKE.
fn one_of_twenty(number: usize, is_changed: bool) -> String {
    let name = format!("pay-{number:02}");
    let (is_rotated, is_gke) = (number % 2 == 1, number % 4 >= 2);
    let version = if is_changed && !is_rotated {
        "1.35"
    } else {
        "1.34"
    };
    let cluster = if is_gke {
        gke(&name, version).replace("europe-west1", REGIONS[number / 4 * 2 + number % 2])
    } else {
        aks(&name, version)
    };
    if is_changed && is_rotated {
        cluster.replace(
            "work   = { vcpu = 2, memory_gb = 8",
            "work   = { vcpu = 4, memory_gb = 16",
        )
    } else {
        cluster
    }
}

#[test]
fn twenty_disruptive_changes_show_twenty_step_lists() {
    let cloud = Cloud::start();
    let twenty = |is_changed| -> String {
        (0..20)
            .map(|number| one_of_twenty(number, is_changed))
            .collect()
    };
    let workspace = Workspace::new(&cloud, &twenty(false));
    workspace.apply().succeeds();
    workspace.configure(&twenty(true));
    let plan = workspace.plans_something();
    let lists: Vec<String> = (0..20)
        .map(|number| steps(&plan.output, &format!("pay-{number:02}")))
        .collect();
    expect![[r#"
        1. control plane 1.34.5 -> 1.35 (managed cluster)
        2. pool systemkk3 1.34.5 -> 1.35 (agent pool)
        3. pool worki32 1.34.5 -> 1.35 (agent pool)
    "#]]
    .assert_eq(&lists[0]);
    expect![[r#"
        1. create agent pool workeox (agent pool)
        2. drain pool worki32 (drain)
        3. delete agent pool worki32 (agent pool)
    "#]]
    .assert_eq(&lists[1]);
    expect![[r#"
        1. control plane 1.34 -> 1.35 (GKE cluster)
        2. node pool system-t51 1.34 -> 1.35 (GKE node pool)
        3. node pool work-25l 1.34 -> 1.35 (GKE node pool)
    "#]]
    .assert_eq(&lists[2]);
    expect![[r#"
        1. create node pool work-4h3 (GKE node pool)
        2. delete GKE node pool work-25l (GKE node pool)
    "#]]
    .assert_eq(&lists[3]);
    for (number, list) in lists.iter().enumerate() {
        assert_eq!(*list, lists[number % 4], "pay-{number:02}: {plan}");
    }
}

/// Quiet changes beside several versions, and a stop beside everything: a stopped cluster takes no
/// change, and the nodes of one that is off take their version asleep.
#[test]
fn what_comes_beside_an_upgrade_or_a_stop_is_listed_once_and_in_its_place() {
    let cloud = Cloud::start();
    let with = |cluster: String, change: &str| {
        let fixed = cluster.replace(
            "min_nodes = 1, max_nodes = 2",
            "min_nodes = 2, max_nodes = 2",
        );
        fixed.replace(
            "deletion_protection",
            &format!("{change}\n  deletion_protection"),
        )
    };
    let off = r#"power = "off""#;
    let on = r#"power = "on""#;
    let labels = r#"labels = { team = "payments" }"#;
    let there = |name: &str| gke(name, "1.33").replace("europe-west1", "europe-west2");
    let before = [
        with(aks("wakes", "1.33"), off),
        with(aks("sleeps", "1.34"), on),
        with(gke("climbs", "1.33"), ""),
        with(there("dozes"), ""),
    ];
    let workspace = Workspace::new(&cloud, &before.concat());
    workspace.apply().succeeds();
    let pool =
        "  node_pools = {\n    batch  = { vcpu = 2, memory_gb = 8, min_nodes = 0, max_nodes = 2 }";
    let sleeps = aks("sleeps", "1.34").replace("  node_pools = {", pool);
    let dozes = there("dozes").replace("\"1.33\"", "\"1.34\"");
    let after = [
        with(aks("wakes", "1.35"), on),
        with(sleeps, &format!("{off}\n  {labels}")),
        with(gke("climbs", "1.35"), labels),
        with(dozes, &format!("{off}\n  {labels}")),
    ];
    workspace.configure(&after.concat());
    let plan = workspace.plans_something();
    expect![[r#"
        1. start cluster wakes (managed cluster)
        2. control plane 1.33.8 -> 1.34 (managed cluster)
        3. pool systemkk3 1.33.8 -> 1.34 (agent pool)
        4. pool worki32 1.33.8 -> 1.34 (agent pool)
        5. control plane 1.34 -> 1.35 (managed cluster)
        6. pool systemkk3 1.34 -> 1.35 (agent pool)
        7. pool worki32 1.34 -> 1.35 (agent pool)
    "#]]
    .assert_eq(&steps(&plan.output, "wakes"));
    expect![[r#"
        1. update tags.team (managed identity)
        2. update cluster sleeps: labels (managed cluster)
        3. create agent pool batchn3p (agent pool)
        4. update pool systemkk3: labels (agent pool)
        5. update pool worki32: labels (agent pool)
        6. stop cluster sleeps (managed cluster)
    "#]]
    .assert_eq(&steps(&plan.output, "sleeps"));
    expect![[r#"
        1. update cluster climbs: labels (GKE cluster)
        2. control plane 1.33 -> 1.34 (GKE cluster)
        3. control plane 1.34 -> 1.35 (GKE cluster)
        4. node pool system-t51 1.33 -> 1.35 (GKE node pool)
        5. node pool work-25l 1.33 -> 1.35 (GKE node pool)
    "#]]
    .assert_eq(&steps(&plan.output, "climbs"));
    expect![[r#"
        1. update cluster dozes: labels (GKE cluster)
        2. control plane 1.33 -> 1.34 (GKE cluster)
        3. node pool system-t51 to no nodes (GKE node pool)
        4. node pool system-t51 1.33 -> 1.34 (GKE node pool)
        5. update node pool work-25l: power (GKE node pool)
        6. node pool work-25l 1.33 -> 1.34 (GKE node pool)
    "#]]
    .assert_eq(&steps(&plan.output, "dozes"));
}
