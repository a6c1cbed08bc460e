//! What the Database operator reads: objects, Secrets, marks, and the first words of a server.

use std::{
    collections::BTreeMap, io::ErrorKind, net::IpAddr, panic::AssertUnwindSafe, time::Duration,
};

use bolero::check;
use k8s_openapi::{
    ByteString, api::core::v1::Secret as KubeSecret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use paymesh_db_operator::{
    administrator,
    crd::{Access, Database, RoleSpec},
    credentials,
    guard::Guarded,
    mark::{Mark, Whose},
};
use paymesh_fuzz::{Choices, bytes, document, text};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::samples::{self, CANARY};

/// What the first message of a server is cut into at most.
const PIECE_MAX: usize = 12;

/// Only a server that asks for SCRAM, or says why it asks for nothing, is heard; whatever the pieces in
/// which its words come.
#[test]
fn first_words_of_a_server() {
    let runtime = AssertUnwindSafe(samples::runtime());
    let words: [&[u8]; 6] = [
        b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
        b"R\0\0\0\x08\0\0\0\0",
        b"R\0\0\0\x08\0\0\0\x03",
        b"R\0\0\0\x0c\0\0\0\x05salt",
        b"E\0\0\0\x1bSFATAL\0C28P01\0Mno entry\0\0",
        b"N\0\0\0\x08Mhi\0\0",
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let sample = *choices.one_of(&words);
        let given = bytes(&mut choices, sample);
        let mut heard = Vec::new();
        let mut server = Guarded::new(given.as_slice());
        let ended = loop {
            let mut piece = vec![0; 1 + choices.below(PIECE_MAX)];
            match runtime.block_on(server.read(&mut piece)) {
                Ok(0) => break Ok(()),
                Ok(count) => heard.extend_from_slice(&piece[..count]),
                Err(error) => break Err(error),
            }
        };
        let may_be_heard = match given.first() {
            None | Some(b'E') => true,
            Some(b'R') => given.get(5..9).is_none_or(|asked| asked == [0, 0, 0, 10]),
            Some(_) => false,
        };
        match ended {
            Ok(()) => assert!(may_be_heard && heard == given, "{given:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{given:?}");
                assert!(
                    !may_be_heard && samples::is_plain(&error.to_string()),
                    "{given:?}"
                );
            }
        }
    });
}

fn object() -> Value {
    json!({
        "apiVersion": "paymesh.dev/v1alpha1",
        "kind": "Database",
        "metadata": {
            "name": "ledger",
            "namespace": "payments",
            "uid": "0af76519-16cd-43dd-8448-eb211c80319c",
            "generation": 3,
            "resourceVersion": "17",
            "finalizers": ["paymesh.dev/database"],
            "annotations": { "paymesh.dev/make-anew": "2026-11-22T12:00:00Z" },
        },
        "spec": {
            "name": "ledger",
            "owner": "ledger_owner",
            "connection": { "secretName": "server" },
            "schemas": ["public", "audit"],
            "extensions": ["pgcrypto"],
            "roles": [
                { "name": "ledger_app", "access": "AppendOnly", "secretName": "ledger-app" },
                { "name": "ledger_migrate", "access": "Owner", "secretName": "ledger-migrate" },
            ],
            "rotation": { "interval": "1h30m", "revision": 2 },
            "deletionPolicy": "Retain",
        },
        "status": {
            "observedGeneration": 3,
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "AsSpecified",
                "message": "",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-11-22T12:00:00Z",
            }],
            "roles": [{
                "name": "ledger_app",
                "secretName": "ledger-app",
                "login": "ledger_app_a",
                "lastRotationTime": "2026-11-22T12:00:00Z",
            }],
            "databaseSince": "2026-11-22T12:00:00Z",
        },
    })
}

/// An object that is read is written as what is read again as the same, and an interval that is taken is
/// long enough.
#[test]
fn an_object() {
    let samples = [object()];
    let shortest = Duration::from_mins(5);
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let given = document(&mut choices, &samples);
        let Ok(mut read) = serde_json::from_value::<Database>(given) else {
            return;
        };
        let written = serde_json::to_value(&read).expect("what was read can be written");
        let again: Database = serde_json::from_value(written.clone()).expect("it was written");
        let again = serde_json::to_value(again).expect("what was read can be written");
        assert_eq!(again, written);
        let interval = text(&mut choices, &["720h", "1h30m", "300s", "299s", "-1h"]);
        read.spec.rotation.interval = Some(interval.clone());
        match read.spec.rotation.after(shortest) {
            Ok(after) => {
                let after = after.map(|after| Duration::try_from(after).unwrap_or_default());
                assert!(after.is_some_and(|after| after >= shortest), "{interval:?}");
            }
            Err(said) => assert!(said.contains(&interval), "{said}"),
        }
    });
}

