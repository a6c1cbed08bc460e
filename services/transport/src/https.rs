//! The merchants' side: HTTPS, or HTTP where TLS ends before it.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, serve::Listener};
use paymesh_operations::Settings;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    accept::{Encrypted, encrypted, plain},
    files::Files,
    pem,
};

const PLAINTEXT: &str = "PAYMESH_HTTP_PLAINTEXT";
const CERTIFICATE: &str = "PAYMESH_HTTP_CERTIFICATE";
const KEY: &str = "PAYMESH_HTTP_KEY";

/// How and where HTTP is served.
pub struct Https {
    address: SocketAddr,
    files: Option<Files<Arc<ServerConfig>>>,
}

impl Https {
    /// Reads how and where HTTP is served; `listen` is the name of the setting that says where.
    pub fn read(settings: &mut Settings, listen: &str) -> Option<Self> {
        let address = settings.required(listen, "where HTTP is served, as IP:PORT");
        let is_plain = settings.optional(
            PLAINTEXT,
            "`true` has HTTP go without TLS, because that ends at what stands before this service",
            false,
        );
        let is_given = settings.has(CERTIFICATE) || settings.has(KEY);
        if is_plain && is_given {
            settings.mistake(format!(
                "{PLAINTEXT} and {CERTIFICATE}, {KEY} exclude each other"
            ));
            return None;
        }
        let files = if is_given {
            let certificate: Option<PathBuf> =
                settings.required(CERTIFICATE, "its certificate, as a file in PEM");
            let key: Option<PathBuf> = settings.required(KEY, "its key, as a file in PEM");
            let files = vec![("certificate", certificate?), ("key", key?)];
            let files = Files::read("http", files, |texts| config(&texts[0], &texts[1]));
            match files {
                Ok(files) => Some(files),
                Err(mistakes) => {
                    for mistake in mistakes {
                        settings.mistake(format!("{CERTIFICATE}, {KEY}: {mistake}"));
                    }
                    return None;
                }
            }
        } else {
            None
        };
        let address: SocketAddr = address?;
        if files.is_none() && !is_plain && !address.ip().is_loopback() {
            settings.mistake(format!(
                "{listen} is not loopback: API keys travel with each request, so give {CERTIFICATE} and \
                 {KEY}, or {PLAINTEXT}=true if TLS ends before this service"
            ));
            return None;
        }
        Some(Self { address, files })
    }

    /// Where it is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves those who come to `listener` until `stop` is cancelled.
    pub async fn serve(
        self,
        listener: TcpListener,
        routes: Router,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let stopped = stop.cancelled_owned();
        match self.files {
            None => {
                tracing::info!(%address, "serves HTTP");
                let served = axum::serve(Plain(listener), routes);
                served.with_graceful_shutdown(stopped).await
            }
            Some(files) => {
                tracing::info!(%address, "serves HTTPS");
                let config = files.follow();
                let taken = encrypted(listener, move || (*config.now()).clone());
                let served = axum::serve(Handshaken { address, taken }, routes);
                served.with_graceful_shutdown(stopped).await
            }
        }
    }
}

fn config(certificate: &[u8], key: &[u8]) -> Result<(Arc<ServerConfig>, i64), Vec<String>> {
    let (chain, key) = match (pem::chain(certificate), pem::key(key)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
    };
    let expires = pem::expires(&chain).map_err(|mistake| vec![mistake])?;
    let crypto = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|reason| vec![format!("the certificate: {reason}")])?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), expires))
}

/// Connections as they come.
struct Plain(TcpListener);

impl Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        plain(&self.0).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Connections whose handshake is done.
struct Handshaken {
    address: SocketAddr,
    taken: mpsc::Receiver<(Encrypted, SocketAddr)>,
}

impl Listener for Handshaken {
    type Io = Encrypted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Encrypted, SocketAddr) {
        match self.taken.recv().await {
            Some(taken) => taken,
            // Nobody takes them in any more: the runtime ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Authority;

    const LISTEN: &str = "PAYMESH_LISTEN";

    fn check(pairs: &[(&str, &str)], mistake: Option<&str>) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let known: std::collections::HashMap<_, _> = pairs.iter().map(owned).collect();
        let mut settings = Settings::new(move |name| known.get(name).cloned());
        let https = Https::read(&mut settings, LISTEN);
        let said = settings.done(https).err().map(|said| said.0.concat());
        let is_expected = match (&said, mistake) {
            (None, None) => true,
            (Some(said), Some(start)) => said.starts_with(start),
            _ => false,
        };
        assert!(is_expected, "{pairs:?}: {said:?}");
    }

    #[test]
    fn http_is_served_on_loopback_or_where_tls_ends_before_it() {
        check(&[(LISTEN, "127.0.0.1:1")], None);
        check(
            &[(LISTEN, "0.0.0.0:1")],
            Some("PAYMESH_LISTEN is not loopback"),
        );
        check(&[(LISTEN, "0.0.0.0:1"), (PLAINTEXT, "true")], None);
        let authority = Authority::new();
        let files = authority.files("https://api.example/");
        let [certificate, key, _] = files.map(|path| path.to_str().unwrap().to_owned());
        let both = [
            (LISTEN, "0.0.0.0:1"),
            (CERTIFICATE, &*certificate),
            (KEY, &*key),
        ];
        check(&both, None);
        check(&both[..2], Some("PAYMESH_HTTP_KEY is missing"));
        let three = [&both[..], &[(PLAINTEXT, "true")]].concat();
        check(&three, Some("PAYMESH_HTTP_PLAINTEXT and"));
        let wrong = [
            (LISTEN, "0.0.0.0:1"),
            (CERTIFICATE, &*key),
            (KEY, &*certificate),
        ];
        check(
            &wrong,
            Some("PAYMESH_HTTP_CERTIFICATE, PAYMESH_HTTP_KEY: the file of the certificate"),
        );
    }
}
