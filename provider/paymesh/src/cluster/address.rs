//! IPv4 ranges in CIDR notation: parsed strictly, compared for overlap.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// A network range such as `10.4.0.0/16`, whose host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    first: u32,
    prefix: u8,
}

/// Why a text is not a [`Range`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRange {
    /// Not an address, a slash and a prefix length.
    Shape(String),
    /// An address inside the range instead of its first; the right spelling is given.
    HostBits {
        /// What was written.
        given: String,
        /// What was meant.
        meant: String,
    },
}

impl Range {
    /// Whether the two ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }

    /// How many addresses the range holds.
    pub fn size(self) -> u64 {
        1 << (32 - self.prefix)
    }

    /// The length of the prefix: 16 in `10.4.0.0/16`.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The `n`-th address of the range.
    pub fn address(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first.saturating_add(n))
    }

    /// Whether the range belongs to private address space.
    pub fn is_private(self) -> bool {
        let private = [
            ([10, 0, 0, 0], 8),
            ([172, 16, 0, 0], 12),
            ([192, 168, 0, 0], 16),
            ([100, 64, 0, 0], 10),
        ];
        private.into_iter().any(|(first, prefix)| {
            let range = Self {
                first: u32::from_be_bytes(first),
                prefix,
            };
            range.first <= self.first && self.last() <= range.last()
        })
    }

    fn last(self) -> u32 {
        self.first | !mask(self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = || BadRange::Shape(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= 32)
            .ok_or_else(bad)?;
        let (given, first) = (u32::from(address), u32::from(address) & mask(prefix));
        if given != first {
            let meant = Self { first, prefix }.to_string();
            return Err(BadRange::HostBits {
                given: text.to_owned(),
                meant,
            });
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

impl fmt::Display for BadRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(given) => {
                write!(f, "{given:?} is not an IPv4 range such as \"10.4.0.0/16\"")
            }
            Self::HostBits { given, meant } => {
                write!(
                    f,
                    "{given:?} names an address inside a range; the range is \"{meant}\""
                )
            }
        }
    }
}

impl std::error::Error for BadRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_sharing_an_address() {
        let overlaps = |one: &str, other: &str| {
            one.parse::<Range>()
                .unwrap()
                .overlaps(other.parse().unwrap())
        };
        assert!(overlaps("10.0.0.0/8", "10.4.0.0/16"));
        assert!(overlaps("0.0.0.0/0", "192.168.1.0/24"));
        assert!(!overlaps("10.0.0.0/16", "10.1.0.0/16"));
    }

    #[test]
    fn a_host_address_is_refused_with_the_range_that_was_meant() {
        let refused = "10.4.1.0/16".parse::<Range>().unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("the range is \"10.4.0.0/16\""),
            "{refused}"
        );
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "fd00::/8",
            "10.0.0.0/x",
        ] {
            assert!(
                matches!(text.parse::<Range>(), Err(BadRange::Shape(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_and_addresses_follow_the_prefix() {
        let range: Range = "10.0.0.0/16".parse().unwrap();
        assert_eq!(range.size(), 65_536);
        assert_eq!(range.address(10).to_string(), "10.0.0.10");
        assert!(range.is_private() && !"8.8.8.0/24".parse::<Range>().unwrap().is_private());
    }
}
