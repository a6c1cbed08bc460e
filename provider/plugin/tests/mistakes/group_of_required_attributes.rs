use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its size.
    #[attr(one_of = "measure")]
    size: u8,
    /// Its weight.
    #[attr(one_of = "measure")]
    weight: u8,
}
