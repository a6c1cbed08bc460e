use paymesh_plugin::spec::{Attributes, Secret};

/// A lock.
#[derive(Clone, Debug, Attributes)]
struct Lock {
    /// Its key.
    #[attr(default = Secret::new(String::from("1234")))]
    key: Secret<String>,
    /// Grows with it.
    key_version: u32,
}
