//! Microsoft Entra: discovery, and tokens for service principals (secret or client assertion).
//!
//! Tokens look like JWTs, because some clients read them, but are random: the simulator knows a
//! token by its hash. Their age counts on the client's clock.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::issuer;
use crate::core::{Answer, Call, World};

/// The tenant.
pub(super) const TENANT: &str = "7c0a1c5e-5f0e-4a51-9b7e-2f3c5a6d7e01";

const TOKENS: &str = "azure/tokens";
const SECRETS: &str = "azure/secrets";
const LIFETIME_SECONDS: i64 = 3600;

/// A service principal that exists from the start.
pub(super) struct Seeded {
    /// What it is for; also the name of its secret's file.
    pub(super) name: &'static str,
    /// Application (client) id.
    pub(super) client: &'static str,
    /// Object id.
    pub(super) object: &'static str,
    /// Its role on every subscription.
    pub(super) role: Option<&'static str>,
}

/// The service principals that exist from the start.
pub(super) const SEEDED: [Seeded; 4] = [
    Seeded {
        name: "deployer",
        client: "1d3a52ce-0c3b-4d0b-8a76-0f6f2a1b9c11",
        object: "2e4b63df-1d4c-4e1c-9b87-107a3b2cad22",
        role: Some("Owner"),
    },
    Seeded {
        name: "contributor",
        client: "1d3a52ce-0c3b-4d0b-8a76-0f6f2a1b9c12",
        object: "2e4b63df-1d4c-4e1c-9b87-107a3b2cad23",
        role: Some("Contributor"),
    },
    Seeded {
        name: "reader",
        client: "1d3a52ce-0c3b-4d0b-8a76-0f6f2a1b9c13",
        object: "2e4b63df-1d4c-4e1c-9b87-107a3b2cad24",
        role: Some("Reader"),
    },
    Seeded {
        name: "nobody",
        client: "1d3a52ce-0c3b-4d0b-8a76-0f6f2a1b9c14",
        object: "2e4b63df-1d4c-4e1c-9b87-107a3b2cad25",
        role: None,
    },
];

/// Who a token speaks for.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    /// Application (client) id.
    pub(super) client: String,
    /// Object id.
    pub(super) object: String,
}

