use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    #[deprecated]
    size: u8,
}
