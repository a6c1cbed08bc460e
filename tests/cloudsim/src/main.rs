//! The simulated cloud: one server that answers as Azure and as Google Cloud would.
//!
//! It is the adversary of the provider and shares no code with it. Everything it knows is in
//! `core` (time, memory, journal, faults, operations) and in one room per cloud.

mod azure;
mod core;
mod google;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// A simulated cloud on this machine: loopback only, no account, state that survives restarts.
#[derive(Debug, Parser)]
#[command(name = "paymesh-cloudsim", version)]
pub(crate) struct Options {
    /// Directory that holds the state, the certificate authority and the credentials.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// HTTPS port of Azure and of the control API; 0 takes the port of the last run if it is free, else any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Plain HTTP port of Google Cloud; 0 takes the port of the last run if it is free, else any.
    #[arg(long, default_value_t = 0)]
    google_port: u16,
    /// File that tells clients where the simulator is; written when it is ready.
    #[arg(long, env = "PAYMESH_SIMULATOR")]
    simulator_file: Option<PathBuf>,
    /// How many simulated seconds pass in one second.
    #[arg(long, default_value_t = 600.0)]
    clock_rate: f64,
    /// End every operation at its k-th poll instead of by the clock, so that request counts are stable.
    #[arg(long)]
    operation_polls: Option<u32>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    match core::run(
        &Options::parse(),
        vec![Box::new(azure::Azure), Box::new(google::Google)],
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paymesh-cloudsim: {error}");
            ExitCode::FAILURE
        }
    }
}
