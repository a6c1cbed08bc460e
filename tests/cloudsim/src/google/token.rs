//! The token endpoint, and the credential files that name it.
//!
//! Only hashes of tokens and of refresh tokens are remembered, so the state holds no secret.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    access::{AUDITOR_MEMBER, ENGINEER_MEMBER, TOKENS},
    json::text,
    jwt,
    names::secret_hash,
};
use crate::core::{Answer, Call, Millis, World, layout};

const CREDENTIALS: &str = "google.credentials";
/// How long a token lives, on the client's clock.
const LIFETIME_SECONDS: i64 = 3600;
const REFRESH: &str = "refresh_token";
const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Writes the credential files and remembers what they hold.
pub(crate) fn seed(world: &mut World) -> Result<Map<String, Value>, String> {
    let mut lines = Map::new();
    let people = [
        (
            "google_credentials_file",
            "google-adc.json",
            ENGINEER_MEMBER,
        ),
        (
            "google_auditor_credentials_file",
            "google-adc-auditor.json",
            AUDITOR_MEMBER,
        ),
    ];
    for (line, file, member) in people {
        let path = world.place.state_dir.join(file);
        let credentials = credentials(world, &path)?;
        let hash = secret_hash(&format!(
            "{}:{}",
            text(&credentials, "/client_secret"),
            text(&credentials, "/refresh_token")
        ));
        world.store.put(
            CREDENTIALS,
            &hash,
            json!({ "member": member, "client_id": credentials["client_id"] }),
        );
        lines.insert(line.into(), json!(path));
    }
    Ok(lines)
}

/// The credentials in `path`, with today's address; the secrets stay what they were.
fn credentials(world: &World, path: &Path) -> Result<Value, String> {
    let unwritable = |error: std::io::Error| format!("{}: {error}", path.display());
    let secret = || uuid::Uuid::new_v4().simple().to_string();
    let made = layout::read_or_make(path, || {
        json!({
            "type": "authorized_user",
            "client_id": format!("{}.apps.googleusercontent.com", secret()),
            "client_secret": format!("GOCSPX-{}", secret()),
            "refresh_token": format!("1//{}{}", secret(), secret()),
        })
        .to_string()
    })
    .map_err(unwritable)?;
    let mut credentials: Value = serde_json::from_str(&made).map_err(|error| {
        format!(
            "{}: {error}; delete it, and it is made anew",
            path.display()
        )
    })?;
    credentials["token_uri"] = json!(format!("{}/token", world.place.google));
    credentials["universe_domain"] = json!("googleapis.com");
    let content = serde_json::to_string_pretty(&credentials).unwrap_or_default();
    layout::write_privately(path, content.as_bytes()).map_err(unwritable)?;
    Ok(credentials)
}

/// `POST /token`.
pub(crate) fn answer(world: &mut World, call: &Call) -> Answer {
    let fields: std::collections::BTreeMap<String, String> = match call.json() {
        Ok(body) if body.is_object() => serde_json::from_value(body).unwrap_or_default(),
        _ => call.form().into_iter().collect(),
    };
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let member = match field("grant_type") {
        REFRESH => {
            let hash = secret_hash(&format!("{}:{}", field("client_secret"), field(REFRESH)));
            let Some(known) = world.store.find(CREDENTIALS, &hash).cloned() else {
                return refuse("invalid_grant", "Bad Request");
            };
            if text(&known, "/client_id") != field("client_id") {
                let body = json!({ "error": "invalid_client", "error_description": "The OAuth client was not found." });
                return Answer::json(401, &body);
            }
            text(&known, "/member").to_owned()
        }
        ASSERTION => match jwt::signer(world, field("assertion")) {
            Some((email, _)) => format!("serviceAccount:{email}"),
            None => return refuse("invalid_grant", "Invalid JWT Signature."),
        },
        "" => return refuse("invalid_request", "Missing required parameter: grant_type"),
        _ => return refuse("unsupported_grant_type", "Invalid grant_type"),
    };
    let (token, _) = issue(world, &member);
    world.principal = Some(member);
    Answer::json(
        200,
        &json!({
            "access_token": token,
            "expires_in": LIFETIME_SECONDS - 1,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "token_type": "Bearer",
        }),
    )
}

/// A new token of `member`, and when it ends on the client's clock.
pub(crate) fn issue(world: &mut World, member: &str) -> (String, Millis) {
    let token = format!(
        "ya29.a0{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    );
    let now = world.clock.client_now();
    let old: Vec<String> = world
        .store
        .list(TOKENS)
        .filter(|(_, token)| {
            token["expires"]
                .as_i64()
                .is_none_or(|expires| expires < now)
        })
        .map(|(hash, _)| hash.clone())
        .collect();
    for hash in old {
        world.store.remove(TOKENS, &hash);
    }
    let expires = now + LIFETIME_SECONDS * 1000;
    let known = json!({ "member": member, "issued": now, "expires": expires });
    world.store.put(TOKENS, &secret_hash(&token), known);
    (token, expires)
}

fn refuse(error: &str, description: &str) -> Answer {
    Answer::json(
        400,
        &json!({ "error": error, "error_description": description }),
    )
}
