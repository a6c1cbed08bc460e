use paymesh_plugin::spec::{Attributes, Secret};

/// A lock.
#[derive(Clone, Debug, Attributes)]
struct Lock {
    /// Its key.
    #[attr(check = length(8..=64))]
    key: Secret<String>,
    /// Grows with it.
    key_version: u32,
}
