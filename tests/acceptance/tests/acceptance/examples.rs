//! What the documentation shows: every example is valid, and every cluster of it can be planned.

use std::{collections::BTreeMap, fs, path::Path};

use paymesh_acceptance::{Client, Cloud, Workspace};

/// The configurations below `examples`, by the last word of their names.
fn examples() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("examples are there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "tf") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = fs::read_to_string(&path).expect("it is text");
                let other = found.insert(name.into_owned(), text);
                assert_eq!(other, None, "{}: a second one", path.display());
            }
        }
    }
    found
}

/// The configurations in a page of Markdown.
fn blocks(page: &str, language: &str) -> String {
    let begin = format!("```{language}\n");
    let parts = page.split(&begin).skip(1);
    let parts = parts.filter_map(|rest| rest.split("```").next());
    parts.collect()
}

#[test]
fn every_example_is_valid() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, "");
    let mut examples = examples();
    let mut take = |name: &str| {
        examples
            .remove(name)
            .unwrap_or_else(|| panic!("there is no {name}.tf"))
    };
    let provider = take("provider");
    let check_valid = |files: &[&str]| {
        fs::write(workspace.module().join("main.tf"), &provider).expect("it can be written");
        workspace.configure_beside("examples", &files.concat());
        workspace.run(&["validate"]).succeeds();
    };
    // Nothing of Kubernetes is installed here: its provider's lines become values like any other.
    let ephemeral = take("ephemeral-resource").replace("provider \"kubernetes\"", "locals");
    let (data, azure, google) = (
        take("data-source"),
        take("resource"),
        take("resource-google"),
    );
    check_valid(&[&azure, &data, &ephemeral]);
    check_valid(&[&google, &take("import-by-string-id")]);
    let by_identity = take("import-by-identity");
    let client = Client::here();
    if client.at_least(1, 12) && !client.is_opentofu() {
        check_valid(&[&google, &by_identity]);
    }
    // The demo applies it.
    take("main");
    assert_eq!(examples.into_keys().collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn what_the_documentation_shows_can_be_planned() {
    let cloud = Cloud::start();
    let guide = include_str!("../../../../docs/guides/simulator.md");
    let readme = include_str!("../../../../README.md");
    let examples = examples();
    // Two clusters of one label or with the same ranges cannot stand side by side, and the simulated
    // cloud has no such project.
    let google = examples["resource-google"]
        .replace("\"main\"", "\"google\"")
        .replace("europe-west1", "europe-west4")
        .replace("projects/payments-prod/", "projects/paymesh-hub/")
        .replace("subnetworks/clusters", "subnetworks/default");
    let configuration = [
        &blocks(guide, "terraform"),
        &blocks(readme, "hcl"),
        &examples["resource"],
        &google,
    ];
    let workspace = Workspace::new(&cloud, &configuration.map(String::as_str).concat());
    workspace.plans_something().says("4 to add");
}
