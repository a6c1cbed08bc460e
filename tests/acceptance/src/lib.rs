//! Real terraform against the provider and the simulated cloud.
//!
//! A test owns everything it touches: a simulated cloud (its own process, state and ports), a
//! folder with the configuration, and the state. It sees the provider only through Terraform and
//! the cloud only through the simulator's journal and inventory. Which client runs is
//! `PAYMESH_CLIENT`, else the `terraform` or `tofu` in PATH.

mod client;
mod cloud;
mod family;
mod findings;
pub mod hcl;
mod orphans;
pub mod programs;
pub mod rpcs;
mod run;
pub mod samples;
mod somebody;
mod workspace;

pub use client::Client;
pub use cloud::{Cloud, Fault, OPERATION_POLLS, is_write};
pub use findings::Finding;
pub use orphans::orphans;
pub use programs::programs_folder;
pub use run::{Run, Running};
pub use somebody::Somebody;
pub use workspace::{OWNER, Workspace};
