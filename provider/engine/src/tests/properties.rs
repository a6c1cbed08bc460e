//! Random everything.
