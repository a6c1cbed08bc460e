//! The engine's protections. In the product each is a constant: on. Tests switch them off one by
//! one, to prove that they would find such a bug.

/// Which protections an engine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protections {
    #[cfg(test)]
    pub(crate) bugs: SeededBugs,
}

/// Which protections are switched off.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent bug")]
pub(crate) struct SeededBugs {
    pub(crate) no_adoption: bool,
    pub(crate) no_guard: bool,
    pub(crate) no_conditional_create: bool,
    pub(crate) no_resume: bool,
}

macro_rules! protections {
    ($($(#[$doc:meta])* $name:ident unless $bug:ident;)*) => {
        impl Protections {
            $(
                $(#[$doc])*
                #[cfg(not(test))]
                #[allow(clippy::unused_self, reason = "an engine under test asks itself")]
                pub(crate) const fn $name(self) -> bool {
                    true
                }

                $(#[$doc])*
                #[cfg(test)]
                pub(crate) const fn $name(self) -> bool {
                    !self.bugs.$bug
                }
            )*
        }
    };
}

protections! {
    /// What bears our mark is adopted.
    adopts unless no_adoption;
    /// Marks and holders are looked at before anything that exists is written.
    guards unless no_guard;
    /// An object is read under its locks just before it is written.
    looks_before_writing unless no_conditional_create;
    /// A running operation is waited for.
    waits_for_operations unless no_resume;
}
