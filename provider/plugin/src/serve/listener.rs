//! Where Terraform connects: a Unix socket in a directory of its own, else loopback TCP.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
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

/// How the name of a socket's directory begins.
const PREFIX: &str = "paymesh-plugin-";

/// The one file in it.
const SOCKET: &str = "plugin";

/// A younger directory may be that of a process which has not locked it yet.
const YOUNG: Duration = Duration::from_mins(1);

/// How many connections may wait to be served.
const WAITING_MAX: usize = 16;

/// A bound address.
pub(super) enum Listener {
    Unix {
        listener: UnixListener,
        path: PathBuf,
        /// Says that the directory is used; it ends with the process, however that ends.
        _lock: File,
    },
    Tcp(TcpListener),
}

/// The directory of a Unix socket, which goes away with this value. That of a provider that was
/// killed goes when the next one starts.
pub(super) struct SocketDir(Option<PathBuf>);

impl Drop for SocketDir {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            remove(dir);
        }
    }
}

/// Removes the directory and the socket in it, and nothing that somebody else put there.
fn remove(dir: &Path) {
    let _ = fs::remove_file(dir.join(SOCKET));
    // A directory that stays does no harm.
    let _ = fs::remove_dir(dir);
}

fn locked(dir: &Path) -> io::Result<File> {
    let file = File::open(dir)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Removes the directories that nobody uses any more.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for entry in ours {
        let made = entry.metadata().and_then(|metadata| metadata.modified());
        let age = made.ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > YOUNG) && locked(&entry.path()).is_ok() {
            remove(&entry.path());
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

    fn unix(parent: &Path) -> io::Result<Self> {
        sweep(parent);
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| since.subsec_nanos());
        let dir = parent.join(format!("{PREFIX}{}-{nanos}", std::process::id()));
        let path = dir.join(SOCKET);
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(io::Error::other("the path of the socket would be too long"));
        }
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Self::Unix {
            _lock: locked(&dir)?,
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

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::SystemTime};

    use tempfile::TempDir;

    use super::*;

    fn make_old(dir: &Path) {
        let file = File::open(dir).unwrap();
        file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
    }

    fn socket_dir(listener: &Listener) -> PathBuf {
        PathBuf::from(listener.address()).parent().unwrap().into()
    }

    #[tokio::test]
    async fn only_its_owner_can_reach_a_socket() {
        let parent = TempDir::new().unwrap();
        let listener = Listener::unix(parent.path()).unwrap();
        let mode = fs::metadata(socket_dir(&listener)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
    }

    #[tokio::test]
    async fn where_no_socket_can_be_no_directory_is_left() {
        let top = TempDir::new().unwrap();
        let parent = top.path().join("long".repeat(30));
        fs::create_dir(&parent).unwrap();
        assert!(Listener::unix(&parent).is_err());
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_killed_provider_left_goes_and_what_is_used_stays() {
        let parent = TempDir::new().unwrap();
        let left = parent.path().join(format!("{PREFIX}1-1"));
        let foreign = parent.path().join(format!("{PREFIX}1-2"));
        for dir in [&left, &foreign] {
            fs::create_dir(dir).unwrap();
            File::create(dir.join(SOCKET)).unwrap();
        }
        File::create(foreign.join("somebody's")).unwrap();
        let used = Listener::unix(parent.path()).unwrap();
        assert!(left.exists(), "it is too young");
        for dir in [&left, &foreign, &socket_dir(&used)] {
            make_old(dir);
        }
        let next = Listener::unix(parent.path()).unwrap();
        assert!(!left.exists());
        assert!(foreign.join("somebody's").exists());
        assert!(socket_dir(&used).join(SOCKET).exists());
        drop(next.socket_dir());
        assert!(!socket_dir(&next).exists());
    }
}
