//! Whom to believe of servers that are not ours, such as a database.

use std::{fs, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::pem;

/// Authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the machine.
    System,
    /// Those of a file.
    File(PathBuf),
}

/// What is asked of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: who listens cannot read, and who stands in between can.
    Anyone,
    /// One of these authorities gave it, to whomever.
    Authority(Roots),
    /// One of these authorities gave it to the host that was called.
    Host(Roots),
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, String> {
        match self {
            Self::File(path) => {
                let shown = path.display();
                let text = fs::read(path).map_err(|reason| format!("{shown}: {reason}"))?;
                pem::roots(&text).map_err(|reason| format!("{shown}: {reason}"))
            }
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err("this machine has no certificate authorities".to_owned());
                }
                Ok(roots)
            }
        }
    }
}

impl Trust {
    /// A client that asks this much, with the files as they are now.
    pub fn client(&self, protocol: &str) -> Result<ClientConfig, String> {
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(crypto.clone())
            .with_safe_default_protocol_versions()
            .map_err(|reason| reason.to_string())?;
        let builder = match self {
            Self::Host(roots) => builder.with_root_certificates(roots.read()?),
            Self::Authority(_) | Self::Anyone => {
                let roots = match self {
                    Self::Authority(roots) => Some(roots.read()?),
                    _ => None,
                };
                let verifier = Unnamed { roots, crypto };
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut client = builder.with_no_client_auth();
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(client)
    }
}

/// Does not ask for whom a certificate is, and without authorities not by whom either.
#[derive(Debug)]
struct Unnamed {
    roots: Option<RootCertStore>,
    crypto: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(certificate)?,
                roots,
                intermediates,
                now,
                self.crypto.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
