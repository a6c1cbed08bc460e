//! Keys of service accounts: tokens that their holders sign.
//!
//! Clients either trade a signed assertion at the token endpoint, or send a signed token as it is.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    json::text,
    names::{draw, fingerprint},
    refusal::Refusal,
};
use crate::core::World;

const KEYS: &str = "google.keys";

/// The account that every new world has, with the engineer's roles.
pub(crate) const ACCOUNT: &str = "paymesh-deployer@paymesh-hub.iam.gserviceaccount.com";

/// Makes a key of `email`, remembers its public half, and answers with the key file.
pub(crate) fn create_key(world: &mut World, project: &str, email: &str) -> Result<Value, Refusal> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Refusal::unavailable())?;
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| Refusal::unavailable())?;
    let public = STANDARD.encode(pair.public_key().as_ref());
    let id = &fingerprint(&public)[..40];
    let file = json!({
        "type": "service_account",
        "project_id": project,
        "private_key_id": id,
        "private_key": to_pem(private.as_ref()),
        "client_email": email,
        "client_id": format!("1{:020}", draw(email, 99_999_999_999_999)),
        "token_uri": format!("{}/token", world.place.google),
        "universe_domain": "googleapis.com",
    });
    world
        .store
        .put(KEYS, id, json!({ "email": email, "public": public }));
    Ok(json!({
        "name": format!("projects/{project}/serviceAccounts/{email}/keys/{id}"),
        "privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE",
        "privateKeyData": STANDARD.encode(file.to_string()),
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
    }))
}

fn to_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

/// The account that signed `token`, and when, if the signature is good and the token is in force.
pub(crate) fn signer(world: &World, token: &str) -> Option<(String, i64)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let key = world.store.find(KEYS, text(&header, "/kid"))?;
    let public = STANDARD.decode(text(key, "/public")).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &signature)
        .ok()?;
    let (issued, expires) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    let now = world.clock.client_now() / 1000;
    let in_force = issued <= now + 300 && now < expires && expires - issued <= 3900;
    let email = text(key, "/email");
    (in_force && text(&claims, "/iss") == email).then(|| (email.to_owned(), issued * 1000))
}
