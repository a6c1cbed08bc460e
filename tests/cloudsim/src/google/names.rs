//! Names: what Google accepts as one, and what its servers derive from them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{catalogue::places::Place, refusal::Refusal};

/// SHA-256 of a secret, in hex: what is remembered in its place.
pub(crate) fn secret_hash(secret: &str) -> String {
    let words = Sha256::digest(secret.as_bytes());
    words.chunks(8).fold(String::new(), |mut hex, chunk| {
        let word = chunk
            .iter()
            .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        let _ = write!(hex, "{word:016x}");
        hex
    })
}

/// Sixty-four hex digits that depend on nothing but `words`. Quick, and no secret.
pub(crate) fn fingerprint(words: &str) -> String {
    let mut hash = scatter(words);
    let mut hex = String::with_capacity(64);
    for _ in 0..4 {
        hash = mix(hash);
        let _ = write!(hex, "{hash:016x}");
    }
    hex
}

/// A number below `limit` that depends on nothing but `words`.
pub(crate) fn draw(words: &str, limit: u64) -> u64 {
    mix(scatter(words)) % limit
}

/// FNV-1a.
fn scatter(words: &str) -> u64 {
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// One step of `SplitMix64`.
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

/// The number of a project.
pub(crate) fn project_number(project: &str) -> u64 {
    100_000_000_000 + draw(project, 899_999_999_999)
}

/// A cluster's full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterName {
    /// The project's id.
    pub(crate) project: String,
    /// Region or zone.
    pub(crate) place: Place,
    /// Region or zone, as in the path.
    pub(crate) location: String,
    /// The short name.
    pub(crate) cluster: String,
}

impl ClusterName {
    /// The key in the store, and the target of the cluster's operations.
    pub(crate) fn key(&self) -> String {
        format!(
            "projects/{}/locations/{}/clusters/{}",
            self.project, self.location, self.cluster
        )
    }

    /// The name as error texts show it.
    pub(crate) fn shown(&self) -> String {
        format!(
            "projects/{}/{}/{}/clusters/{}",
            self.project,
            self.place.word(),
            self.location,
            self.cluster
        )
    }

    /// The key of a pool.
    pub(crate) fn pool_key(&self, pool: &str) -> String {
        format!("{}/nodePools/{pool}", self.key())
    }

    /// Reads a key.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let (_, project, _, location, _, cluster) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        );
        Some(Self {
            project: project.into(),
            place: Place::parse(location)?,
            location: location.into(),
            cluster: cluster.into(),
        })
    }
}

/// Checks the name of a cluster or pool: at most 40 of `[a-z0-9-]`, starting with a letter.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let good = name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        && !name.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(Refusal::invalid(format!(
            "Invalid value for field \"{field}\": \"{name}\". Must be a match of regex \
             '(?:[a-z](?:[-a-z0-9]{{0,38}}[a-z0-9])?)'."
        )))
    }
}

/// Checks resource labels: at most 64; lower-case letters, digits, `_` and `-`; 63 characters each.
pub(crate) fn check_labels(field: &str, labels: &serde_json::Value) -> Result<(), Refusal> {
    let Some(labels) = labels.as_object() else {
        return Ok(());
    };
    let fits = |text: &str| {
        text.chars().count() <= 63
            && text.chars().all(|letter| {
                letter == '_'
                    || letter == '-'
                    || letter.is_numeric()
                    || (letter.is_alphabetic() && !letter.is_uppercase())
            })
    };
    if labels.len() > 64 {
        return Err(Refusal::invalid(format!(
            "Too many labels in {field}: {} of at most 64.",
            labels.len()
        )));
    }
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        if !fits(key) || !key.starts_with(char::is_alphabetic) {
            return Err(Refusal::invalid(format!(
                "Invalid field '{field}': \"{key}\". Label keys must start with a lowercase character, can only \
                 contain lowercase letters, numeric characters, underscores and dashes, and have at most 63 characters."
            )));
        }
        if !fits(value) {
            return Err(Refusal::invalid(format!(
                "Invalid field '{field}.{key}': \"{value}\". Label values can only contain lowercase letters, numeric \
                 characters, underscores and dashes, and have at most 63 characters."
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_with_a_slash_or_capitals_is_refused() {
        assert!(check_labels("resource_labels", &json!({ "paymesh-owner": "0a1b" })).is_ok());
        assert!(
            check_labels(
                "resource_labels",
                &json!({ "paymesh-owner": "payments/prod" })
            )
            .is_err()
        );
        assert!(check_labels("resource_labels", &json!({ "Team": "x" })).is_err());
    }

    #[test]
    fn a_cluster_name_has_forty_characters_at_most() {
        assert!(check_name("cluster.name", &"a".repeat(40)).is_ok());
        assert!(check_name("cluster.name", &"a".repeat(41)).is_err());
        assert!(check_name("cluster.name", "1a").is_err());
        assert!(check_name("cluster.name", "a-").is_err());
    }
}
