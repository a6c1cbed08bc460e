use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    #[attr(replace, rolling)]
    size: u8,
}
