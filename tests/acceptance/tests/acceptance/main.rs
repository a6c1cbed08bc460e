//! What users see, with a real Terraform or OpenTofu against the simulated cloud.
//!
//! One program for all: it links once, and a test that waits leaves the processors to the others.

mod adoption;
mod aks;
mod attributes;
mod bed;
mod behind;
mod cluster;
mod coverage;
mod demo;
mod drift;
mod examples;
mod gke;
mod guards;
mod import;
mod install;
mod logs;
mod orphans;
mod owners;
mod permissions;
mod power;
mod provider;
mod refused;
mod secrets;
mod simulator;
mod standby;
mod states;
mod steps;
mod stop;
mod together;
mod unset;
