//! Certificates and keys out of files. What is wrong is said without a word of what they hold.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use x509_parser::{certificate::Validity, time::ASN1Time};

/// A certificate with those that lead to its authority.
pub(crate) fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err("the file of the certificate holds none in PEM".to_owned()),
    }
}

/// When the first of these is over, in seconds since 1970. All of them are valid now. What is wrong is
/// said in the same words as long as it is wrong, unlike rustls, which counts the seconds.
pub(crate) fn expires(chain: &[CertificateDer<'_>]) -> Result<i64, String> {
    let now = ASN1Time::now();
    let mut first = None;
    for one in chain {
        let (_, one) = x509_parser::parse_x509_certificate(one)
            .map_err(|_| "the file of the certificate does not say when it is over".to_owned())?;
        let Validity {
            not_before,
            not_after,
        } = one.validity();
        if now < *not_before {
            return Err(format!("the certificate is not valid before {not_before}"));
        }
        if now > *not_after {
            return Err(format!("the certificate is over since {not_after}"));
        }
        first = first.into_iter().chain([not_after.timestamp()]).min();
    }
    first.ok_or_else(|| "there is no certificate".to_owned())
}

/// A private key.
pub(crate) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text)
        .map_err(|_| "the file of the key holds no private key in PEM".to_owned())
}

/// Authorities.
pub(crate) fn roots(text: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(text) {
        let is_taken = authority.is_ok_and(|authority| roots.add(authority).is_ok());
        if !is_taken {
            return Err("the file of the authorities holds something else".to_owned());
        }
    }
    if roots.is_empty() {
        return Err("the file of the authorities holds none in PEM".to_owned());
    }
    Ok(roots)
}
