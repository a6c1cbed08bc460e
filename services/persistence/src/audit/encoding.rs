//! What is hashed, byte by byte, so that anybody can do it again.
//!
//! A field is its length in bytes as four bytes and then the bytes; a null is the length -1. A value
//! is what PostgreSQL sends for it in its binary format (`int8send`, `uuid_send`, `timestamptz_send`,
//! text in UTF-8): numbers have their highest byte first. Format 1 is:
//! - a row: the table, the format as two bytes, and every column in the order of the statement in
//!   `store/audit.rs`;
//! - a seal: the table, its number, the format as two bytes, its epoch, `after_seq`, `last_seq`,
//!   `entries`, `total`, when it was sealed as microseconds since 1970, and the hash before it, which
//!   is all zeros for the first. Numbers are of eight bytes.
//!
//! A column that is added to a table needs another format; what was sealed in an older one stays so.

use paymesh_contracts::digest;
use uuid::Uuid;

use super::Shard;

/// The format that is sealed in.
pub const FORMAT: i16 = 1;

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash before the first one.
pub const NOTHING: Hash = [0; 32];

/// A row as a seal knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// Of all its columns.
    pub hash: Hash,
}

impl Entry {
    const BYTES: usize = 8 + 16 + 32;

    /// A row whose columns are these.
    pub fn of<'a>(
        shard: Shard,
        seq: i64,
        id: Uuid,
        columns: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Self {
        let mut fields = Fields::of(shard);
        fields.put(&FORMAT.to_be_bytes());
        for column in columns {
            fields.put_nullable(column);
        }
        Self {
            seq,
            id,
            hash: fields.hash(),
        }
    }

    /// Adds it to those of a seal.
    pub fn write(&self, entries: &mut Vec<u8>) {
        entries.extend_from_slice(&self.seq.to_be_bytes());
        entries.extend_from_slice(self.id.as_bytes());
        entries.extend_from_slice(&self.hash);
    }

    /// Those of a seal.
    pub fn read(entries: &[u8]) -> impl Iterator<Item = Self> {
        entries.chunks_exact(Self::BYTES).filter_map(|entry| {
            let (seq, rest) = entry.split_first_chunk()?;
            let (id, rest) = rest.split_first_chunk()?;
            Some(Self {
                seq: i64::from_be_bytes(*seq),
                id: Uuid::from_bytes(*id),
                hash: rest.try_into().ok()?,
            })
        })
    }
}

/// One link of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Its place in the chain; the first is 1.
    pub number: i64,
    /// How it is encoded.
    pub format: i16,
    /// Of the lease under which it was sealed.
    pub epoch: i64,
    /// Every row behind this number,
    pub after_seq: i64,
    /// up to and including this one, is in it.
    pub last_seq: i64,
    /// Its rows, as [`Entry::write`] writes them.
    pub entries: Vec<u8>,
    /// Rows in it and all before it.
    pub total: i64,
    /// When, in microseconds since 1970.
    pub sealed_at_us: i64,
    /// The hash of the seal before it.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

impl Seal {
    /// What its hash has to be.
    pub fn hash_of(&self, shard: Shard) -> Hash {
        let mut fields = Fields::of(shard);
        fields.put(&self.number.to_be_bytes());
        fields.put(&self.format.to_be_bytes());
        fields.put(&self.epoch.to_be_bytes());
        fields.put(&self.after_seq.to_be_bytes());
        fields.put(&self.last_seq.to_be_bytes());
        fields.put(&self.entries);
        fields.put(&self.total.to_be_bytes());
        fields.put(&self.sealed_at_us.to_be_bytes());
        fields.put(&self.previous);
        fields.hash()
    }
}

struct Fields(Vec<u8>);

impl Fields {
    fn of(shard: Shard) -> Self {
        let mut fields = Self(Vec::with_capacity(512));
        fields.put(shard.word().as_bytes());
        fields
    }

    fn put(&mut self, value: &[u8]) {
        // PostgreSQL has no value of 2 GiB.
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
    }

    fn put_nullable(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.put(value),
            None => self.0.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }

    fn hash(&self) -> Hash {
        digest::sha256(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(columns: &[Option<&[u8]>]) -> Entry {
        Entry::of(
            Shard::Posting,
            7,
            Uuid::from_u128(5),
            columns.iter().copied(),
        )
    }

    fn seal() -> Seal {
        let mut entries = Vec::new();
        entry(&[Some(b"a"), None]).write(&mut entries);
        Seal {
            number: 2,
            format: FORMAT,
            epoch: 3,
            after_seq: 4,
            last_seq: 8,
            entries,
            total: 6,
            sealed_at_us: 1_700_000_000_000_001,
            previous: [9; 32],
            hash: NOTHING,
        }
    }

    /// Held for ever: what was sealed has to be found unchanged by every later version. Another
    /// program made these (`hashlib` of Python, from the words above).
    #[test]
    fn format_one_is_these_bytes() {
        assert_eq!(FORMAT, 1);
        let row = entry(&[Some(b"a"), None]);
        assert_eq!(
            digest::hex(&row.hash),
            "0054eab9eeee6d1c561fcf308d75604bc0946462380c7e5d9da715f55a1f3ac8"
        );
        let seal = seal();
        assert_eq!(
            digest::hex(&seal.hash_of(Shard::Posting)),
            "45955d1233479e04adeb961d2446a5b33e49937fea97a576740d805fafe9b438"
        );
    }

    #[test]
    fn a_seal_gives_back_the_rows_it_was_given() {
        let rows = [entry(&[Some(b"a")]), entry(&[None])];
        let mut entries = Vec::new();
        for row in &rows {
            row.write(&mut entries);
        }
        assert_eq!(entries.len(), rows.len() * Entry::BYTES);
        assert_eq!(Entry::read(&entries).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn no_two_rows_have_the_same_bytes() {
        let rows: [&[Option<&[u8]>]; 6] = [
            &[Some(b"ab"), Some(b"")],
            &[Some(b"a"), Some(b"b")],
            &[Some(b"ab"), None],
            &[Some(b"ab")],
            &[Some(b"\0\0\0\x02ab")],
            &[],
        ];
        let mut hashes: Vec<Hash> = rows.iter().map(|row| entry(row).hash).collect();
        let event = Entry::of(Shard::Event, 7, Uuid::from_u128(5), std::iter::empty());
        hashes.push(event.hash);
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), rows.len() + 1);
    }

    #[test]
    fn every_part_of_a_seal_is_in_its_hash() {
        let changes: [fn(&mut Seal); 10] = [
            |_| {},
            |seal| seal.number += 1,
            |seal| seal.format += 1,
            |seal| seal.epoch += 1,
            |seal| seal.after_seq += 1,
            |seal| seal.last_seq += 1,
            |seal| seal.entries[55] ^= 1,
            |seal| seal.total += 1,
            |seal| seal.sealed_at_us += 1,
            |seal| seal.previous[31] ^= 1,
        ];
        let mut hashes: Vec<Hash> = changes
            .iter()
            .map(|change| {
                let mut other = seal();
                change(&mut other);
                other.hash_of(Shard::Posting)
            })
            .collect();
        hashes.push(seal().hash_of(Shard::Event));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), changes.len() + 1);
    }
}
