//! TLS to PostgreSQL: the server is known by its certificate, by an authority that the
//! administrator's Secret names, and the proof of a password is bound to that certificate, if the
//! server offers it.

use futures::{TryFutureExt as _, future::MapOk};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::guard::Guarded;

type Connect = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::TlsConnect;

/// How servers are known.
#[derive(Clone)]
pub(crate) struct Tls(MakeRustlsConnect);

impl Tls {
    /// Trusts the authorities of a PEM text, and no others; `None` if none is in it.
    pub(crate) fn of(authorities: &[u8]) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            roots.add(certificate.ok()?).ok()?;
        }
        let is_empty = roots.is_empty();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (!is_empty).then(|| Self(MakeRustlsConnect::new(config)))
    }

    /// A handshake with a host.
    pub(crate) fn to(&self, host: &str) -> Handshake<Connect> {
        let Ok(connect) = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut self.0.clone(), host);
        Handshake(connect)
    }
}

/// A handshake after which what the server says is guarded.
pub(crate) struct Handshake<T>(T);

impl<S, T: TlsConnect<S>> TlsConnect<S> for Handshake<T> {
    type Stream = Guarded<T::Stream>;
    type Error = T::Error;
    type Future = MapOk<T::Future, fn(T::Stream) -> Guarded<T::Stream>>;

    fn connect(self, stream: S) -> Self::Future {
        self.0.connect(stream).map_ok(Guarded::new)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.get_ref().channel_binding()
    }
}
