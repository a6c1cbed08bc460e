//! Taking connections in, each with a handshake of its own, so that nobody waits for a slow one.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use metrics::{counter, describe_counter};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::reason::reason;

/// How long somebody has to show who they are.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// How long after the system had no room for a connection the next is taken.
const PAUSE: Duration = Duration::from_millis(100);
/// How many connections wait to be served.
const READY_MAX: usize = 64;

const REFUSED: &str = "paymesh_connections_refused_total";

/// A connection under TLS.
pub(crate) type Encrypted = TlsStream<TcpStream>;

/// Opens the socket of a service. Connections wait in it from then on, so who says afterwards that
/// the service is ready is right.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |reason: io::Error| io::Error::new(reason.kind(), format!("{address}: {reason}"));
    TcpListener::bind(address).await.map_err(named)
}

/// A connection as it comes.
pub(crate) async fn plain(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // An answer is small and whole: it must not wait for more.
                let _ = socket.set_nodelay(true);
                return (socket, peer);
            }
            Err(reason) => {
                tracing::warn!(%reason, "a connection is not taken in");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Connections under TLS, each by the settings of that moment, as long as somebody takes them.
pub(crate) fn encrypted(
    listener: TcpListener,
    settings: impl Fn() -> Arc<ServerConfig> + Send + 'static,
) -> mpsc::Receiver<(Encrypted, SocketAddr)> {
    describe_counter!(
        REFUSED,
        "Connections that were refused because of their TLS or their certificate"
    );
    counter!(REFUSED).increment(0);
    let (out, taken) = mpsc::channel(READY_MAX);
    tokio::spawn(async move {
        loop {
            let (socket, peer) = tokio::select! {
                () = out.closed() => return,
                taken = plain(&listener) => taken,
            };
            let acceptor = TlsAcceptor::from(settings());
            let out = out.clone();
            tokio::spawn(async move {
                let shaken = timeout(HANDSHAKE_MAX, acceptor.accept(socket)).await;
                match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    // Nobody takes it when this process ends.
                    Ok(stream) => drop(out.send((stream, peer)).await),
                    Err(error) => {
                        counter!(REFUSED).increment(1);
                        tracing::warn!(%peer, reason = reason(&error), "a connection is refused");
                    }
                }
            });
        }
    });
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_takes_connections_before_they_are_served_and_a_taken_port_is_named() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect(address).await.unwrap();
        let taken = bind(address).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    }
}