/// What is kept of a secret.
pub(super) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A new random secret.
pub(super) fn random_secret() -> String {
    format!(
        "{}~{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

/// Remembers the secret of a client.
pub(super) fn keep_secret(world: &mut World, client: &str, secret: &str) {
    let hash = digest(secret);
    if world.store.find(SECRETS, client).and_then(Value::as_str) != Some(&hash) {
        world.store.put(SECRETS, client, json!(hash));
    }
}

/// Answers a request to the directory, if it is one.
pub(super) fn answer(world: &mut World, call: &Call) -> Option<Answer> {
    let lower: Vec<String> = call
        .segments
        .iter()
        .map(|part| part.to_ascii_lowercase())
        .collect();
    let path: Vec<&str> = lower.iter().map(String::as_str).collect();
    let base = world.place.azure.clone();
    match path.as_slice() {
        [_, "oauth2", "v2.0", "token"] | [_, "oauth2", "token"] => {
            Some(token(world, call, &lower[0]))
        }
        [tenant, .., "openid-configuration"] if path.contains(&".well-known") => {
            if known_tenant(tenant) {
                Some(discovery(&base, tenant))
            } else {
                Some(no_tenant(tenant))
            }
        }
        ["common", "discovery", "instance"] => Some(Answer::json(
            200,
            &json!({
                "tenant_discovery_endpoint": format!("{base}/{TENANT}/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": [],
            }),
        )),
        ["metadata", "endpoints"] => Some(Answer::json(200, &metadata(&base))),
        [_, "discovery", "v2.0", "keys"] => Some(Answer::json(200, &json!({ "keys": [] }))),
        _ => None,
    }
}

fn known_tenant(tenant: &str) -> bool {
    [TENANT, "common", "organizations"].contains(&tenant)
}

fn discovery(base: &str, tenant: &str) -> Answer {
    Answer::json(
        200,
        &json!({
            "issuer": format!("{base}/{tenant}/v2.0"),
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "tenant_region_scope": "EU",
        }),
    )
}

/// One object, as the Azure CLI reads it.
fn metadata(base: &str) -> Value {
    let host = base.trim_start_matches("https://");
    json!({
        "name": "PaymeshSimulator",
        "portal": base,
        "authentication": {
            "loginEndpoint": base,
            "audiences": [format!("{base}/"), "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": format!("{base}/"),
        "graph": format!("{base}/"),
        "graphAudience": format!("{base}/"),
        "microsoftGraphResourceId": format!("{base}/"),
        "media": base,
        "gallery": format!("{base}/"),
        "batch": format!("{base}/"),
        "activeDirectoryDataLake": format!("{base}/"),
        "sqlManagement": format!("{base}/"),
        "vmImageAliasDoc": format!("{base}/aliases.json"),
        "suffixes": {
            "storage": host, "keyVaultDns": host, "acrLoginServer": host,
            "sqlServerHostname": host, "mysqlServerEndpoint": host, "postgresqlServerEndpoint": host,
        },
    })
}

fn oauth_error(status: u16, error: &str, code: u32, text: &str, call: &Call) -> Answer {
    let trace = uuid::Uuid::new_v4();
    Answer::json(
        status,
        &json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {} Timestamp: {}", call.correlation, jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ")),
            "error_codes": [code],
            "timestamp": jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            "trace_id": trace,
            "correlation_id": call.correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

fn no_tenant(tenant: &str) -> Answer {
    Answer::json(
        400,
        &json!({
            "error": "invalid_tenant",
            "error_description": format!("AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."),
            "error_codes": [90002],
        }),
    )
}

fn token(world: &mut World, call: &Call, tenant: &str) -> Answer {
    if call.method != "POST" {
        return Answer::empty(405);
    }
    if !known_tenant(tenant) {
        return no_tenant(tenant);
    }
    let form = call.form();
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let (mut client, mut secret) = (field("client_id"), field("client_secret"));
    if let Some(basic) = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        && let Ok(decoded) = base64::engine::general_purpose::STANDARD.decode(basic)
        && let Ok(decoded) = String::from_utf8(decoded)
        && let Some((id, password)) = decoded.split_once(':')
    {
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        (client, secret) = (Some(plain(id)), Some(plain(password)));
    }
    let Some(client) = client.map(|client| client.to_ascii_lowercase()) else {
        return oauth_error(
            400,
            "invalid_request",
            900_144,
            "The request body must contain the following parameter: 'client_id'.",
            call,
        );
    };
    let grant = field("grant_type").unwrap_or_default();
    if grant != "client_credentials" {
        return oauth_error(
            400,
            "unsupported_grant_type",
            70003,
            &format!("The app requested an unsupported grant type '{grant}'."),
            call,
        );
    }
    let Some(known) = SEEDED.iter().find(|known| known.client == client) else {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory 'Paymesh'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
        );
        return oauth_error(400, "unauthorized_client", 700_016, &text, call);
    };
    world.principal = Some(known.client.into());
    if let Some(assertion) = field("client_assertion") {
        if let Err((code, text)) = issuer::check(world, &client, &assertion) {
            return oauth_error(401, "invalid_client", code, &text, call);
        }
    } else if let Some(secret) = secret {
        if world.store.find(SECRETS, &client).and_then(Value::as_str) != Some(&digest(&secret)) {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."
            );
            return oauth_error(401, "invalid_client", 7_000_215, &text, call);
        }
    } else {
        return oauth_error(
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            call,
        );
    }
    let scope = field("scope")
        .or_else(|| field("resource"))
        .unwrap_or_default();
    if scope.is_empty() {
        return oauth_error(
            400,
            "invalid_request",
            900_144,
            "The request body must contain the following parameter: 'scope'.",
            call,
        );
    }
    let audience = scope.trim_end_matches("/.default").to_owned();
    let issued = world.clock.client_now();
    let expires = issued / 1000 + LIFETIME_SECONDS;
    let claims = json!({
        "aud": audience, "iss": format!("{}/{TENANT}/", world.place.azure), "iat": issued / 1000, "nbf": issued / 1000,
        "exp": expires, "appid": known.client, "oid": known.object, "sub": known.object, "tid": TENANT,
        "idtyp": "app", "ver": "1.0", "uti": uuid::Uuid::new_v4().simple().to_string(),
    });
    let token = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256","kid":"sim"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string()),
        URL_SAFE_NO_PAD.encode(random_secret()),
    );
    world.store.put(
        TOKENS,
        &digest(&token),
        json!({ "client": known.client, "object": known.object, "issued": issued, "expires": expires * 1000 }),
    );
    Answer::json(
        200,
        &json!({
            "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "ext_expires_in": LIFETIME_SECONDS,
            "expires_on": expires.to_string(), "access_token": token,
        }),
    )
    .with("cache-control", "no-store, no-cache")
}

/// Who sends a request to Resource Manager, or the refusal.
pub(super) fn authenticate(world: &mut World, call: &Call) -> Result<Principal, Answer> {
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{TENANT}\", error=\"invalid_token\", error_description=\"The authentication failed.\"",
        world.place.azure
    );
    let refuse = |code: &str, message: &str| {
        super::error::gateway(401, code, message).with("www-authenticate", challenge.clone())
    };
    let Some(header) = call.header("authorization") else {
        return Err(refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ));
    };
    let Some(token) = header
        .strip_prefix("Bearer ")
        .or_else(|| header.strip_prefix("bearer "))
    else {
        return Err(refuse(
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        ));
    };
    let Some(known) = world.store.find(TOKENS, &digest(token)).cloned() else {
        return Err(refuse(
            "InvalidAuthenticationToken",
            "The access token is invalid.",
        ));
    };
    let now = world.clock.client_now();
    let issued = known["issued"].as_i64().unwrap_or_default();
    if known["expires"]
        .as_i64()
        .is_none_or(|expires| expires <= now)
        || world.expired_before.is_some_and(|moment| issued < moment)
    {
        return Err(refuse(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        ));
    }
    let text = |name: &str| known[name].as_str().unwrap_or_default().to_owned();
    let principal = Principal {
        client: text("client"),
        object: text("object"),
    };
    world.principal = Some(principal.client.clone());
    Ok(principal)
}

/// Forgets tokens that have expired.
pub(super) fn sweep(world: &mut World) {
    let now = world.clock.client_now();
    let old: Vec<String> = world
        .store
        .list(TOKENS)
        .filter(|(_, token)| {
            token["expires"]
                .as_i64()
                .is_none_or(|expires| expires + 86_400_000 < now)
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in old {
        world.store.remove(TOKENS, &key);
    }
}
