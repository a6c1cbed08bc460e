use paymesh_plugin::spec::{Secret, Status};

/// What is there.
#[derive(Clone, Debug, Status)]
struct ThingStatus {
    /// Its key.
    key: Secret<String>,
    /// Grows with it.
    key_version: u32,
}
