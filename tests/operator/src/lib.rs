//! What the operator's tests stand on: a Kubernetes API server, a PostgreSQL server, and operators as
//! processes of their own. It shares nothing with the operator but the manifests that a cluster gets.

mod api;
mod fake;
mod place;
mod world;

pub use api::Api;
pub use fake::Fake;
pub use place::{Login, Place};
pub use world::{Operator, World, until};
