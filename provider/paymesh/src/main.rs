//! The binary terraform-provider-paymesh.

use std::process::ExitCode;

use paymesh::provider::Paymesh;

fn main() -> ExitCode {
    paymesh_plugin::serve(Paymesh::default())
}
