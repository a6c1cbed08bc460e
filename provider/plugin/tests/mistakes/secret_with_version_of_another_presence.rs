use paymesh_plugin::spec::{Attributes, Secret};

/// A lock.
#[derive(Clone, Debug, Attributes)]
struct Lock {
    /// Its key.
    key: Option<Secret<String>>,
    /// Grows with it.
    key_version: u32,
}
