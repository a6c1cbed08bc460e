//! The operator against a real Kubernetes API server and a real PostgreSQL, as a process of its own.
//!
//! Ignored unless asked for, because they need both (stage `operator` of `make test`).

mod adversary;
mod conflict;
mod crash;
mod deletion;
mod drift;
mod encrypted;
mod leaders;
mod life;
mod lost;
mod outage;
mod owner;
mod rotation;
mod silence;
