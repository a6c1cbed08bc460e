use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    size: u8,
    /// Its colour.
    #[attr(colour = "red")]
    colour: String,
    /// Its weight.
    #[attr(default = 1, replace = true)]
    weight: Option<u8>,
}
