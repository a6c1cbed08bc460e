use std::collections::BTreeMap;

use paymesh_plugin::spec::Attributes;

/// A thing.
#[derive(Clone, Debug, Attributes)]
struct Thing {
    /// Its sizes.
    sizes: BTreeMap<u8, u8>,
}
