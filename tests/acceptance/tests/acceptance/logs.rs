//! The log of a run says what was asked of a cloud, how long it took, and under which id the cloud
//! knows it.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};

/// What must stand in the line of each write. Google names no requests, only operations.
fn check_logged(provider: Provider, verb: &str, words: &[&str]) {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &ClusterBlock::plain(provider, "one").to_string());
    let (run, log) = workspace.trace(&["apply", "-auto-approve"]);
    run.succeeds();
    let log = String::from_utf8_lossy(log.as_ref()).into_owned();
    let verb = format!(" {verb} ");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(&verb) && line.contains(" status="))
        .collect();
    assert!(!lines.is_empty(), "no write is in the log");
    for line in lines {
        for word in words {
            assert!(line.contains(word), "no {word} in: {line}");
        }
    }
}

#[test]
fn a_request_is_logged_with_its_duration_and_the_clouds_id() {
    check_logged(Provider::Aks, "PUT", &[" ms=", " tries=", " request_id="]);
    check_logged(Provider::Gke, "POST", &[" ms=", " tries="]);
}
