//! Service accounts, as far as nodes run as one.

use serde_json::{Value, json};

use super::{
    access::Caller,
    json::{set, text},
    jwt,
    names::{draw, fingerprint, project_number},
    policy,
    project::PROJECTS,
    refusal::Refusal,
    token,
};
use crate::core::{Millis, World, clock};

const ACCOUNTS: &str = "google.accounts";
/// Deleted accounts, by unique id.
const GONE: &str = "google.accounts.gone";
/// How long a deleted account can be taken back.
const KEPT: Millis = 30 * 24 * 3600 * 1000;
/// How long a new account is not shown, in milliseconds.
const UNSEEN: Millis = 2000;
/// How long other services do not know a new account, in milliseconds.
const UNKNOWN: Millis = 5000;

/// The full name of an account.
pub(crate) fn resource_of(email: &str) -> String {
    format!("serviceAccounts/{email}")
}

/// Whether there is such an account: made by someone, or the default one of a project.
pub(crate) fn exists(world: &World, email: &str) -> bool {
    let default = "-compute@developer.gserviceaccount.com";
    let number = email.strip_suffix(default);
    let own = PROJECTS
        .iter()
        .any(|project| number == Some(project_number(project).to_string().as_str()));
    own || email == jwt::ACCOUNT || world.store.find(ACCOUNTS, email).is_some()
}

/// Whether other services know the account already: a new one takes some seconds.
pub(crate) fn known(world: &World, email: &str) -> bool {
    let account = world.store.find(ACCOUNTS, email);
    exists(world, email) && !account.is_some_and(|account| is_younger(world, account, UNKNOWN))
}

fn is_younger(world: &World, account: &Value, age: Millis) -> bool {
    let made = account["made"].as_i64();
    made.is_some_and(|made| !world.has_settled(made, age))
}

/// An account without what only the simulator knows.
fn shown(account: &Value) -> Value {
    let mut shown = account.clone();
    set(&mut shown, "made", Value::Null);
    shown
}

