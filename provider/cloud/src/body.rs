//! The body of an answer, as far as it may reach.

use reqwest::Response;

/// The most that one answer may hold, unpacked. The longest page of a list is a fraction of it.
pub(crate) const MIB_MAX: usize = 64;

/// A body that was read.
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// The connection ended within it.
    Cut,
    /// It is longer than a body may be.
    Endless,
}

/// Reads the body of `response`, and no more than may be.
pub(crate) async fn read(mut response: Response) -> Body {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > MIB_MAX << 20 => return Body::Endless,
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(bytes),
            Err(_) => return Body::Cut,
        }
    }
}
