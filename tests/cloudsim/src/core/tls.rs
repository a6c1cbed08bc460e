//! The simulator's own certificate authority, made once, and a server certificate, made per start.

use std::{path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::layout;

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Paymesh simulated cloud");
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

/// An acceptor for loopback names; the authority's certificate is `ca.pem` in `dir`.
pub(super) fn acceptor(dir: &Path) -> Result<TlsAcceptor, String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let (key_file, certificate_file) = (dir.join("ca.key"), dir.join("ca.pem"));
    let key = layout::read_or_make(&key_file, || {
        KeyPair::generate()
            .map(|key| key.serialize_pem())
            .unwrap_or_default()
    })
    .map_err(|error| wrong(&key_file.display().to_string(), &error))?;
    let key = KeyPair::from_pem(&key).map_err(|error| {
        wrong(
            &format!("{} is no key; delete it and ca.pem", key_file.display()),
            &error,
        )
    })?;
    if !certificate_file.exists() {
        let certificate = authority()
            .self_signed(&key)
            .map_err(|error| wrong("certificate authority", &error))?;
        layout::write_privately(&certificate_file, certificate.pem().as_bytes())
            .map_err(|error| wrong(&certificate_file.display().to_string(), &error))?;
    }
    let issuer = Issuer::new(authority(), key);
    let mut params =
        CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into(), "::1".into()])
            .map_err(|error| wrong("server certificate", &error))?;
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate().map_err(|error| wrong("server key", &error))?;
    let certificate = params
        .signed_by(&server_key, &issuer)
        .map_err(|error| wrong("server certificate", &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
        )
        .map_err(|error| wrong("TLS", &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
