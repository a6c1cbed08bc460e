//! Which room uses which: a new arrow shows in review as a change of this file.

use std::{fmt::Write as _, path::Path, process::Command};

use expect_test::expect;
use serde_json::Value;

fn packages() -> Vec<Value> {
    let answer = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(paymesh_tidy::top())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&answer.stdout).expect("cargo metadata is JSON");
    let mut packages = metadata["packages"].as_array().unwrap().clone();
    packages.sort_by_key(|package| package["name"].to_string());
    packages
}

/// The rooms that a package uses, tests included.
fn uses(package: &Value) -> impl Iterator<Item = &Value> {
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies.iter().filter(|it| it["path"].is_string())
}

/// What only generated code names.
const GENERATED: [&str; 3] = ["prost", "prost-types", "tonic-prost"];

/// Whether `text` has `name` as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(name).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + name.len()..].chars().next())
    })
}

#[test]
fn a_package_depends_on_nothing_that_its_sources_do_not_name() {
    let mut idle = Vec::new();
    for package in packages() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent();
        let folder = folder.and_then(|folder| folder.strip_prefix(paymesh_tidy::top()).ok());
        let sources = paymesh_tidy::files(folder.unwrap().to_str().unwrap(), ".rs");
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["rename"].as_str();
            let name = name.or(dependency["name"].as_str()).unwrap();
            let word = name.replace('-', "_");
            if !GENERATED.contains(&name) && !sources.iter().any(|(_, text)| names(text, &word)) {
                idle.push(format!("{} -> {name}", package["name"].as_str().unwrap()));
            }
        }
    }
    assert_eq!(idle, Vec::<String>::new());
}

#[test]
fn what_is_delivered_uses_nothing_of_the_tests() {
    let tests = paymesh_tidy::top().join("tests");
    let is_below = |path: &Value| Path::new(path.as_str().unwrap()).starts_with(&tests);
    for package in packages() {
        let uses_tests = uses(&package).any(|it| is_below(&it["path"]));
        assert!(
            !uses_tests || is_below(&package["manifest_path"]),
            "{}",
            package["name"]
        );
    }
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut edges = String::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let mut uses: Vec<String> = uses(&package)
            .map(|dependency| {
                let kind = dependency["kind"]
                    .as_str()
                    .map_or(String::new(), |kind| format!(" ({kind})"));
                format!("{}{kind}", dependency["name"].as_str().unwrap())
            })
            .collect();
        uses.sort();
        writeln!(
            edges,
            "{name} -> {}",
            if uses.is_empty() {
                "nothing".into()
            } else {
                uses.join(", ")
            }
        )
        .unwrap();
    }
    expect![[r#"
        paymesh -> paymesh-azure, paymesh-clock, paymesh-cloud, paymesh-engine, paymesh-google, paymesh-kubernetes, paymesh-plugin
        paymesh-acceptance -> nothing
        paymesh-acquirer -> nothing
        paymesh-azure -> paymesh-clock, paymesh-cloud, paymesh-engine, paymesh-kubernetes
        paymesh-beds -> nothing
        paymesh-bus -> paymesh-operations, paymesh-transport
        paymesh-cli -> paymesh-azure, paymesh-clock, paymesh-engine, paymesh-google
        paymesh-clock -> nothing
        paymesh-cloud -> paymesh-clock
        paymesh-cloudsim -> nothing
        paymesh-contracts -> nothing
        paymesh-crash -> paymesh-acceptance
        paymesh-db-operator -> paymesh-operations
        paymesh-engine -> paymesh-clock
        paymesh-fuzz -> paymesh (dev), paymesh-azure (dev), paymesh-bus (dev), paymesh-clock (dev), paymesh-contracts (dev), paymesh-db-operator (dev), paymesh-engine (dev), paymesh-google (dev), paymesh-kubernetes (dev), paymesh-merchant-page (dev), paymesh-operations (dev), paymesh-payment-api (dev), paymesh-payment-processor (dev), paymesh-persistence (dev), paymesh-plugin (dev), paymesh-probe (dev), paymesh-transport (dev)
        paymesh-google -> paymesh-clock, paymesh-cloud, paymesh-engine, paymesh-kubernetes
        paymesh-kubernetes -> nothing
        paymesh-merchant-page -> paymesh-contracts, paymesh-operations, paymesh-transport
        paymesh-operations -> nothing
        paymesh-operator-tests -> paymesh-beds
        paymesh-payment-api -> paymesh-contracts, paymesh-operations, paymesh-transport
        paymesh-payment-processor -> paymesh-bus, paymesh-contracts, paymesh-operations, paymesh-transport
        paymesh-payments -> paymesh-beds
        paymesh-persistence -> paymesh-bus, paymesh-contracts, paymesh-operations, paymesh-transport
        paymesh-plugin -> paymesh-plugin-derive
        paymesh-plugin-derive -> nothing
        paymesh-probe -> paymesh-contracts, paymesh-operations, paymesh-transport
        paymesh-tidy -> nothing
        paymesh-transport -> paymesh-contracts, paymesh-operations
    "#]].assert_eq(&edges);
}
