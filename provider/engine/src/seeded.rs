//! The engine's protections. In the product each is a constant: on. Tests switch them off one by
//! one, to prove that they would find such a bug.
//!
//! With the feature `seeded-bugs` a program can be built whose protections the environment
//! switches off: `PAYMESH_SEEDED_BUG=no_adoption`. No release can have it.

#[cfg(all(feature = "seeded-bugs", not(debug_assertions)))]
compile_error!("the feature `seeded-bugs` puts bugs in on purpose: never in a release");

/// Which protections an engine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protections {
    #[cfg(any(test, feature = "seeded-bugs"))]
    pub(crate) bugs: SeededBugs,
}

/// Which protections are switched off.
#[cfg(any(test, feature = "seeded-bugs"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent bug")]
pub(crate) struct SeededBugs {
    pub(crate) no_adoption: bool,
    pub(crate) no_guard: bool,
    pub(crate) no_conditional_create: bool,
    pub(crate) no_resume: bool,
}

impl Protections {
    /// All of them, less the one that the environment of a program with bugs names.
    pub(crate) fn of_this_program() -> Self {
        #[cfg(not(feature = "seeded-bugs"))]
        return Self::default();
        #[cfg(feature = "seeded-bugs")]
        {
            let bug = std::env::var("PAYMESH_SEEDED_BUG").unwrap_or_default();
            Self {
                bugs: SeededBugs {
                    no_adoption: bug == "no_adoption",
                    no_guard: bug == "no_guard",
                    no_conditional_create: bug == "no_conditional_create",
                    no_resume: bug == "no_resume",
                },
            }
        }
    }
}

macro_rules! protections {
    ($($(#[$doc:meta])* $name:ident unless $bug:ident;)*) => {
        impl Protections {
            $(
                $(#[$doc])*
                #[cfg(not(any(test, feature = "seeded-bugs")))]
                #[allow(clippy::unused_self, reason = "an engine under test asks itself")]
                pub(crate) const fn $name(self) -> bool {
                    true
                }

                $(#[$doc])*
                #[cfg(any(test, feature = "seeded-bugs"))]
                pub(crate) const fn $name(self) -> bool {
                    !self.bugs.$bug
                }
            )*
        }
    };
}

protections! {
    /// What bears our mark and the holder of another run is adopted.
    adopts unless no_adoption;
    /// Marks and holders are looked at before anything that exists is written.
    guards unless no_guard;
    /// An object is read under its locks just before it is written.
    looks_before_writing unless no_conditional_create;
    /// A running operation is waited for.
    waits_for_operations unless no_resume;
}
