use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
#[allow(non_snake_case)]
struct Thing {
    /// How many.
    howMany: u8,
}
