use paymesh_plugin::spec::Attributes;

#[derive(Clone, Debug, Attributes)]
struct Thing {
    size: u8,
}
