//! Every decoder of the provider against inputs that nobody sends: each reads or refuses, and
//! nothing crashes.

mod answers;
mod bodies;
mod configurations;
mod handshake;
mod ids;
mod samples;
mod states;
mod values;
