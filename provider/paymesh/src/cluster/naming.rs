//! Cloud names of pools and of the accounts of their nodes.
//!
//! The cloud name of a new pool is its key cut short plus three characters of a hash of the key
//! and the pool's immutable fields. A change of an immutable field therefore gives the pool
//! another name, and replacing it is ordinary convergence: the new pool is made beside the old
//! one, which is then drained and deleted. Which pool serves a key is state: a pool that was
//! imported keeps the name it has until one of its immutable fields really differs. Where the pool
//! that has to go bears the very name of the one that is wanted (somebody deleted it and made it
//! again otherwise), the wanted one gets the key's second name, whose hash has a 2 at its end; and
//! where that one is taken, the first again.
//!
//! The hash is part of the format of every state ever written. It must never change.

use sha2::{Digest, Sha256};

/// What a cloud allows in the name of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The longest name.
    pub longest: usize,
    /// What stands between key and hash.
    pub joint: &'static str,
}

/// AKS: twelve lower-case letters and digits for Linux pools.
pub const AKS: NameRule = NameRule {
    longest: 12,
    joint: "",
};

/// GKE: forty lower-case letters, digits and hyphens.
pub const GKE: NameRule = NameRule {
    longest: 40,
    joint: "-",
};

const HASH_LENGTH: usize = 3;

/// The fields of a pool that no cloud changes in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Immutable<'a> {
    /// The machine type, in the cloud's words.
    pub machine_type: &'a str,
    /// The zones, in any order.
    pub zones: &'a [String],
    /// The size of the system disk.
    pub disk_gb: u32,
    /// The kind of the system disk, in the cloud's words.
    pub disk_type: &'a str,
    /// Whether the nodes are spot nodes.
    pub spot: bool,
    /// The limit of pods on one node.
    pub max_pods: u32,
}

/// The name of the service account of a GKE cluster's nodes: 6 to 30 lower-case letters, digits
/// and hyphens, unique in the project. `path` is the cluster's full name, which tells clusters of
/// one name in two regions apart.
pub fn account_name(owner: &str, cluster: &str, path: &str) -> String {
    const HASH_LENGTH: usize = 8;
    const START: &str = "pm-";
    let room = 30 - START.len() - 1 - HASH_LENGTH;
    let short: String = cluster.chars().take(room).collect();
    let digest = Sha256::digest(format!("account/1\n{owner}\n{path}").as_bytes());
    let hash = spell(&digest[..HASH_LENGTH]);
    format!("{START}{}-{hash}", short.trim_end_matches('-'))
}

/// The cloud name of a new pool `key` with these immutable fields.
pub fn pool_name(rule: NameRule, key: &str, immutable: &Immutable<'_>) -> String {
    named(rule, key, &hash(key, immutable, ""))
}

/// The name of the same pool beside one that bears its first name and is another.
pub fn second_name(rule: NameRule, key: &str, immutable: &Immutable<'_>) -> String {
    named(rule, key, &hash(key, immutable, "\n2"))
}

/// Whether the pool `name` was made for `key`, whatever its immutable fields.
pub fn is_of(rule: NameRule, key: &str, name: &str) -> bool {
    let start = named(rule, key, "");
    name.len() == start.len() + HASH_LENGTH && name.starts_with(&start)
}

fn named(rule: NameRule, key: &str, hash: &str) -> String {
    let room = rule.longest - HASH_LENGTH - rule.joint.len();
    let short: String = key.chars().take(room).collect();
    format!("{}{}{hash}", short.trim_end_matches('-'), rule.joint)
}

fn hash(key: &str, immutable: &Immutable<'_>, end: &str) -> String {
    let mut zones = immutable.zones.to_vec();
    zones.sort_unstable();
    let words = format!(
        "pool/1\n{key}\n{}\n{}\n{}\n{}\n{}\n{}{end}",
        immutable.machine_type.to_ascii_lowercase(),
        zones.join(","),
        immutable.disk_gb,
        immutable.disk_type.to_ascii_lowercase(),
        immutable.spot,
        immutable.max_pods,
    );
    spell(&Sha256::digest(words.as_bytes())[..HASH_LENGTH])
}

/// Bytes as lower-case letters and digits.
fn spell(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn immutable(zones: &[String]) -> Immutable<'_> {
        Immutable {
            machine_type: "Standard_D4s_v5",
            zones,
            disk_gb: 128,
            disk_type: "Managed",
            spot: false,
            max_pods: 250,
        }
    }

    #[test]
    fn names_are_frozen() {
        let zones = ["1", "2", "3"].map(str::to_owned);
        let name = |rule, key| pool_name(rule, key, &immutable(&zones));
        expect_test::expect!["systemesw"].assert_eq(&name(AKS, "system"));
        expect_test::expect!["averylong4qo"].assert_eq(&name(AKS, "averylongkey"));
        let second = second_name(AKS, "system", &immutable(&zones));
        expect_test::expect!["systemgfs"].assert_eq(&second);
        expect_test::expect!["card-payments-qss"].assert_eq(&name(GKE, "card-payments"));
    }

    #[test]
    fn an_account_has_at_most_thirty_letters() {
        let name = |cluster: &str| account_name("payments/prod", cluster, "projects/p/…");
        expect_test::expect!["pm-pay-f755nw7d"].assert_eq(&name("pay"));
        expect_test::expect!["pm-payments-prod-main-f755nw7d"]
            .assert_eq(&name("payments-prod-main-europe"));
    }

    #[test]
    fn spelling_and_order_give_the_same_name() {
        let (there, back) = (["1", "2"].map(str::to_owned), ["2", "1"].map(str::to_owned));
        let shouted = Immutable {
            machine_type: "STANDARD_D4S_V5",
            ..immutable(&back)
        };
        assert_eq!(
            pool_name(AKS, "a", &immutable(&there)),
            pool_name(AKS, "a", &shouted)
        );
    }

    #[test]
    fn every_immutable_field_changes_the_name() {
        let zones = ["1".to_owned()];
        let before = immutable(&zones);
        let changes = [
            Immutable {
                machine_type: "Standard_D8s_v5",
                ..before.clone()
            },
            Immutable {
                zones: &[],
                ..before.clone()
            },
            Immutable {
                disk_gb: 256,
                ..before.clone()
            },
            Immutable {
                disk_type: "Ephemeral",
                ..before.clone()
            },
            Immutable {
                spot: true,
                ..before.clone()
            },
            Immutable {
                max_pods: 110,
                ..before.clone()
            },
        ];
        for after in changes {
            assert_ne!(
                pool_name(AKS, "a", &before),
                pool_name(AKS, "a", &after),
                "{after:?}"
            );
        }
    }

    #[test]
    fn a_name_never_exceeds_the_clouds_limit() {
        let key = "k".repeat(60);
        for rule in [AKS, GKE] {
            assert_eq!(pool_name(rule, &key, &immutable(&[])).len(), rule.longest);
        }
    }
}
