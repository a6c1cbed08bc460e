//! A connection to db-controller, and whose it is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use crate::{accept::Encrypted, identity::Identity};

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Whoever is on this machine: nobody was asked.
    Local,
    /// A peer with a certificate; `None` if that names nobody, which no handshake lets pass.
    Peer(Option<Identity>),
}

/// A connection that tells with each call who calls, and ends when it has lived for so long.
pub(crate) struct Connection {
    stream: Either<TcpStream, Encrypted>,
    caller: Caller,
    /// tonic asks a peer to leave when its connection is old, or cuts it off later, but not both: who
    /// does not leave is cut off here.
    end: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn local(stream: TcpStream, lives_for: Duration) -> Self {
        Self {
            stream: Either::Left(stream),
            caller: Caller::Local,
            end: Box::pin(sleep(lives_for)),
        }
    }

    pub(crate) fn of_peer(stream: Encrypted, lives_for: Duration) -> Self {
        let shown = stream.get_ref().1.peer_certificates();
        let first = shown.and_then(|chain| chain.first());
        let caller = Caller::Peer(first.and_then(|first| Identity::of(first).ok()));
        Self {
            stream: Either::Right(stream),
            caller,
            end: Box::pin(sleep(lives_for)),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
