//! What is asked of a peer's certificate. One of ours is of an authority in the bundle, not over, and
//! says who the peer is; by which name or address it was reached says nothing.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::identity::Identity;

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// Somebody else than was called.
#[derive(Debug)]
struct Another {
    is: Identity,
    expected: Identity,
}

impl std::fmt::Display for Another {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "it is {}, not {}", self.is, self.expected)
    }
}

impl std::error::Error for Another {}

/// Lets in whoever can say who they are. What they may call is asked with each call.
#[derive(Debug)]
pub(crate) struct Callers(Arc<dyn ClientCertVerifier>);

impl Callers {
    pub(crate) fn of(
        roots: Arc<RootCertStore>,
        crypto: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let builder = WebPkiClientVerifier::builder_with_provider(roots, crypto);
        let verifier = builder.build().map_err(|reason| reason.to_string())?;
        Ok(Self(verifier))
    }

    /// Whether a certificate would be let in now.
    pub(crate) fn holds(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        self.verify_client_cert(certificate, intermediates, UnixTime::now())
            .map(drop)
    }
}

impl ClientCertVerifier for Callers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(certificate, intermediates, now)?;
        Identity::of(certificate).map_err(refused)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What is asked of a server's certificate.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Nothing.
    Nothing,
    /// One of these authorities gave it, to whomever.
    Authority(RootCertStore),
    /// One of these authorities gave it to this service.
    Service(Arc<RootCertStore>, Identity),
}

/// Speaks to servers whose certificate is as asked, whatever they are called.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) asked: Asked,
    pub(crate) crypto: Arc<CryptoProvider>,
}

impl Servers {
    /// Whether a certificate would be spoken to now.
    pub(crate) fn holds(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        self.check(certificate, intermediates, UnixTime::now())
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let (roots, whom) = match &self.asked {
            Asked::Nothing => return Ok(()),
            Asked::Authority(roots) => (roots, None),
            Asked::Service(roots, whom) => (roots.as_ref(), Some(whom)),
        };
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            roots,
            intermediates,
            now,
            self.crypto.signature_verification_algorithms.all,
        )?;
        let Some(whom) = whom else {
            return Ok(());
        };
        let is = Identity::of(certificate).map_err(refused)?;
        if is == *whom {
            return Ok(());
        }
        let expected = whom.clone();
        Err(refused(Another { is, expected }))
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, intermediates, now)?;
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
