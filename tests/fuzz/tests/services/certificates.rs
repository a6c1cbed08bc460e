//! Certificates, and the files that they are in.

use std::{fs, panic::AssertUnwindSafe, path::PathBuf};

use bolero::check;
use paymesh_contracts::callers::Service;
use paymesh_fuzz::{Choices, bytes, text};
use paymesh_transport::{Identity, Mutual, Texts};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;

use crate::samples;

const URI: &str = "spiffe://pay.example/payment-api";

/// Who somebody is, is what is written, and they have neighbours.
#[test]
fn an_identity() {
    let words = [
        URI,
        "spiffe://Pay.example/a",
        "https://pay.example/db-controller",
    ];
    check!().for_each(|input: &[u8]| {
        let given = text(&mut Choices::new(input), &words);
        let Ok(identity) = given.parse::<Identity>() else {
            return;
        };
        assert_eq!(identity.to_string(), given);
        let neighbour = identity.neighbour(Service::DbController.name());
        assert!(identity.is_near(&neighbour) && samples::is_plain(&given));
        assert!(given.ends_with(identity.service()), "{given}");
    });
}

/// Nobody is taken for whom their certificate does not name.
#[test]
fn a_certificate() {
    let [certificate, ..] = samples::certificate(URI);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
    let certificate = certificate.expect("it is a certificate");
    assert_eq!(
        Identity::of(&certificate).map(|it| it.to_string()),
        Ok(URI.to_owned())
    );
    check!().for_each(|input: &[u8]| {
        let given = bytes(&mut Choices::new(input), &certificate);
        let Ok(identity) = Identity::of(&CertificateDer::from(given.as_slice())) else {
            return;
        };
        let name = identity.to_string();
        let mut parts = given.windows(name.len());
        assert!(parts.any(|part| part == name.as_bytes()), "{name}");
    });
}

/// A line of a text that stands nowhere else.
fn line(pem: &str) -> &str {
    pem.lines().nth(1).expect("it has several lines")
}

/// What is wrong with files is said in plain words, and nothing that they hold.
fn check_mistakes(mistakes: &[String], key: &str) {
    assert!(!mistakes.is_empty());
    for mistake in mistakes {
        assert!(samples::is_plain(mistake), "{mistake:?}");
        assert!(
            !mistake.contains(line(key)) && !mistake.contains("-----"),
            "{mistake:?}"
        );
    }
}

/// What is in files is taken as it is, or everything that is wrong is said and nothing of it told.
#[test]
fn files() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let folder = AssertUnwindSafe(folder);
    let [one, other] = [samples::certificate(URI), samples::certificate(URI)];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut texts = Vec::new();
        for (index, (sample, another)) in one.iter().zip(&other).enumerate() {
            let sample = if choices.is_one_in(8) {
                another
            } else {
                sample
            };
            let changed = if choices.is_one_in(2) {
                bytes(&mut choices, sample.as_bytes())
            } else {
                sample.clone().into_bytes()
            };
            let path = folder.path().join(index.to_string());
            fs::write(&path, &changed).expect("a file can be written");
            paths.push(path);
            texts.push(changed);
        }
        let [certificate, key, authorities] = [0, 1, 2].map(|index: usize| paths[index].clone());
        let mutual = Mutual::files(
            Service::PaymentApi,
            certificate.clone(),
            key.clone(),
            authorities.clone(),
        );
        if let Err(mistakes) = mutual {
            check_mistakes(&mistakes, &one[1]);
        }
        match Texts::files("fuzz", certificate, key, authorities) {
            Err(mistakes) => check_mistakes(&mistakes, &one[1]),
            Ok(files) => {
                let made = files.made();
                let made = [&made.certificate, &made.key, &made.authorities];
                let given = texts.iter().map(|text| String::from_utf8_lossy(text));
                assert!(given.eq(made.into_iter().map(String::as_str)));
            }
        }
    });
}
