//! The typed layer: a resource is declared as structs, and everything else follows from them.
//!
//! - [`Attribute`] is one type's way from a [`Value`] and back, through its [`Draft`].
//! - [`Attributes`] are structs of named attributes; [`Spec`] and [`Status`] are roots.
//! - A [`Draft`] is what is there before apply: each [`Field`] is known, null or unknown.
//! - [`Shape`] is the declaration as data, from which schema, docs, defaults and changes are made.
//!
//! The traits are derived; nobody writes them by hand. Invariants: a [`Secret`] never becomes a value,
//! a name is never both in a Spec and its Status, every attribute has a description.

mod attribute;
mod change;
pub mod checks;
mod collections;
mod duration;
mod field;
mod golden;
mod reader;
mod root;
mod scalars;
mod schema;
mod secret;
mod shape;
mod text;
mod timeouts;

pub use attribute::{Attribute, Attributes, Draft, DraftObject, object_value};
pub use change::Change;
pub use checks::Check;
pub use duration::DurationText;
pub use field::Field;
pub use golden::golden;
pub(crate) use golden::type_name;
pub use paymesh_plugin_derive::{Attributes, Choice, Spec, Status, Text};
pub use reader::Reader;
pub use root::{NoStatus, Spec, Status, contains, state_value};
pub use schema::{identity_schema, provider_schema, schema};
pub use secret::{Secret, Sensitive};
pub use shape::{AttributeShape, Group, ObjectShape, Presence, Shape, Word};
pub use text::{
    Choice, Text, checked_text, choice_shape, describe_choice, parse_choice, text_value,
};
pub use timeouts::Timeouts;

/// A path, written as in HCL: `at!(azure.subnet_id)`, `at!(node_pools[key].min_nodes)`.
///
/// In brackets stands the key of a map, an expression that prints; with `#` it is the index of a
/// list: `at!(windows[#0].start)`. A rule of a nested object is told where it is and says
/// `at!(below at => min_nodes)`.
#[macro_export]
macro_rules! at {
    () => { $crate::path::Path::root() };
    (below $from:expr => $($steps:tt)+) => { $crate::at_from!($from; . $($steps)+) };
    ($($steps:tt)+) => { $crate::at_from!($crate::path::Path::root(); . $($steps)+) };
}

/// The steps of [`at!`](crate::at), one by one.
#[doc(hidden)]
#[macro_export]
macro_rules! at_from {
    ($from:expr;) => { $from };
    ($from:expr; . $name:ident $($rest:tt)*) => {
        $crate::at_from!($from.attribute(stringify!($name).trim_start_matches("r#")); $($rest)*)
    };
    ($from:expr; [# $index:expr] $($rest:tt)*) => {
        $crate::at_from!($from.index($index); $($rest)*)
    };
    ($from:expr; [$key:expr] $($rest:tt)*) => {
        $crate::at_from!($from.key($key.to_string()); $($rest)*)
    };
}
