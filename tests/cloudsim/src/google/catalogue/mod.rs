//! What the simulated Google sells: places, machines and Kubernetes versions. Tables, no state.

pub(crate) mod machines;
pub(crate) mod places;
pub(crate) mod versions;
