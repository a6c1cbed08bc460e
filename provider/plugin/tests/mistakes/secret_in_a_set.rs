use std::collections::BTreeSet;

use paymesh_plugin::spec::{Attributes, Secret};

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its locks.
    locks: BTreeSet<Lock>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Attributes)]
struct Lock {
    /// Its key.
    key: Secret<String>,
    /// Grows with it.
    key_version: u32,
}
