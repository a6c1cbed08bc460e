//! The Terraform provider `paymesh`: its provider block and its resources.
//!
//! Everything that makes Paymesh Paymesh is here, and nothing else: `plugin` speaks Terraform's
//! protocol, `engine` converges remote objects, `azure` and `google` know the clouds.

pub mod cluster;
pub mod codes;
pub mod converge;
mod progress;
pub mod provider;
pub mod session;
pub mod settings;
pub mod simulator;
