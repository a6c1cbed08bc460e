//! The engine against a small cloud in memory, under paused time: every interleaving is a seed,
//! every cut a request number, and the books are the cloud's own.

mod bugs;
mod contract;
mod guards;
mod imports;
mod kept;
mod looks;
mod memory;
mod object;
mod order;
mod patience;
mod plans;
mod properties;
mod rules;
mod scenario;
mod steps;
mod sweep;
mod whose;
mod world;

pub(crate) use scenario::paused;
