//! Who somebody is: the one URI of their certificate, `spiffe://DOMAIN/SERVICE`.

use std::{fmt, str::FromStr};

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What such a name may be at most, as SPIFFE has it.
const LENGTH_MAX: usize = 2_048;

/// A service of a trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    domain: String,
    service: String,
}

/// Why a certificate says of nobody who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nobody;

impl fmt::Display for Nobody {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("it has not one URI of the form spiffe://DOMAIN/SERVICE as its name")
    }
}

impl std::error::Error for Nobody {}

impl Identity {
    /// Whom a certificate is of. One with several names could be taken for several services, so it is
    /// nobody's.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Nobody> {
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| Nobody)?;
        let mut names = certificate.valid_uri_names();
        match (names.next(), names.next()) {
            (Some(name), None) => name.parse(),
            _ => Err(Nobody),
        }
    }

    /// Whether both are of one trust domain.
    pub fn is_near(&self, other: &Self) -> bool {
        self.domain == other.domain
    }

    /// The service, as its certificate names it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Another service of the same trust domain.
    #[must_use]
    pub fn neighbour(&self, service: &str) -> Self {
        Self {
            domain: self.domain.clone(),
            service: service.to_owned(),
        }
    }
}

impl FromStr for Identity {
    type Err = Nobody;

    fn from_str(text: &str) -> Result<Self, Nobody> {
        let name = text.strip_prefix("spiffe://").ok_or(Nobody)?;
        let (domain, service) = name.split_once('/').ok_or(Nobody)?;
        let is_word = |word: &str, upper: bool| {
            let may_be = |byte: u8| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'.' | b'-' | b'_')
                    || upper && byte.is_ascii_uppercase()
            };
            !word.is_empty() && word.bytes().all(may_be)
        };
        if text.len() <= LENGTH_MAX && is_word(domain, false) && is_word(service, true) {
            return Ok(Self {
                domain: domain.to_owned(),
                service: service.to_owned(),
            });
        }
        Err(Nobody)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "spiffe://{}/{}", self.domain, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_one_service_of_one_domain() {
        let ours: Identity = "spiffe://pay.example/db-controller".parse().unwrap();
        assert_eq!(ours.service(), "db-controller");
        assert_eq!(ours.to_string(), "spiffe://pay.example/db-controller");
        for wrong in [
            "",
            "spiffe://pay.example",
            "spiffe://pay.example/",
            "spiffe:///db-controller",
            "spiffe://pay.example/a/b",
            "spiffe://pay.example:1/a",
            "spiffe://user@pay.example/a",
            "spiffe://Pay.example/a",
            "spiffe://pay.example/a?b",
            "spiffe://pay.example/a\n",
            "https://pay.example/a",
        ] {
            assert_eq!(wrong.parse::<Identity>(), Err(Nobody), "{wrong:?}");
        }
    }
}
