//! The command paymesh.
//!
//! Today it has one subject, `sim`: the simulated cloud. It starts the simulator as a process and
//! speaks to it over its control API; it shares no code with it.

mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Paymesh: payment platforms on Azure and Google Cloud.
#[derive(Debug, Parser)]
#[command(name = "paymesh", version, subcommand_required = true)]
struct Options {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// The simulated cloud on this machine.
    #[command(subcommand)]
    Sim(sim::Command),
}

fn main() -> ExitCode {
    let Subject::Sim(command) = Options::parse().subject;
    match sim::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paymesh: {error}");
            ExitCode::FAILURE
        }
    }
}
