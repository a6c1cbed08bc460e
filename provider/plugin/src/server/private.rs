//! Private data on the wire: the author's bytes behind one mark, so that planned private data is
//! never empty. That is how the create half of a replacement is told from a plain create: core calls
//! both with a null prior state, but only the first with what the plan before it made.

const MARK: u8 = 1;

/// The author's bytes as Terraform stores them.
pub(crate) fn wrap(private: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(private.len() + 1);
    bytes.push(MARK);
    bytes.extend(private);
    bytes
}

/// The author's bytes.
pub(crate) fn unwrap(bytes: &[u8]) -> Vec<u8> {
    bytes.strip_prefix(&[MARK]).unwrap_or(bytes).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_bytes_come_back_and_so_do_those_without_a_mark() {
        for private in ["", "author"] {
            assert_eq!(unwrap(&wrap(private.as_bytes())), private.as_bytes());
        }
        assert_eq!(unwrap(b"unmarked"), b"unmarked");
    }
}
