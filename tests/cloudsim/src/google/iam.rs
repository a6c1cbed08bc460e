//! Service accounts, as far as nodes run as one.

use serde_json::{Value, json};

use super::{
    access::{self, Caller},
    json::{set, text},
    jwt,
    names::{draw, fingerprint, project_number},
    project::PROJECTS,
    refusal::Refusal,
    token,
};
use crate::core::{World, clock};

const ACCOUNTS: &str = "google.accounts";

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
    let fresh = |account: &Value| {
        account["made"]
            .as_i64()
            .is_some_and(|made| world.clock.now() - made < 5000)
    };
    exists(world, email) && !world.store.find(ACCOUNTS, email).is_some_and(fresh)
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
            find(world, project, email).map(|account| shown(&account))
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
            let email = text(&account, "/email").to_owned();
            world.store.remove(ACCOUNTS, &email);
            access::forget_policy(world, &resource_of(&email));
            Ok(json!({}))
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
            Ok(access::policy(
                world,
                &resource_of(text(&account, "/email")),
            ))
        }
        ("POST", [email], "setIamPolicy") => {
            caller.needs("iam.serviceAccounts.setIamPolicy", &resource)?;
            let account = find(world, project, email)?;
            access::set_policy(
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
    Err(Refusal::no_such(format!(
        "Service account projects/{project}/serviceAccounts/{account_name} does not exist."
    )))
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
