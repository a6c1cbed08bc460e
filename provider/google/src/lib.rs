//! The objects of Google Cloud, in Google's own words: GKE clusters and node pools, service
//! accounts and the roles they are granted.
//!
//! Invariants:
//! - Bodies are the cloud's own JSON. An update names one field; fields unknown here survive.
//! - Marks are labels that hold digests, because labels allow neither slashes nor capitals.
//! - A policy has no place for a mark but the title of a condition, so what is granted to others
//!   is conditional on the cluster; what is granted to a cluster's own account is its own.
//! - A cluster takes one operation at a time: everything inside it shares the cluster's lock.

pub mod access;
mod client;
pub mod cluster;
mod credentials;
mod fault;
mod json;
mod marked;
mod name;
mod operation;
pub mod pool;
pub mod preflight;
mod seen;
mod sign_in;
mod update;
mod word;

pub use client::{Endpoints, Google};
pub use credentials::{Credentials, usual_project};
pub use marked::Marked;
pub use name::{ClusterName, Location, NodePoolName, NotACluster};
pub use seen::{ClusterSeen, PoolSeen};
pub use word::{Word, Wording};
