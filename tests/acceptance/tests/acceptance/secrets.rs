//! No credential and no token is in what a run leaves behind or prints: state, saved plan, log of
//! everything, the cloud's journal, errors.

mod canaries;
mod vouchers;

use std::fs;

use canaries::{Canaries, Places};
use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
};
use serde_json::json;
use vouchers::Vouchers;

/// The state lies in the simulated cloud, behind a password.
const BACKEND: &str = "terraform {\n  backend \"http\" {}\n}\n";

#[test]
fn no_canary_leaves_its_cage() {
    let cloud = Cloud::start();
    let mut canaries = Canaries::of(&cloud);
    let password = "canary-of-the-state-password";
    canaries.add("password of the state", password);
    let vouchers = Vouchers::of(&cloud);
    canaries.add_vouchers();
    let key = service_account_key(&cloud);
    canaries.add_lines("key of the service account", &key);

    let clusters = [
        ClusterBlock::plain(Provider::Aks, "one"),
        ClusterBlock::plain(Provider::Gke, "two"),
    ];
    let workspace = Workspace::with_environment(
        &cloud,
        &format!("{BACKEND}{}", configuration(&clusters)),
        &backend(&cloud, password),
    );
    let mut places = Places::default();
    let mut run = |what: &str, words: &[&str], environment: &[(&str, String)]| {
        let (run, log) = workspace.trace_with(words, environment);
        let run = run.succeeds();
        places.add(&format!("log of {what}"), log);
        places.add(&format!("output of {what}"), run.output);
        places.add_state(&cloud, what);
        places.add_workspace(&workspace, what);
    };
    run("apply", &["apply", "-auto-approve"], &[]);
    // Who is vouched for by others looks only: these do not know how fast the cloud's clock runs.
    let provider = vouchers.provider();
    workspace.configure(&format!("{BACKEND}{provider}{}", configuration(&clusters)));
    let job = vouchers.job(vouchers::IDENTITY_HEADER, vouchers::JOB);
    run("a job", &["apply", "-auto-approve"], &job);
    let machine = vouchers.machine();
    run("a machine", &["plan", "-out=planned"], &machine);
    run("show", &["show", "-json", "planned"], &[]);
    workspace.configure(&format!("{BACKEND}{}", configuration(&clusters)));
    run("destroy", &["destroy", "-auto-approve"], &[]);
    places.add("journal", cloud.journal_text());
    places.add("log of the simulated cloud", cloud.log());
    assert!(places.are_full(), "a place is empty: {places}");
    assert_eq!(canaries.found_in(&places), Vec::<String>::new());
}

#[test]
fn a_refused_credential_is_not_in_the_error() {
    let cloud = Cloud::start();
    let mut canaries = Canaries::of(&cloud);
    let wrong = "canary-of-a-wrong-secret";
    canaries.add("wrong secret", wrong);
    for file in ["client_secret_file", "google_credentials_file"] {
        let path = cloud.card()[file].as_str().expect("the card names it");
        let text = fs::read_to_string(path).expect("it can be read");
        let broken = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(mut credentials) => {
                credentials["client_secret"] = wrong.into();
                credentials["refresh_token"] = wrong.into();
                credentials.to_string()
            }
            Err(_) => wrong.to_owned(),
        };
        fs::write(path, broken).expect("it can be written");
    }
    for provider in [Provider::Aks, Provider::Gke] {
        let cluster = ClusterBlock::plain(provider, "one");
        let workspace = Workspace::new(&cloud, &cluster.to_string());
        let (run, log) = workspace.trace(&["apply", "-auto-approve"]);
        assert_eq!(run.status.code(), Some(1), "{run}");
        let mut places = Places::default();
        places.add("output", run.output);
        places.add("log", log);
        assert!(places.are_full(), "a place is empty: {places}");
        assert_eq!(canaries.found_in(&places), Vec::<String>::new());
    }
}

