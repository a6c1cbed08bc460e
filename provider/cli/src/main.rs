//! The command paymesh.
//!
//! `sim` is the simulated cloud: it starts the simulator as a process and speaks to it over its
//! control API; it shares no code with it. `watch` shows what a running apply does, from the
//! progress file that the provider writes. `orphans` finds by its mark what no state has.

mod orphans;
mod plain;
mod sim;
mod watch;

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
    /// List what bears our mark in the clouds and is in no given state; delete it, if asked to.
    Orphans(orphans::Options),
    /// Show step by step what a running apply or destroy does.
    Watch(watch::Options),
}

fn main() -> ExitCode {
    let outcome = match Options::parse().subject {
        Subject::Sim(command) => sim::run(command),
        Subject::Orphans(options) => orphans::run(&options),
        Subject::Watch(options) => watch::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paymesh: {error}");
            ExitCode::FAILURE
        }
    }
}
