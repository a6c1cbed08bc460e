//! Real terraform against the provider and the simulated cloud.