/// Only what bears the mark of this very object is its.
#[test]
fn a_mark() {
    let samples = [object()];
    let metadata = |choices: &mut Choices<'_>| {
        let mut near = samples[0].clone();
        for name in ["name", "namespace", "uid"] {
            if choices.is_one_in(4) {
                let sample = near["metadata"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                near["metadata"][name] = json!(text(choices, &[&sample]));
            }
        }
        let read: Database = serde_json::from_value(near).expect("only texts are others");
        read
    };
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let [one, other] = [(); 2].map(|()| metadata(&mut choices));
        let (ours, theirs) = (Mark::of(&one), Mark::of(&other));
        let written = [theirs.to_string(), theirs.released()];
        let written = if choices.is_one_in(4) {
            text(&mut choices, &written.each_ref().map(String::as_str))
        } else {
            choices.one_of(&written).clone()
        };
        let whose = ours.read(Some(&written));
        let expected = if written == ours.to_string() {
            Whose::Ours
        } else if written == ours.released() {
            Whose::Released
        } else {
            Whose::Others(Some(written.clone()))
        };
        assert_eq!(whose, expected, "{written:?}");
        assert!(ours.lock() >= 0, "{ours}");
    });
}

fn secret(
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, ByteString>,
) -> KubeSecret {
    KubeSecret {
        metadata: ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..KubeSecret::default()
    }
}

/// Texts under names, near these.
fn texts(choices: &mut Choices<'_>, samples: &[(&str, &[&str])]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (name, samples) in samples {
        match choices.below(8) {
            0 => {}
            1 => drop(texts.insert((*name).to_owned(), text(choices, samples))),
            _ => drop(texts.insert((*name).to_owned(), (*choices.one_of(samples)).to_owned())),
        }
    }
    texts
}

fn data(texts: &BTreeMap<String, String>) -> BTreeMap<String, ByteString> {
    let bytes = |text: &String| ByteString(text.clone().into_bytes());
    let data = texts.iter().map(|(name, text)| (name.clone(), bytes(text)));
    data.collect()
}

/// A server is used as its Secret says, without TLS on this machine only; else it is said what is wrong,
/// and not by which password.
#[test]
fn a_secret_of_a_server() {
    samples::install_crypto();
    let [_, _, authority] = samples::certificate("spiffe://pay.example/postgres");
    let label = "paymesh.dev/database-server";
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let labels = texts(&mut choices, &[(label, &["true", "true", "true", "yes"])]);
        let given = texts(
            &mut choices,
            &[
                (
                    "host",
                    &["db.example", "127.0.0.1", "localhost", "::1", "10.0.0.1"],
                ),
                ("port", &["5432", "0", "65536"]),
                ("sslmode", &["verify-full", "disable", "require", ""]),
                ("ca.crt", &[authority.as_str()]),
                ("database", &["postgres", ""]),
                ("username", &["installer"]),
            ],
        );
        let mut data = data(&given);
        let passwords: [&[u8]; 3] = [CANARY.as_bytes(), b"", b"hunter2\xff"];
        let password = choices.one_of(&passwords).to_vec();
        data.insert("password".to_owned(), ByteString(password.clone()));
        let is_labelled = labels.get(label).is_some_and(|it| it == "true");
        let secret = secret(labels, BTreeMap::new(), data);
        let limit = Duration::from_mins(1);
        match administrator::read(&secret, limit) {
            Err((reason, said)) => {
                let expected = if is_labelled {
                    "SecretIncomplete"
                } else {
                    "NotAServer"
                };
                assert_eq!(reason, expected, "{said}");
                assert!(
                    !said.contains(CANARY) && samples::is_plain(&said),
                    "{said:?}"
                );
            }
            Ok(server) => {
                let host: Result<IpAddr, _> = server.host.parse();
                let is_here = host.is_ok_and(|host| host.is_loopback());
                let is_here = is_here || server.host == "localhost";
                assert!(server.authority.is_some() || is_here, "{}", server.host);
                assert!(is_labelled && server.port > 0, "{given:?}");
                assert_eq!(Some(&server.host), given.get("host"));
                assert_eq!(Some(&server.username), given.get("username"));
                assert_eq!(server.password.expose().as_bytes(), password);
                assert!(!format!("{:?}", server.password).contains(CANARY));
            }
        }
    });
}

/// A login is used again only if it is one of its role's and what is beside it in the Secret can be it.
#[test]
fn a_secret_of_a_login() {
    let role = RoleSpec {
        name: "ledger_app".to_owned(),
        access: Access::AppendOnly,
        secret_name: "ledger-app".to_owned(),
    };
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let annotations = texts(
            &mut choices,
            &[
                (
                    "paymesh.dev/rotated-at",
                    &["2026-11-22T12:00:00Z", "9999-12-31T23:59:59Z"],
                ),
                ("paymesh.dev/rotation-revision", &["2", "-1"]),
            ],
        );
        let given = texts(
            &mut choices,
            &[
                (
                    "username",
                    &["ledger_app_a", "ledger_app_b", "ledger_app", "other_a"],
                ),
                ("password", &["aZ0-_aZ0-_", CANARY, "a@b", ""]),
            ],
        );
        let revision = annotations.get("paymesh.dev/rotation-revision").cloned();
        let secret = secret(BTreeMap::new(), annotations, data(&given));
        let Some(held) = credentials::held(&secret, &role) else {
            return;
        };
        assert!(["ledger_app_a", "ledger_app_b"].contains(&held.login.as_str()));
        assert_eq!(
            Some(held.password.expose()),
            given.get("password").map(String::as_str)
        );
        assert_eq!(Some(held.revision), revision);
        let uri = format!("https://{}:{}@db/", held.login, held.password.expose());
        let uri: url::Url = uri.parse().expect("what is used can stand in a URI");
        assert_eq!(uri.password(), Some(held.password.expose()));
    });
}
