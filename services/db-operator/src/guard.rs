//! A password is proved and never told: a server is answered only if the first thing that it asks
//! for is SCRAM.
//!
//! tokio-postgres answers whatever it is asked for, the password in clear too, and has no setting
//! against that; so the server's first message is read along here, before it is whole there.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The letter of a request for authentication, its length, and which one it is.
const HEAD: usize = 1 + 4 + 4;

/// How much of a server's first message came, and what it is.
#[derive(Default)]
struct Head {
    bytes: [u8; HEAD],
    seen: usize,
}

impl Head {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len().min(HEAD - self.seen);
        self.bytes[self.seen..self.seen + count].copy_from_slice(&bytes[..count]);
        self.seen += count;
        let [letter, _, _, _, _, asked @ ..] = self.bytes;
        let is_begun_only = self.seen == 0 || (letter == b'R' && self.seen < HEAD);
        let asks_for = match (letter, u32::from_be_bytes(asked)) {
            _ if is_begun_only => return Ok(()),
            // SCRAM, or why nothing is asked for.
            (b'R', 10) | (b'E', _) => return Ok(()),
            (b'R', 0) => "for no password",
            (b'R', 3) => "for the password in clear",
            (b'R', 5) => "for the password's MD5",
            _ => "for something else",
        };
        let message = format!("the server asks {asks_for}, and not for SCRAM-SHA-256");
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }
}

/// A stream to a server that has to ask for SCRAM; with TLS, what is inside of that.
pub struct Guarded<S> {
    stream: S,
    head: Head,
}

impl<S> Guarded<S> {
    /// Guards what a server says over `stream`.
    pub fn new(stream: S) -> Self {
        let head = Head::default();
        Self { stream, head }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.head.take(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a first message that comes in pieces of this size.
    fn said(message: &[u8], size: usize) -> Result<(), String> {
        let mut head = Head::default();
        let mut pieces = message.chunks(size);
        pieces.try_for_each(|piece| head.take(piece).map_err(|reason| reason.to_string()))
    }

    #[test]
    fn only_a_server_that_asks_for_scram_is_answered_however_its_message_is_cut() {
        let request = |kind: u8| [b'R', 0, 0, 0, 8, 0, 0, 0, kind, b'N', b'N'];
        for size in 1..=11 {
            assert_eq!(said(&request(10), size), Ok(()));
            assert_eq!(said(b"E\0\0\0\x04and why not", size), Ok(()));
            for (kind, words) in [
                (0, "for no password,"),
                (3, "for the password in clear,"),
                (5, "for the password's MD5,"),
                (7, "for something else,"),
            ] {
                let reason = said(&request(kind), size).unwrap_err();
                assert!(reason.contains(words), "{kind}: {reason}");
            }
            // Nothing may come before it.
            assert!(said(b"N\0\0\0\x04R\0\0\0\x08\0\0\0\x03", size).is_err());
        }
    }
}
