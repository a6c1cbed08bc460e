//! `paymesh sim down`: stops the simulator that `up` started, and no other process.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{Result, card::Place, process::Process, say, up};

/// How long a simulator may take to write its state before it is killed, which it survives.
const STOP_SECONDS_MAX: u64 = 10;

/// Stops it.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let _lock = up::alone(place)?;
    let Some(process) = Process::read(&place.process).filter(Process::lives) else {
        if let Some(card) = up::answering(place).await {
            return Err(format!(
                "the simulated cloud (process {}) was not started by `paymesh sim up`; \
                 stop it where it was started",
                card.pid
            ));
        }
        // What a killed simulator left; a file of somebody else's stays.
        if place.read().is_ok() {
            let _ = fs::remove_file(&place.file);
        }
        let _ = fs::remove_file(&place.process);
        say("No simulated cloud runs.");
        return Ok(());
    };
    process.signal(Signal::TERM)?;
    let killed = !ended(&process).await;
    if killed {
        process.signal(Signal::KILL)?;
        if !ended(&process).await {
            return Err(format!("process {} does not end", process.pid));
        }
    }
    let _ = fs::remove_file(&place.file);
    let _ = fs::remove_file(&place.process);
    say(format_args!(
        "The simulated cloud is down{}. What it holds stays in {}.",
        if killed {
            format!(" (killed: it did not stop within {STOP_SECONDS_MAX} s)")
        } else {
            String::new()
        },
        place.state_dir.display()
    ));
    Ok(())
}

async fn ended(process: &Process) -> bool {
    let limit = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
    while process.lives() {
        if Instant::now() > limit {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
