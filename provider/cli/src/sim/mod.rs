//! `paymesh sim`: start, stop, look at and disturb the simulated cloud.

mod card;
mod control;
mod down;
mod private;
mod process;
mod up;

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub(crate) use card::{Card, Place};
use control::Control;
pub(crate) use process::Process;

use crate::plain::plain;

/// What went wrong, where, and what to do; ready to print.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// What to do with the simulated cloud.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start it, unless it runs already.
    Up(up::Options),
    /// Stop it. What it holds stays for the next start.
    Down,
    /// Forget everything it holds, also the journal.
    Reset,
    /// Write everything it holds into a file: objects, operations, states of Terraform.
    Export {
        /// The file.
        file: PathBuf,
    },
    /// Put what was exported in the place of everything it holds.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Where it is and what it holds.
    Status {
        /// Print the inventory as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show its clock, or change it.
    Clock(ClockOptions),
    /// Show the faults on order, add one, or clear them.
    #[command(subcommand)]
    Faults(Faults),
}

/// How to change the clock; with nothing given, it is shown.
#[derive(Debug, Args)]
pub(crate) struct ClockOptions {
    /// Simulated seconds in one second, from 0.001 to 1000000.
    #[arg(long, allow_negative_numbers = true, value_parser = rate)]
    rate: Option<f64>,
    /// Go ahead by this many simulated seconds at once.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = step)]
    step: Option<f64>,
    /// Stand still until a rate is set.
    #[arg(long, conflicts_with = "rate")]
    freeze: bool,
}

/// What to do about faults.
#[derive(Debug, Subcommand)]
pub(crate) enum Faults {
    /// Show the faults on order.
    List,
    /// Add one, written as JSON, for example
    /// '{"api":"azure","method":"PUT","nth":2,"action":{"kind":"answer","status":503}}'.
    Add {
        /// The fault.
        fault: String,
    },
    /// Remove one, or all.
    Clear {
        /// Which one; all if absent.
        id: Option<String>,
    },
}

/// A rate that the simulated clock takes.
fn rate(text: &str) -> Result<f64> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|it| (0.001..=1_000_000.0).contains(it))
        .ok_or_else(|| "it is a number from 0.001 to 1000000".to_owned())
}

/// Seconds by which it goes ahead.
fn step(text: &str) -> Result<f64> {
    let step: Option<f64> = text.parse().ok();
    step.filter(|it| it.is_finite() && *it >= 0.0)
        .ok_or_else(|| "it is a number from 0: time never goes back".to_owned())
}

/// Runs the command.
pub(crate) fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let place = Place::find()?;
        match command {
            Command::Up(options) => up::run(&place, &options).await,
            Command::Down => down::run(&place).await,
            Command::Reset => {
                running(&place).await?.post("reset", &json!({})).await?;
                say("The simulated cloud is empty.");
                Ok(())
            }
            Command::Export { file } => export(&place, &file).await,
            Command::Import { file } => import(&place, &file).await,
            Command::Status { json } => status(&place, json).await,
            Command::Clock(options) => clock(&place, &options).await,
            Command::Faults(faults) => change_faults(&place, &faults).await,
        }
    })
}

async fn export(place: &Place, file: &Path) -> Result<()> {
    let exported = running(place).await?.read("export").await?;
    let about = |error: std::io::Error| format!("{}: {error}", file.display());
    // States of Terraform may hold secrets.
    private::write(file, exported.to_string().as_bytes()).map_err(about)?;
    println!("Exported. Bring it back with: paymesh sim import FILE");
    Ok(())
}

async fn import(place: &Place, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let exported: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no export: {error}", file.display()))?;
    running(place).await?.post("import", &exported).await?;
    println!("Imported. Look at it with: paymesh sim status");
    Ok(())
}

/// The control API of the simulator that runs, or an error that says how to start one.
async fn running(place: &Place) -> Result<Control> {
    match place.read()? {
        Some(card) => {
            let control = Control::of(&card)?;
            control.health().await.map_err(|error| {
                format!("{error}\nStart the simulated cloud anew with: paymesh sim up")
            })?;
            Ok(control)
        }
        None => Err(format!(
            "no simulated cloud runs: {} does not exist.\nStart it with: paymesh sim up",
            place.file.display()
        )),
    }
}

async fn status(place: &Place, json: bool) -> Result<()> {
    let control = running(place).await?;
    let inventory = control.read("inventory").await?;
    if json {
        say(pretty(&inventory));
        return Ok(());
    }
    let card = place.read()?.ok_or("the simulated cloud stops just now")?;
    say(card.describe());
    for (cloud, objects) in inventory.as_object().into_iter().flatten() {
        let objects = objects.as_array().map_or(&[][..], Vec::as_slice);
        say(format_args!("{cloud}: {} objects", objects.len()));
        for object in objects {
            let word = |key: &str| plain(object[key].as_str().unwrap_or("-"));
            say(format_args!("  {}  {}", word("type"), word("id")));
        }
    }
    Ok(())
}

async fn clock(place: &Place, options: &ClockOptions) -> Result<()> {
    let control = running(place).await?;
    let mut change = serde_json::Map::new();
    if let Some(rate) = options.rate {
        change.insert("rate".into(), json!(rate));
    }
    if let Some(step) = options.step {
        change.insert("step_seconds".into(), json!(step));
    }
    if options.freeze {
        change.insert("freeze".into(), json!(true));
    }
    let shown = if change.is_empty() {
        control.read("clock").await?
    } else {
        control.post("clock", &Value::Object(change)).await?
    };
    say(pretty(&shown));
    Ok(())
}

async fn change_faults(place: &Place, faults: &Faults) -> Result<()> {
    let control = running(place).await?;
    let answer = match faults {
        Faults::List => control.read("faults").await?,
        Faults::Add { fault } => {
            let fault: Value = serde_json::from_str(fault)
                .map_err(|error| format!("the fault is not JSON: {error}"))?;
            control.post("faults", &fault).await?
        }
        Faults::Clear { id: Some(id) } => control.delete(&format!("faults/{id}")).await?,
        Faults::Clear { id: None } => control.delete("faults").await?,
    };
    say(pretty(&answer));
    Ok(())
}

/// Prints a line. A reader that has seen enough (`| head`) ends the command without a word.
fn say(line: impl fmt::Display) {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("paymesh: cannot print: {error}");
            std::process::exit(1);
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value can be written")
}
