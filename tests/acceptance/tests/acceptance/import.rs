//! An import writes nothing and takes nothing from anybody; its first write takes the cluster over.

use paymesh_acceptance::{
    Cloud, Run, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

const ADDRESS: &str = "paymesh_cluster.pay";

fn provider_block(owner: &str) -> String {
    format!("provider \"paymesh\" {{\n  owner = \"{owner}\"\n  simulator = true\n}}\n")
}

/// A cluster that no state knows; its path in its cloud's API, and its id.
fn lonely(cloud: &Cloud, provider: Provider) -> (String, String) {
    let block = ClusterBlock::plain(provider, "pay");
    let maker = Workspace::new(cloud, &block.to_string());
    maker.apply().succeeds();
    // What the cloud does by itself to a young cluster shall not meet what the test does.
    cloud.clock(&json!({ "freeze": true }));
    cloud.rest();
    let id = maker.attributes(ADDRESS)["id"].clone();
    let id = id.as_str().expect("a cluster has an id").to_owned();
    maker.run(&["state", "rm", ADDRESS]).succeeds();
    let path = match provider {
        Provider::Aks => id.clone(),
        Provider::Gke => format!("/v1/{id}"),
    };
    (path, id)
}

/// A state of `owner` that imported the cluster with the configuration that the client generates.
#[track_caller]
fn importer<'a>(cloud: &'a Cloud, owner: &str, id: &str) -> Workspace<'a> {
    let import = format!("import {{\n  to = {ADDRESS}\n  id = \"{id}\"\n}}\n");
    let workspace = Workspace::new(cloud, &format!("{}{import}", provider_block(owner)));
    let before = cloud.last_request();
    workspace
        .run(&["plan", "-generate-config-out=generated.tf"])
        .succeeds()
        .says("1 to import, 0 to add, 0 to change");
    workspace.apply().succeeds();
    workspace.plans_nothing();
    assert_eq!(cloud.writes(before), Vec::<String>::new());
    workspace
}

/// Sets a label beside the generated configuration.
fn label(workspace: &Workspace<'_>, team: &str) {
    workspace.configure_beside(
        "label_override",
        &format!(
            "resource \"paymesh_cluster\" \"pay\" {{\n  labels = {{ team = \"{team}\" }}\n}}\n"
        ),
    );
}

/// Applies with a line of its own beside the generated configuration.
fn beside(workspace: &Workspace<'_>, line: &str) -> Run {
    let block = format!("resource \"paymesh_cluster\" \"pay\" {{\n  {line}\n}}\n");
    workspace.configure_beside("label_override", &block);
    workspace.apply()
}

fn labels(cloud: &Cloud, provider: Provider, path: &str) -> Value {
    match provider {
        Provider::Aks => cloud.azure().get(path)["tags"].clone(),
        Provider::Gke => cloud.google().get(path)["resourceLabels"].clone(),
    }
}

/// The second of two importers writes first: the cluster is its own.
#[track_caller]
fn check_first_writer_owns(cloud: &Cloud, provider: Provider, path: &str, two: [Workspace<'_>; 2]) {
    let [first, second] = two;
    label(&second, "second");
    second.apply().succeeds();
    second.plans_nothing();
    let held = labels(cloud, provider, path);
    assert_eq!(held["team"], "second", "{held}");
    assert_eq!(held["paymesh-holder"], second.attributes(ADDRESS)["holder"]);

    let since = cloud.last_request();
    label(&first, "first");
    first.apply().fails_with("terraform state rm");
    first
        .destroy()
        .succeeds()
        .says("not deleted, only forgotten");
    assert_eq!(first.state(), []);
    assert_eq!(cloud.writes(since), Vec::<String>::new());
    second.plans_nothing();

    second.configure_beside(
        "label_override",
        "resource \"paymesh_cluster\" \"pay\" {\n  deletion_protection = false\n}\n",
    );
    second.apply().succeeds();
    second.destroy().succeeds();
    assert_eq!(
        cloud.all("managedClusters").len() + cloud.all("Cluster").len(),
        0
    );
}

fn check_two_importers(provider: Provider) {
    let cloud = Cloud::start();
    let (path, id) = lonely(&cloud, provider);
    let somebody = match provider {
        Provider::Aks => cloud.azure(),
        Provider::Gke => cloud.google(),
    };
    somebody.strip_marks(&path);
    let two = [
        importer(&cloud, "a/one", &id),
        importer(&cloud, "a/two", &id),
    ];
    check_first_writer_owns(&cloud, provider, &path, two);
}

#[test]
fn of_two_states_that_import_an_aks_cluster_the_first_to_write_has_it() {
    check_two_importers(Provider::Aks);
}

#[test]
fn of_two_states_that_import_a_gke_cluster_the_first_to_write_has_it() {
    check_two_importers(Provider::Gke);
}

#[test]
fn an_import_of_anothers_cluster_is_warned_of_and_takes_it_over() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let (path, id) = lonely(&cloud, provider);
        let import = format!("import {{\n  to = {ADDRESS}\n  id = \"{id}\"\n}}\n");
        let taker = Workspace::new(&cloud, &format!("{}{import}", provider_block("a/two")));
        taker
            .run(&["plan", "-generate-config-out=generated.tf"])
            .succeeds()
            .says("Another state owns the object that is imported: pay")
            .says("1 to import, 0 to add, 1 to change");
        taker.apply().succeeds();
        taker.plans_nothing();
        let held = labels(&cloud, provider, &path);
        assert_eq!(held["paymesh-holder"], taker.attributes(ADDRESS)["holder"]);
    }
}

