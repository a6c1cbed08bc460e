//! Certificates for clients that have a TLS of their own and take them as text.

use std::{path::PathBuf, sync::Arc};

use rustls::{ClientConfig, crypto::aws_lc_rs};

use crate::{files::Files, pem};

/// A certificate, its key and the authorities to believe, each in PEM. It cannot be printed.
pub struct Texts {
    /// The authorities.
    pub authorities: String,
    /// The certificate, with those that lead to its authority.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Texts {
    /// Reads the three files; `name` is what they are for, in metrics.
    pub fn files(
        name: &'static str,
        certificate: PathBuf,
        key: PathBuf,
        authorities: PathBuf,
    ) -> Result<Files<Self>, Vec<String>> {
        let files = vec![
            ("certificate", certificate),
            ("key", key),
            ("authorities", authorities),
        ];
        Files::read(name, files, |texts| {
            Self::new(&texts[0], &texts[1], &texts[2])
        })
    }

    /// What such a client would find out at its first connection is found out here.
    fn new(certificate: &[u8], key: &[u8], authorities: &[u8]) -> Result<(Self, i64), Vec<String>> {
        let mut mistakes = Vec::new();
        let mut note = |mistake| mistakes.push(mistake);
        let chain = pem::chain(certificate).map_err(&mut note).ok();
        let pair = pem::key(key).map_err(&mut note).ok();
        let roots = pem::roots(authorities).map_err(&mut note).ok();
        let (Some(chain), Some(pair), Some(roots)) = (chain, pair, roots) else {
            return Err(mistakes);
        };
        let expires = pem::expires(&chain).map_err(|mistake| vec![mistake])?;
        let crypto = Arc::new(aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let builder = builder.with_root_certificates(roots);
                builder.with_client_auth_cert(chain, pair)
            })
            .map_err(|reason| vec![format!("the certificate: {reason}")])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let texts = Self {
            authorities: text(authorities),
            certificate: text(certificate),
            key: text(key),
        };
        Ok((texts, expires))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Authority;

    fn check(texts: [&[u8]; 3], expected: &[&str]) {
        let mistakes = Texts::new(texts[0], texts[1], texts[2]).err();
        assert_eq!(mistakes.unwrap_or_default(), expected);
    }

    #[test]
    fn files_that_hold_something_else_or_do_not_belong_together_are_told() {
        let authority = Authority::new();
        let read = |paths: [PathBuf; 3]| paths.map(|path| std::fs::read(path).unwrap());
        let [certificate, key, ca] = read(authority.files("spiffe://pay.example/payment-api"));
        check([&certificate, &key, &ca], &[]);
        check(
            [b"hunter2", b"hunter2", b"hunter2"],
            &[
                "the file of the certificate holds none in PEM",
                "the file of the key holds no private key in PEM",
                "the file of the authorities holds none in PEM",
            ],
        );
        let [_, other, _] = read(authority.files("spiffe://pay.example/payment-api"));
        let text = "the certificate: keys may not be consistent: KeyMismatch";
        check([&certificate, &other, &ca], &[text]);
        let [expired, key, ca] = read(authority.expired_files("spiffe://pay.example/payment-api"));
        let text = "the certificate is over since Feb  1 00:00:00 2001 +00:00";
        check([&expired, &key, &ca], &[text]);
    }
}
