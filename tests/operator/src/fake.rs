//! What answers in the place of a PostgreSQL server, and keeps what it is told.

use std::sync::{Arc, Mutex};

use paymesh_beds::Issued;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// A listener that gives everybody one answer, to the first thing that they say, and nothing else.
pub struct Fake {
    /// Where it listens.
    pub port: u16,
    heard: Heard,
}

/// What each caller said.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

impl Fake {
    /// Listens; without an answer it is silent for good.
    pub async fn start(answer: &'static [u8]) -> Self {
        Self::listen(answer, None).await
    }

    /// Listens, and answers inside of TLS.
    pub async fn start_encrypted(answer: &'static [u8], issued: &Issued) -> Self {
        let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("it is PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("it has what these need")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they belong together");
        Self::listen(answer, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(answer: &'static [u8], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Heard::default();
        let kept = heard.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let number = {
                    let mut heard = kept.lock().expect("no panic");
                    heard.push(Vec::new());
                    heard.len() - 1
                };
                let (tls, heard) = (tls.clone(), kept.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else {
                        return hear(caller, answer, heard, number).await;
                    };
                    if let Some(caller) = encrypt(caller, &tls).await {
                        hear(caller, answer, heard, number).await;
                    }
                });
            }
        });
        Self { port, heard }
    }

    /// What each caller said.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().expect("no panic").clone()
    }
}

/// Says yes to the question whether it encrypts, and does.
async fn encrypt(
    mut caller: TcpStream,
    tls: &TlsAcceptor,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    caller.read_exact(&mut [0; 8]).await.ok()?;
    caller.write_all(b"S").await.ok()?;
    tls.accept(caller).await.ok()
}

async fn hear(
    mut caller: impl AsyncRead + AsyncWrite + Unpin,
    answer: &'static [u8],
    heard: Heard,
    number: usize,
) {
    let mut buffer = [0; 1024];
    let mut is_first = true;
    while let Ok(count @ 1..) = caller.read(&mut buffer).await {
        heard.lock().expect("no panic")[number].extend(&buffer[..count]);
        if is_first && (caller.write_all(answer).await.is_err() || caller.flush().await.is_err()) {
            return;
        }
        is_first = false;
    }
}
