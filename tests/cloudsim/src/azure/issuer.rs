//! A CI system's issuer of assertions, in the shape of GitHub Actions, and the trust that
//! applications have in it.
//!
//! A job asks `GET /ci/token?audience=…` with its own token and gets a signed assertion, which it
//! trades at the directory.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::entra;
use crate::core::{Answer, Call, World};

/// Whom every assertion for Entra is for.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The job that the deployer trusts.
const SUBJECT: &str = "repo:paymesh/payments:ref:refs/heads/main";

const KEYS: &str = "azure/issuer";
const KEY: &str = "key";
const LIFETIME_SECONDS: i64 = 300;

/// The trust of the application `client`: issuer and subject.
fn trusted(world: &World, client: &str) -> Option<(String, &'static str)> {
    let deployer = entra::SEEDED.iter().find(|it| it.name == "deployer")?;
    (client == deployer.client).then(|| (address(world), SUBJECT))
}

fn address(world: &World) -> String {
    format!("{}/ci", world.place.azure)
}

/// What the simulator file says of the issuer.
pub(super) fn card(world: &World, job_token_file: &std::path::Path) -> Value {
    json!({
        "request_url": format!("{}/token?api-version=2.0", address(world)),
        "request_token_file": job_token_file,
    })
}

/// Remembers what a job proves itself with.
pub(super) fn keep_job_token(world: &mut World, token: &str) {
    world
        .store
        .put(KEYS, "job", entra::digest(token.trim()).into());
}

/// Answers a request to the issuer, if it is one.
pub(super) fn answer(world: &mut World, call: &Call) -> Option<Answer> {
    let path: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["ci", rest @ ..] = path.as_slice() else {
        return None;
    };
    let base = address(world);
    Some(match rest {
        [".well-known", "openid-configuration"] => Answer::json(
            200,
            &json!({ "issuer": base, "jwks_uri": format!("{base}/keys"), "id_token_signing_alg_values_supported": ["RS256"] }),
        ),
        ["token"] => give(world, call),
        _ => Answer::empty(404),
    })
}

fn give(world: &mut World, call: &Call) -> Answer {
    let job = call
        .header("authorization")
        .and_then(|it| it.split_once(' '))
        .map(|(_, token)| entra::digest(token));
    if job.is_none() || world.store.find(KEYS, "job").and_then(Value::as_str) != job.as_deref() {
        return Answer::json(401, &json!({ "message": "Bad credentials" }));
    }
    let now = world.clock.client_now() / 1000;
    let claims = json!({
        "iss": address(world), "sub": SUBJECT, "aud": call.query("audience").unwrap_or("https://github.com/paymesh"),
        "iat": now, "nbf": now - 5, "exp": now + LIFETIME_SECONDS, "jti": uuid::Uuid::new_v4(),
        "repository": "paymesh/payments", "ref": "refs/heads/main",
    });
    match sign(world, &claims) {
        Some(assertion) => Answer::json(200, &json!({ "count": 1, "value": assertion })),
        None => Answer::empty(500),
    }
}

fn pair(world: &mut World) -> Option<KeyPair> {
    let kept = world.store.find(KEYS, KEY).and_then(Value::as_str);
    if let Some(kept) = kept {
        return KeyPair::from_pkcs8(&STANDARD.decode(kept).ok()?).ok();
    }
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
    world
        .store
        .put(KEYS, KEY, STANDARD.encode(private.as_ref()).into());
    Some(pair)
}

fn sign(world: &mut World, claims: &Value) -> Option<String> {
    let pair = pair(world)?;
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"RS256","kid":"ci"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn is_signed(world: &mut World, assertion: &str) -> Option<bool> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let pair = pair(world)?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    Some(public.verify(signed.as_bytes(), &signature).is_ok())
}

/// Whether the application `client` may sign in by `assertion`, or the directory's code and text.
pub(super) fn check(world: &mut World, client: &str, assertion: &str) -> Result<(), (u32, String)> {
    let claims = assertion
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok())
        .and_then(|claims| serde_json::from_slice::<Value>(&claims).ok())
        .ok_or_else(|| (50_027, "JWT token is invalid or malformed.".to_owned()))?;
    let now = world.clock.client_now() / 1000;
    if claims["exp"].as_i64().is_none_or(|expires| expires <= now) {
        let text = "Client assertion is not within its valid time range.";
        return Err((700_024, text.to_owned()));
    }
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let (issuer, subject, audience) = (text("iss"), text("sub"), text("aud"));
    let no_record = |what: &str, value: &str| {
        format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
        )
    };
    let Some((known_issuer, known_subject)) =
        trusted(world, client).filter(|(known, _)| *known == issuer)
    else {
        return Err((700_211, no_record("issuer", &issuer)));
    };
    if subject != known_subject {
        return Err((700_213, no_record("subject", &subject)));
    }
    if audience != AUDIENCE {
        return Err((700_212, no_record("audience", &audience)));
    }
    if is_signed(world, assertion) != Some(true) {
        return Err((
            50_013,
            format!(
                "Assertion failed signature validation. [Reason - The key was not found., issuer: {known_issuer}]"
            ),
        ));
    }
    Ok(())
}
