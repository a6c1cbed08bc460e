use std::collections::BTreeMap;

use paymesh_plugin::spec::{Attributes, Secret, Status};

/// What is there.
#[derive(Clone, Debug, Status)]
struct ThingStatus {
    /// Its locks.
    locks: BTreeMap<String, Vec<Lock>>,
}

/// A lock.
#[derive(Clone, Debug, Attributes)]
struct Lock {
    /// Its key.
    key: Secret<String>,
    /// Grows with it.
    key_version: u32,
}
