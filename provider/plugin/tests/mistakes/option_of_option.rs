use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    size: Option<Option<u8>>,
}
