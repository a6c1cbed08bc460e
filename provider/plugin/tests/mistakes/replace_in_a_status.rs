use paymesh_plugin::spec::Status;

/// What is there.
#[derive(Clone, Debug, Status)]
struct ThingStatus {
    /// Its size.
    #[attr(replace)]
    size: u8,
}
