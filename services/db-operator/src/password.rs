//! Passwords: made here, and told to nobody but the Secret.

use paymesh_operations::Secret;

/// 256 bits, in letters that need no quoting in a URI.
const BYTES: usize = 32;

/// A new password.
pub(crate) fn new_password() -> Secret {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let text = rand::random::<[u8; BYTES * 8 / 6 + 1]>()
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 63)]))
        .collect::<String>();
    Secret::from(text)
}

/// What PostgreSQL keeps of a password: enough to check it, not enough to log in. It is computed
/// here, so the password is in no statement and in no log of the server.
pub(crate) fn verifier(password: &Secret) -> String {
    postgres_protocol::password::scram_sha_256(password.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_new_each_time_and_cannot_be_printed() {
        let (one, other) = (new_password(), new_password());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), 43);
        assert_eq!(format!("{one:?}"), "(secret)");
        assert!(verifier(&one).starts_with("SCRAM-SHA-256$4096:"));
        assert!(!verifier(&one).contains(one.expose()));
    }
}
