//! Terraform plugin protocol 6 server. Knows no cloud and no Paymesh.
//!
//! Layers, each knowing only those before it:
//! - [`value`], [`path`], [`schema`]: Terraform's data, without its wire.
//! - [`spec`], [`findings`]: typed declarations and what is wrong with a configuration.
//! - [`provider`], [`resource`], [`data_source`], [`ephemeral`], [`function`]: what an author writes.
//! - `erased`, `rules`, `server`, `wire`: the protocol, one file per RPC, and core's rules.
//! - [`serve`]: the life of the process.

// Derived code names this crate by its name, also inside it.
extern crate self as paymesh_plugin;

pub mod call;
pub mod data_source;
pub mod docs;
#[doc(hidden)]
pub mod entries;
pub mod ephemeral;
mod erased;
pub mod findings;
pub mod function;
mod logs;
mod panics;
pub mod path;
pub mod provider;
pub mod resource;
mod rules;
pub mod schema;
mod serve;
mod server;
pub mod spec;
pub mod value;
mod wire;

pub use serve::serve;
