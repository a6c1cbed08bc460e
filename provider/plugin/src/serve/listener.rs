//! Where Terraform connects: a Unix socket in a directory of its own, else loopback TCP.

use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
};
use tonic::codegen::tokio_stream::Stream;

use super::{
    connection::{Connection, Socket},
    handshake::Handshake,
    tls::Tls,
};

/// The longest path of a Unix socket on the systems we serve, with room for the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// How many connections may wait to be served.
const WAITING_MAX: usize = 16;

/// A bound address.
pub(super) enum Listener {
    Unix {
        listener: UnixListener,
        path: PathBuf,
    },
    Tcp(TcpListener),
}

/// The directory of a Unix socket, which goes away with this value.
pub(super) struct SocketDir(Option<PathBuf>);

impl Drop for SocketDir {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            // The process is ending: a directory that stays does no harm.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

impl Listener {
    /// Binds a Unix socket where Terraform wants it, or a TCP port if that is not possible.
    pub(super) async fn bind(handshake: &Handshake) -> io::Result<Self> {
        let parent = handshake
            .socket_dir
            .clone()
            .unwrap_or_else(std::env::temp_dir);
        match Self::unix(&parent) {
            Ok(listener) => Ok(listener),
            Err(error) => {
                tracing::debug!(%error, "no Unix socket, so TCP");
                Self::tcp().await
            }
        }
    }

    fn unix(parent: &std::path::Path) -> io::Result<Self> {
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| since.subsec_nanos());
        let dir = parent.join(format!("paymesh-{}-{nanos}", std::process::id()));
        let path = dir.join("plugin");
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(io::Error::other("the path of the socket would be too long"));
        }
        std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self::Unix {
            listener: UnixListener::bind(&path)?,
            path,
        })
    }

    /// Binds a loopback port.
    pub(super) async fn tcp() -> io::Result<Self> {
        Ok(Self::Tcp(TcpListener::bind(("127.0.0.1", 0)).await?))
    }

    /// The network's name in the handshake.
    pub(super) fn network(&self) -> &'static str {
        match self {
            Self::Unix { .. } => "unix",
            Self::Tcp(_) => "tcp",
        }
    }

    /// The address in the handshake.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Unix { path, .. } => path.display().to_string(),
            Self::Tcp(listener) => listener
                .local_addr()
                .map(|address| address.to_string())
                .unwrap_or_default(),
        }
    }

    /// What to clean up when nobody listens any more.
    pub(super) fn socket_dir(&self) -> SocketDir {
        SocketDir(match self {
            Self::Unix { path, .. } => path.parent().map(PathBuf::from),
            Self::Tcp(_) => None,
        })
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix { listener, .. } => Ok(Socket::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without this every small answer waits for a delayed acknowledgement: a second plan
                // of a thousand resources takes twelve times as long.
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    /// The connections, after their TLS handshakes, which run side by side.
    pub(super) fn incoming(self, tls: Option<Tls>) -> Incoming {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            loop {
                let socket = tokio::select! {
                    () = sender.closed() => return,
                    accepted = self.accept() => match accepted {
                        Ok(socket) => socket,
                        Err(error) => {
                            tracing::warn!(%error, "a connection was not accepted");
                            tokio::task::yield_now().await;
                            continue;
                        }
                    },
                };
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    match Connection::new(socket, tls).await {
                        // The receiver is gone when the process ends.
                        Ok(connection) => drop(sender.send(Ok(connection)).await),
                        Err(error) => tracing::warn!(%error, "a client was refused"),
                    }
                });
            }
        });
        Incoming(receiver)
    }
}

/// The connections that are ready.
pub(super) struct Incoming(mpsc::Receiver<io::Result<Connection>>);

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
