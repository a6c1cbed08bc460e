//! The binary terraform-provider-paymesh.

fn main() {}