/// Answers a request below `…/serviceAccounts`.
pub(crate) fn answer(
    world: &mut World,
    caller: &Caller,
    method: &str,
    project: &str,
    rest: &[&str],
    verb: &str,
    body: &Value,
) -> Result<Value, Refusal> {
    // `-` leaves it to the account's name to tell the project.
    let project = match (project, rest.first()) {
        ("-", Some(email)) => owner_of(email),
        _ => project,
    };
    let resource = format!("projects/{project}");
    match (method, rest, verb) {
        ("GET", [], "") => {
            caller.needs("iam.serviceAccounts.list", &resource)?;
            let of_project = |account: &&Value| account["projectId"] == project;
            let accounts: Vec<Value> = world
                .store
                .list(ACCOUNTS)
                .map(|(_, account)| account)
                .filter(of_project)
                .filter(|account| !is_younger(world, account, UNSEEN))
                .map(shown)
                .collect();
            Ok(if accounts.is_empty() {
                json!({})
            } else {
                json!({ "accounts": accounts })
            })
        }
        ("POST", [], "") => {
            caller.needs("iam.serviceAccounts.create", &resource)?;
            create(world, project, body)
        }
        ("GET", [email], "") => {
            caller.needs("iam.serviceAccounts.get", &resource)?;
            let account = find(world, project, email)?;
            if is_younger(world, &account, UNSEEN) {
                return Err(no_account(project, email));
            }
            Ok(shown(&account))
        }
        ("PATCH", [email], "") => {
            caller.needs("iam.serviceAccounts.update", &resource)?;
            let mut account = find(world, project, email)?;
            for field in ["displayName", "description"] {
                if let Some(value) = body["serviceAccount"].get(field) {
                    account[field] = value.clone();
                }
            }
            let email = text(&account, "/email").to_owned();
            world.store.put(ACCOUNTS, &email, account.clone());
            Ok(shown(&account))
        }
        ("DELETE", [email], "") => {
            caller.needs("iam.serviceAccounts.delete", &resource)?;
            let account = find(world, project, email)?;
            delete(world, account);
            Ok(json!({}))
        }
        ("POST", [unique_id], "undelete") => {
            caller.needs("iam.serviceAccounts.undelete", &resource)?;
            undelete(world, project, unique_id)
        }
        ("POST", [email], "generateAccessToken") => {
            let account = find(world, project, email)?;
            let (email, owner) = (
                text(&account, "/email").to_owned(),
                text(&account, "/projectId").to_owned(),
            );
            caller.needs(
                "iam.serviceAccounts.getAccessToken",
                &format!("projects/{owner}"),
            )?;
            let (token, expires) = token::issue(world, &format!("serviceAccount:{email}"));
            Ok(json!({ "accessToken": token, "expireTime": clock::text_of(expires) }))
        }
        ("POST", [email, "keys"], "") => {
            caller.needs("iam.serviceAccountKeys.create", &resource)?;
            let account = find(world, project, email)?;
            jwt::create_key(world, project, text(&account, "/email"))
        }
        ("POST" | "GET", [email], "getIamPolicy") => {
            caller.needs("iam.serviceAccounts.getIamPolicy", &resource)?;
            let account = find(world, project, email)?;
            let version = body["options"]["requestedPolicyVersion"].as_u64();
            Ok(policy::policy(
                world,
                &resource_of(text(&account, "/email")),
                version.unwrap_or_default(),
            ))
        }
        ("POST", [email], "setIamPolicy") => {
            caller.needs("iam.serviceAccounts.setIamPolicy", &resource)?;
            let account = find(world, project, email)?;
            policy::set_policy(
                world,
                &resource_of(text(&account, "/email")),
                &body["policy"],
            )
        }
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

/// The project of an account, by its name.
fn owner_of(email: &str) -> &str {
    let by_number = |project: &&&str| email.starts_with(&project_number(project).to_string());
    let by_name = |project: &&&str| email.ends_with(&format!("@{project}.iam.gserviceaccount.com"));
    PROJECTS
        .iter()
        .find(by_number)
        .or_else(|| PROJECTS.iter().find(by_name))
        .copied()
        .unwrap_or("-")
}

fn create(world: &mut World, project: &str, body: &Value) -> Result<Value, Refusal> {
    let id = text(body, "/accountId");
    let good = (6..=30).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && !id.ends_with('-')
        && id
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    if !good {
        return Err(Refusal::invalid(format!(
            "Invalid service account name \"{id}\": must be 6 to 30 lowercase letters, digits and dashes, starting with \
             a letter."
        )));
    }
    let email = format!("{id}@{project}.iam.gserviceaccount.com");
    if exists(world, &email) {
        return Err(Refusal::exists(format!(
            "Service account {id} already exists within project projects/{project}."
        )));
    }
    let made = world.clock.now();
    let account = json!({
        "name": format!("projects/{project}/serviceAccounts/{email}"),
        "projectId": project,
        "uniqueId": format!("1{:020}", draw(&format!("{email}{made}"), 99_999_999_999_999)),
        "email": email,
        "displayName": text(body, "/serviceAccount/displayName"),
        "description": text(body, "/serviceAccount/description"),
        "oauth2ClientId": format!("1{:020}", draw(&fingerprint(&email), 99_999_999_999_999)),
        "etag": "MDEwMjE5MjA=",
    });
    let mut stored = account.clone();
    stored["made"] = json!(made);
    world.store.put(ACCOUNTS, &email, stored);
    Ok(account)
}

/// Deletes an account. Its bindings stay behind, and a new account of the same name does not
/// get them (IAM documentation, "Delete and undelete service accounts", read 2026-11).
fn delete(world: &mut World, account: Value) {
    let (email, unique) = (
        text(&account, "/email").to_owned(),
        text(&account, "/uniqueId").to_owned(),
    );
    world.store.remove(ACCOUNTS, &email);
    policy::forget(world, &resource_of(&email));
    let [before, after] = members(&email, &unique);
    policy::rename_member(world, &before, &after);
    let mut gone = account;
    gone["deleted"] = json!(world.clock.now());
    world.store.put(GONE, &unique, gone);
}

/// An account as policies name it while it exists, and after its deletion.
fn members(email: &str, unique: &str) -> [String; 2] {
    [
        format!("serviceAccount:{email}"),
        format!("deleted:serviceAccount:{email}?uid={unique}"),
    ]
}

fn undelete(world: &mut World, project: &str, unique: &str) -> Result<Value, Refusal> {
    let now = world.clock.now();
    let gone = world.store.find(GONE, unique).cloned();
    let Some(mut account) = gone.filter(|gone| {
        let deleted = gone["deleted"].as_i64().unwrap_or_default();
        gone["projectId"] == project && now - deleted < KEPT
    }) else {
        return Err(no_account(project, unique));
    };
    let email = text(&account, "/email").to_owned();
    if exists(world, &email) {
        return Err(Refusal::precondition(format!(
            "A service account with the email {email} already exists."
        )));
    }
    world.store.remove(GONE, unique);
    set(&mut account, "deleted", Value::Null);
    let [after, before] = members(&email, unique);
    policy::rename_member(world, &before, &after);
    world.store.put(ACCOUNTS, &email, account.clone());
    Ok(json!({ "restoredAccount": shown(&account) }))
}

fn no_account(project: &str, name: &str) -> Refusal {
    Refusal::no_such(format!(
        "Service account projects/{project}/serviceAccounts/{name} does not exist."
    ))
}

fn find(world: &World, project: &str, account_name: &str) -> Result<Value, Refusal> {
    let mut of_project = world
        .store
        .list(ACCOUNTS)
        .map(|(_, account)| account)
        .filter(|account| project == "-" || account["projectId"] == project);
    if let Some(account) = of_project
        .find(|account| account["email"] == account_name || account["uniqueId"] == account_name)
    {
        return Ok(account.clone());
    }
    if exists(world, account_name) {
        return Ok(json!({
            "name": format!("projects/{project}/serviceAccounts/{account_name}"),
            "projectId": project,
            "uniqueId": format!("1{:020}", draw(account_name, 99_999_999_999_999)),
            "email": account_name,
            "displayName": "Compute Engine default service account",
        }));
    }
    Err(no_account(project, account_name))
}

/// Every live account.
pub(crate) fn inventory(world: &World) -> Vec<Value> {
    world
        .store
        .list(ACCOUNTS)
        .map(|(_, account)| {
            json!({
                "cloud": "google",
                "type": "iam.googleapis.com/ServiceAccount",
                "id": account["name"],
                "name": account["email"],
            })
        })
        .collect()
}
