use paymesh_plugin::spec::Spec;

/// A thing.
#[derive(Clone, Debug, Spec)]
struct ThingSpec {
    /// Its size.
    size: u8,
}
