//! go-plugin's `AutoMTLS`, really mutual.
//!
//! Terraform's client certificate is self-signed, P-521, and says CA:TRUE. The standard verifier
//! refuses it, and a verifier that makes the certificate optional lets everyone in. This one pins: the
//! client must present exactly the certificate from the environment and prove that it holds the key.

use std::{io, sync::Arc};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    },
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::connection::Socket;

/// The one name by which go-plugin knows a server.
const SERVER_NAME: &str = "localhost";

/// A fresh server certificate, and the one client that may connect.
#[derive(Clone)]
pub(super) struct Tls {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Lets in only the holder of this certificate (PEM).
    pub(super) fn pinned_to(client: &str) -> io::Result<Self> {
        let client = CertificateDer::from_pem_slice(client.as_bytes()).map_err(|error| {
            io::Error::other(format!("PLUGIN_CLIENT_CERT is no certificate: {error}"))
        })?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let certificate = CertificateParams::new([SERVER_NAME.to_owned()])
            .and_then(|parameters| parameters.self_signed(&key))
            .map_err(io::Error::other)?;
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let pinned = Pinned {
            client,
            algorithms: crypto.signature_verification_algorithms,
        };
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(Arc::new(pinned))
            .with_single_cert(vec![certificate.clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// The server's certificate, which the handshake tells Terraform to trust.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.acceptor.accept(socket).await
    }
}

#[derive(Debug)]
struct Pinned {
    client: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *end_entity == self.client {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, IsCa, PKCS_ECDSA_P521_SHA512};
    use rustls::{
        ClientConfig, RootCertStore, client::ResolvesClientCert,
        crypto::aws_lc_rs::sign::any_supported_type, sign::CertifiedKey,
    };
    use rustls_pki_types::ServerName;
    use tokio::net::UnixStream;
    use tokio_rustls::TlsConnector;

    use super::*;

    /// A certificate as Terraform makes it: self-signed, P-521, CA:TRUE.
    fn terraform() -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        let mut parameters = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (parameters.self_signed(&key).unwrap(), key)
    }

    /// What a client presents, whether or not certificate and key belong together.
    #[derive(Debug)]
    struct Presents(Option<Arc<CertifiedKey>>);

    impl ResolvesClientCert for Presents {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            self.0.clone()
        }

        fn has_certs(&self) -> bool {
            self.0.is_some()
        }
    }

    /// Whether a server that is pinned to `pinned` lets in a client that presents `presented`.
    async fn lets_in(
        pinned: &rcgen::Certificate,
        presented: Option<(&rcgen::Certificate, &KeyPair)>,
    ) -> bool {
        let tls = Tls::pinned_to(&pinned.pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(tls.certificate().to_vec()))
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Presents(presented.map(|(certificate, key)| {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                let key = any_supported_type(&key).unwrap();
                Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
            }))));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let client = tokio::spawn(async move {
            TlsConnector::from(Arc::new(config))
                .connect(name, theirs)
                .await
        });
        let accepted = tls.accept(Socket::Unix(ours)).await.is_ok();
        let _ = client.await.unwrap();
        accepted
    }

    #[tokio::test]
    async fn only_the_holder_of_the_pinned_certificate_is_let_in() {
        let (certificate, key) = terraform();
        let (other, other_key) = terraform();
        assert!(lets_in(&certificate, Some((&certificate, &key))).await);
        for (presented, what) in [
            (None, "no certificate"),
            (Some((&other, &other_key)), "another certificate"),
            (
                Some((&certificate, &other_key)),
                "the certificate without its key",
            ),
        ] {
            assert!(!lets_in(&certificate, presented).await, "{what}");
        }
    }
}
