//! Bugs that tests put in on purpose, to prove that the tests would find them.

/// Which protections are switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent bug")]
pub struct SeededBugs {
    /// What bears our mark is not adopted.
    pub no_adoption: bool,
    /// Marks and holders are not looked at: everything found is taken for ours.
    pub no_guard: bool,
    /// The read under the locks just before a creation is left out.
    pub no_conditional_create: bool,
    /// A running operation is not waited for.
    pub no_resume: bool,
}
