//! The command paymesh.

fn main() {}
