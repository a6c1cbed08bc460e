//! Terraform plugin protocol 6 server. Knows no cloud and no Paymesh.

// Derived code names this crate by its name, also inside it.
extern crate self as paymesh_plugin;

pub mod docs;
pub mod findings;
pub mod path;
pub mod schema;
pub mod spec;
pub mod value;
