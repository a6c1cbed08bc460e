use paymesh_plugin::spec::{Attributes, Secret};

/// A lock.
#[derive(Clone, Debug, Attributes)]
struct Lock {
    /// Its key.
    key: Secret<String>,
}
