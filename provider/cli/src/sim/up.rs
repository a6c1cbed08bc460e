//! `paymesh sim up`: one simulator, started in the background and ready when this returns.
//!
//! Safe to repeat, to interrupt and to run twice at once: a lock lets one run start it, the others
//! find it running.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::Args;
use rustix::fs::{FlockOperation, flock};

use super::{
    Result,
    card::{Card, Place},
    control::Control,
    private,
    process::Process,
    say,
};

/// The longest that a start may take.
const READY_SECONDS_MAX: u64 = 30;
/// The simulator's program.
const PROGRAM: &str = "paymesh-cloudsim";

/// How to start it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Port of Azure and of the control API; the last one, or any free one, if absent.
    #[arg(long)]
    port: Option<u16>,
    /// Port of Google Cloud; the last one, or any free one, if absent.
    #[arg(long)]
    google_port: Option<u16>,
    /// Simulated seconds in one second, from 0.001 to 1000000.
    #[arg(long, allow_negative_numbers = true, value_parser = super::rate)]
    clock_rate: Option<f64>,
    /// End every operation at this many polls, not by the clock.
    #[arg(long)]
    operation_polls: Option<u32>,
}

/// Starts the simulator unless it runs.
pub(crate) async fn run(place: &Place, options: &Options) -> Result<()> {
    let _lock = alone(place)?;
    if place.read().is_err() {
        return Err(format!(
            "{} exists and describes no simulator; remove it, or name another.",
            place.file.display()
        ));
    }
    if let Some(card) = answering(place).await {
        say(format_args!(
            "The simulated cloud runs already.\n{}",
            card.describe()
        ));
        return Ok(());
    }
    if let Some(process) = Process::read(&place.process).filter(Process::lives) {
        return Err(format!(
            "the simulated cloud (process {}) runs but does not answer.\n\
             Its log is {}. Stop it with: paymesh sim down",
            process.pid,
            place.log.display()
        ));
    }
    // What a killed simulator left must not look like the one that starts now.
    let _ = fs::remove_file(&place.file);
    let start = Instant::now();
    let mut child = spawn(place, options)?;
    let card = ready(place, &mut child).await?;
    say(format_args!(
        "The simulated cloud is up after {:.1} s.\n{}",
        start.elapsed().as_secs_f64(),
        card.describe()
    ));
    Ok(())
}

/// Waits until no other `up` or `down` works on this place; freed when the file is closed.
pub(crate) fn alone(place: &Place) -> Result<File> {
    let wrong = |error: std::io::Error| format!("{}: {error}", place.lock.display());
    if let Some(folder) = place.lock.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(wrong)?;
    }
    let file = private::open(&place.lock).map_err(wrong)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| wrong(error.into()))?;
    Ok(file)
}

/// The simulator of this place, if one answers.
pub(crate) async fn answering(place: &Place) -> Option<Card> {
    let card = place.read().ok()??;
    let pid = Control::of(&card).ok()?.health().await.ok()?;
    (pid == Some(u64::from(card.pid))).then_some(card)
}

fn spawn(place: &Place, options: &Options) -> Result<Child> {
    let program = program()?;
    let log = private::open_empty(&place.log)
        .map_err(|error| format!("{}: {error}", place.log.display()))?;
    let log_again = log
        .try_clone()
        .map_err(|error| format!("{}: {error}", place.log.display()))?;
    let mut command = Command::new(&program);
    command
        .arg("--state-dir")
        .arg(&place.state_dir)
        .arg("--simulator-file")
        .arg(&place.file);
    let mut pass = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.args([name, &value]);
        }
    };
    pass("--port", options.port.map(|port| port.to_string()));
    pass(
        "--google-port",
        options.google_port.map(|port| port.to_string()),
    );
    pass(
        "--clock-rate",
        options.clock_rate.map(|rate| rate.to_string()),
    );
    pass(
        "--operation-polls",
        options.operation_polls.map(|polls| polls.to_string()),
    );
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again)
        // Ctrl-C in this terminal is for this command, not for the simulator.
        .process_group(0)
        .current_dir("/")
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| is_passed_on(name)))
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    if let Some(process) = Process::now(child.id()) {
        process.write(&place.process)?;
    }
    Ok(child)
}

/// Whether the simulator gets a variable of this shell. It lives on for days, and whoever can look
/// into its process must not find the shell's secrets.
fn is_passed_on(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["HOME", "PATH", "TMPDIR"].contains(&&*name)
        || ["RUST_", "XDG_"].iter().any(|it| name.starts_with(it))
}

/// The simulator's program: beside this one, else in PATH.
fn program() -> Result<PathBuf> {
    let beside = env::current_exe()
        .ok()
        .and_then(|here| Some(here.parent()?.join(PROGRAM)));
    let path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&path).map(|folder| folder.join(PROGRAM)))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "{PROGRAM} is neither beside this program nor in PATH.\n\
                 In a clone of Paymesh build it with: cargo build -p paymesh-cloudsim"
            )
        })
}

/// Waits until `child` answers; an error carries what it said last.
async fn ready(place: &Place, child: &mut Child) -> Result<Card> {
    let limit = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
    loop {
        if let Some(card) = answering(place).await.filter(|card| card.pid == child.id()) {
            return Ok(card);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let _ = fs::remove_file(&place.process);
            return Err(format!(
                "the simulated cloud stopped while starting ({status}): {}\nIts log is {}.",
                last_line(place),
                place.log.display()
            ));
        }
        if Instant::now() > limit {
            return Err(format!(
                "the simulated cloud is not ready after {READY_SECONDS_MAX} s; it said last: {}\n\
                 Its log is {}. Stop it with: paymesh sim down",
                last_line(place),
                place.log.display()
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn last_line(place: &Place) -> String {
    let text = fs::read_to_string(&place.log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or("(nothing)").to_owned()
}
