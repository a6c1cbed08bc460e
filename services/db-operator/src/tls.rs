//! TLS to PostgreSQL: the server is known by its certificate, by an authority that the
//! administrator's Secret names.

use std::{io, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// `SSLRequest`: its length, and the number that stands for it.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How servers are known.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts the authorities of a PEM text, and no others; `None` if none is in it.
    pub(crate) fn of(authorities: &[u8]) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            roots.add(certificate.ok()?).ok()?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        (!roots.is_empty()).then(|| Self(Arc::new(config)))
    }

    /// Encrypts a connection to a host. SCRAM goes without channel binding then: the certificate is
    /// checked by name and authority.
    pub(crate) async fn encrypt(
        &self,
        host: &str,
        mut socket: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        socket.write_all(&REQUEST).await?;
        // No more than this byte is read in clear.
        if socket.read_u8().await? != b'S' {
            return Err(io::Error::other("the server does not encrypt"));
        }
        let connector = TlsConnector::from(self.0.clone());
        connector.connect(host, socket).await
    }
}
