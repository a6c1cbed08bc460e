//! The simulated cloud.

fn main() {}
