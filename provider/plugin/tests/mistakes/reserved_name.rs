use paymesh_plugin::spec::Spec;

/// A thing.
#[derive(Clone, Debug, Spec)]
#[spec(name = "test_thing")]
struct ThingSpec {
    /// How many.
    count: u8,
}
