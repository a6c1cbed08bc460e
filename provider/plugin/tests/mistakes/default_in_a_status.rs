use paymesh_plugin::spec::Status;

/// What is there.
#[derive(Clone, Debug, Status)]
struct ThingStatus {
    /// Its size.
    #[attr(default = 1)]
    size: u8,
}