#[test]
fn a_refused_job_or_machine_is_not_in_the_error() {
    let cloud = Cloud::start();
    let mut canaries = Canaries::of(&cloud);
    let (header, job) = ("canary-of-an-old-header", "canary-of-an-old-job");
    canaries.add("old header", header);
    canaries.add("old job", job);
    let vouchers = Vouchers::of(&cloud);
    let clusters = [
        ClusterBlock::plain(Provider::Aks, "one"),
        ClusterBlock::plain(Provider::Gke, "two"),
    ];
    let configuration = format!("{}{}", vouchers.provider(), configuration(&clusters));
    let workspace = Workspace::new(&cloud, &configuration);
    let (run, log) = workspace.trace_with(&["plan"], &vouchers.job(header, job));
    let run = run.fails_with("no Azure credentials");
    let run = run.says("no Google access token");
    let mut places = Places::default();
    places.add("output", run.output);
    places.add("log", log);
    assert!(places.are_full(), "a place is empty: {places}");
    assert_eq!(canaries.found_in(&places), Vec::<String>::new());
}

#[test]
fn a_canary_that_is_set_free_is_found_wherever_it_goes() {
    let cloud = Cloud::start();
    let mut canaries = Canaries::of(&cloud);
    let free = "canary-set-free";
    canaries.add("free canary", free);
    let cluster = ClusterBlock::plain(Provider::Aks, "one").with(&format!("name = \"{free}\""));
    let workspace = Workspace::new(&cloud, &cluster.to_string());
    let (run, log) = workspace.trace(&["apply", "-auto-approve"]);
    let run = run.succeeds();
    workspace
        .trace(&["plan", "-destroy", "-out=planned"])
        .0
        .succeeds();
    let mut places = Places::default();
    places.add("log", log);
    places.add("output", run.output);
    places.add("journal", cloud.journal_text());
    places.add_workspace(&workspace, "plan");
    let found = canaries.found_in(&places);
    let expected = [
        "journal",
        "log",
        "main.tf",
        "output",
        "planned",
        "progress",
        "terraform.tfstate",
    ];
    let names = found.iter().map(|leak| {
        let place = leak.trim_start_matches("free canary in ");
        place.trim_end_matches(" after plan")
    });
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

fn backend(cloud: &Cloud, password: &str) -> Vec<(String, String)> {
    let card = cloud.card();
    let word = |key: &str| card[key].as_str().expect("the card has it").to_owned();
    let authority = fs::read_to_string(word("ca")).expect("the authority can be read");
    let address = format!("{}/terraform/secrets", word("control"));
    let named = [
        ("ADDRESS", address.clone()),
        ("LOCK_ADDRESS", address.clone()),
        ("UNLOCK_ADDRESS", address),
        ("USERNAME", "paymesh".to_owned()),
        ("PASSWORD", password.to_owned()),
        ("CLIENT_CA_CERTIFICATE_PEM", authority),
    ];
    named
        .into_iter()
        .map(|(name, value)| (format!("TF_HTTP_{name}"), value))
        .collect()
}

/// The provider signs in with the key of a service account from now on; the key's secret.
fn service_account_key(cloud: &Cloud) -> String {
    let google = cloud.google();
    let project = "/v1/projects/paymesh-hub";
    let account =
        json!({ "accountId": "deployer" , "serviceAccount": { "displayName": "deployer" } });
    let account = google.ask(&format!("{project}/serviceAccounts"), &account);
    let email = account["email"]
        .as_str()
        .expect("an account has an address");
    // The rest of the cloud learns of an account some time after it was made.
    cloud.pass(300);
    let policy = format!("{project}:getIamPolicy");
    let mut policy = google.ask(&policy, &json!({}));
    let binding = json!({ "role": "roles/owner", "members": [format!("serviceAccount:{email}")] });
    policy["bindings"]
        .as_array_mut()
        .expect("a policy has bindings")
        .push(binding);
    google.ask(
        &format!("{project}:setIamPolicy"),
        &json!({ "policy": policy }),
    );
    let key = google.ask(
        &format!("{project}/serviceAccounts/{email}/keys"),
        &json!({}),
    );
    let file = canaries::decoded(key["privateKeyData"].as_str().expect("a key has data"));
    let path = cloud.card()["google_credentials_file"]
        .as_str()
        .expect("the card names it");
    fs::write(path, &file).expect("it can be written");
    let file: serde_json::Value = serde_json::from_str(&file).expect("a key file is JSON");
    file["private_key"]
        .as_str()
        .expect("a key file has a key")
        .to_owned()
}