/// Makes a cluster one that Paymesh would have made otherwise, in what no attribute speaks of.
fn loosen(cloud: &Cloud, provider: Provider, path: &str) {
    if provider == Provider::Gke {
        let order = json!({ "update": { "desiredShieldedNodes": { "enabled": false } } });
        cloud.google().act(&Method::PUT, path, Some(&order));
        return;
    }
    let azure = cloud.azure();
    azure.change(path, |body| {
        body["properties"]["disableLocalAccounts"] = false.into();
        body["properties"]["aadProfile"]["enableAzureRBAC"] = false.into();
    });
    let api = "api-version=2022-04-01";
    let roles = format!("{path}/providers/Microsoft.Authorization/roleAssignments");
    let assigned = azure.get(&format!("{roles}?{api}"));
    for role in assigned["value"].as_array().into_iter().flatten() {
        let id = role["id"].as_str().unwrap_or_default();
        if id.to_lowercase().starts_with(&path.to_lowercase()) {
            azure.act(&Method::DELETE, &format!("{id}?{api}"), None);
        }
    }
}

#[test]
fn the_plan_of_an_import_tells_what_the_apply_after_it_changes() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let (path, id) = lonely(&cloud, provider);
        loosen(&cloud, provider, &path);
        let import = format!("import {{\n  to = {ADDRESS}\n  id = \"{id}\"\n}}\n");
        let block = format!("{}{import}", provider_block("acceptance/one"));
        let workspace = Workspace::new(&cloud, &block);
        let first = workspace
            .run(&["plan", "-generate-config-out=generated.tf"])
            .succeeds()
            .says("1 to import, 0 to add, 0 to change")
            .says("What an import does not change, a later apply does: paymesh_cluster pay");
        workspace.apply().succeeds().says("0 changed");
        let second = workspace
            .plans_something()
            .says("What an import does not change, a later apply does: paymesh_cluster pay")
            .says("It was imported.");
        for plan in [&first, &second] {
            assert!(!plan.output.contains("outside Terraform"), "{plan}");
            if provider == Provider::Aks {
                for words in [
                    "(disturbs)",
                    "Nobody could sign in to the cluster any more: pay",
                ] {
                    assert!(plan.text().contains(words), "{words:?}: {plan}");
                }
            }
        }
        workspace.apply().succeeds();
        workspace.plans_nothing();
    }
}

#[test]
fn an_import_that_changes_too_tells_its_steps_before_and_not_after() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let (_, id) = lonely(&cloud, provider);
        let block = ClusterBlock::plain(provider, "pay").with("node_pools.work.max_nodes = 7");
        let import = format!("import {{\n  to = {ADDRESS}\n  id = \"{id}\"\n}}\n");
        let workspace = Workspace::new(&cloud, &format!("{import}{block}"));
        let title = "What an import does not change, a later apply does: paymesh_cluster pay";
        workspace
            .run(&["plan", "-out=planned"])
            .succeeds()
            .says(title)
            .says("It was imported. Apply changes, where");
        let applied = workspace.run(&["apply", "planned"]).succeeds();
        assert!(!applied.text().contains(title), "{applied}");
        workspace.plans_nothing();
    }
}

