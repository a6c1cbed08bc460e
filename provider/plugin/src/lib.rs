//! Terraform plugin protocol 6 server. Knows no cloud and no Paymesh.

pub mod path;
pub mod schema;
pub mod value;
