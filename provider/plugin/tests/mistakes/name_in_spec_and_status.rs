use paymesh_plugin::spec::{Spec, Status};

/// A thing.
#[derive(Clone, Debug, Spec)]
#[spec(name = "test_thing", status = ThingStatus)]
struct ThingSpec {
    /// Wanted size.
    size: u8,
}

/// What is there.
#[derive(Clone, Debug, Status)]
struct ThingStatus {
    /// Size it has.
    size: u8,
}
