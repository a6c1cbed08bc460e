//! The `timeouts` object, ready made.

use super::DurationText;

/// How long each operation may take before it is given up; what it has begun continues in the cloud,
/// and the next apply resumes it.
#[derive(Clone, Debug, Default, PartialEq, paymesh_plugin_derive::Attributes)]
pub struct Timeouts {
    /// Longest time to create.
    pub create: Option<DurationText>,
    /// Longest time to read.
    pub read: Option<DurationText>,
    /// Longest time to update.
    pub update: Option<DurationText>,
    /// Longest time to delete.
    pub delete: Option<DurationText>,
}
