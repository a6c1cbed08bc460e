//! Terraform plugin protocol 6 server. Knows no cloud and no Paymesh.
//!
//! Layers, each knowing only those before it:
//! - [`value`], [`path`], [`schema`]: Terraform's data, without its wire.
//! - [`spec`], [`findings`]: typed declarations and what is wrong with a configuration.
//! - [`provider`], [`resource`], [`data_source`], [`ephemeral`], [`function`]: what an author writes.

// Derived code names this crate by its name, also inside it.
extern crate self as paymesh_plugin;

pub mod call;
pub mod data_source;
pub mod docs;
pub mod ephemeral;
#[expect(dead_code, reason = "the server comes next")]
mod erased;
pub mod findings;
pub mod function;
pub mod path;
pub mod provider;
pub mod resource;
pub mod schema;
pub mod spec;
pub mod value;
#[expect(dead_code, reason = "the server comes next")]
mod wire;
