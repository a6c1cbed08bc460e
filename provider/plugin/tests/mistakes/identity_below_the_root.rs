use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    #[attr(identity)]
    size: u8,
}
