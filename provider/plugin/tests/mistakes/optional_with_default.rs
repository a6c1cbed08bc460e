use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    #[attr(default = Some(1))]
    size: Option<u8>,
}