#[test]
fn an_aks_cluster_that_is_open_to_everybody_is_imported_with_a_warning() {
    let cloud = Cloud::start();
    let block = ClusterBlock::plain(Provider::Aks, "pay")
        .with(r#"api_access = { authorized_cidrs = ["203.0.113.0/24"] }"#);
    let maker = Workspace::new(&cloud, &block.to_string());
    maker.apply().succeeds();
    let id = maker.attributes(ADDRESS)["id"].clone();
    let id = id.as_str().expect("a cluster has an id");
    cloud.azure().change(id, |body| {
        body["properties"]["apiServerAccessProfile"]["authorizedIPRanges"] = json!([]);
    });
    maker.run(&["state", "rm", ADDRESS]).succeeds();
    let open = importer(&cloud, "acceptance/one", id);
    open.plan().says("Nobody is authorized, or everybody: pay");
    label(&open, "payments");
    open.apply().succeeds();
    open.plans_nothing();
    let body = cloud.azure().get(id);
    let ranges = &body["properties"]["apiServerAccessProfile"]["authorizedIPRanges"];
    assert!(ranges.as_array().is_none_or(Vec::is_empty), "{body:#}");
}

/// Nothing can be written to a stopped AKS cluster: it bears no mark of the state that imported it,
/// and what another tool made otherwise stays so.
#[test]
fn a_stopped_aks_cluster_that_was_imported_can_be_made_anew() {
    for local_accounts in [false, true] {
        let cloud = Cloud::start();
        let (path, id) = lonely(&cloud, Provider::Aks);
        cloud.azure().strip_marks(&path);
        if local_accounts {
            cloud.azure().change(&path, |body| {
                body["properties"]["disableLocalAccounts"] = false.into();
            });
        }
        cloud
            .azure()
            .act(&Method::POST, &format!("{path}/stop"), None);
        let owner = importer(&cloud, "acceptance/one", &id);
        let unprotected =
            "resource \"paymesh_cluster\" \"pay\" {\n  deletion_protection = false\n}\n";
        owner.configure_beside("label_override", unprotected);
        owner.apply().succeeds();
        assert_eq!(
            cloud.azure().get(&path)["tags"]["paymesh-owner"],
            json!(null)
        );
        let anew = format!("-replace={ADDRESS}");
        owner.run(&["apply", "-auto-approve", &anew]).succeeds();
        assert_eq!(cloud.all("managedClusters").len(), 1);
        owner.plans_nothing();
    }
}

#[test]
fn a_stopped_aks_cluster_that_was_imported_stays_the_first_owners_until_it_is_started() {
    let cloud = Cloud::start();
    let (path, id) = lonely(&cloud, Provider::Aks);
    let stop = format!("{path}/stop");
    cloud.azure().act(&Method::POST, &stop, None);
    let owner = importer(&cloud, "acceptance/two", &id);
    let since = cloud.last_request();
    let before = cloud.inventory();
    beside(&owner, "power = \"off\"").fails_with("Start it in the same change");
    owner.run(&["state", "rm", ADDRESS]).succeeds();
    assert_eq!(cloud.writes(since), Vec::<String>::new());
    assert_eq!(cloud.inventory(), before);

    let owner = importer(&cloud, "acceptance/two", &id);
    beside(&owner, "power = \"on\"").succeeds();
    let tags = cloud.azure().get(&path)["tags"].clone();
    assert_eq!(tags["paymesh-owner"], "acceptance/two", "{tags}");
}

#[test]
fn pools_that_are_imported_under_the_keys_they_had_keep_their_nodes_and_the_plan_says_so() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let (_, id) = lonely(&cloud, provider);
        let block = ClusterBlock::plain(provider, "pay");
        let import = format!("import {{\n  to = {ADDRESS}\n  id = \"{id}\"\n}}\n");
        let workspace = Workspace::new(&cloud, &format!("{import}{block}"));
        workspace
            .plans_something()
            .says("Pools change their keys and keep their nodes: pay");
        let before = cloud.last_request();
        workspace.apply().succeeds();
        let writes = cloud.writes(before);
        assert!(!writes.iter().any(|it| it.contains("DELETE")), "{writes:?}");
        let plan = workspace.plan();
        assert_eq!(plan.status.code(), Some(0), "{plan}");
        assert!(!plan.output.contains("change their keys"), "{plan}");
    }
}
