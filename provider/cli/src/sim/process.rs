//! Which process is the simulator, or a run: process id and start time together, since ids are used
//! again.
//!
//! Invariant: no signal is sent to a process whose start time is not the one that was recorded
//! when this command started it.

use std::{fs, path::Path, process::Command};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::{Result, private};

/// One process, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id while it lives.
    pub(crate) pid: u32,
    /// When it started, in the words of the system.
    pub(crate) started: String,
}

impl Process {
    /// The process that has the id `pid` now.
    pub(crate) fn now(pid: u32) -> Option<Self> {
        let started = start_time(pid)?;
        Some(Self { pid, started })
    }

    /// What was recorded at `path`.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// Records it at `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).expect("two plain fields can be written");
        private::write(path, text.as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether it still lives.
    pub(crate) fn lives(&self) -> bool {
        start_time(self.pid).as_ref() == Some(&self.started)
    }

    /// Sends `signal`, if it still lives.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid {
            Some(pid) if self.lives() => kill_process(pid, signal)
                .map_err(|error| format!("process {} cannot be stopped: {error}", self.pid)),
            _ => Ok(()),
        }
    }
}

/// The start time of the process `pid`, `None` if there is none or it is only waiting to be reaped.
fn start_time(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before the last parenthesis may itself hold spaces and parentheses.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (state, started) = (fields.first()?, fields.get(19)?);
        return (!matches!(*state, "Z" | "X")).then(|| (*started).to_owned());
    }
    let answer = Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let started = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    (!started.is_empty()).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let here = Process::now(std::process::id()).unwrap();
        assert!(here.lives());
        let other = Process {
            started: "0".into(),
            ..here
        };
        assert!(!other.lives());
        other.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn a_process_that_ended_lives_no_longer() {
        let mut child = Command::new("true").spawn().unwrap();
        let seen = Process::now(child.id());
        child.wait().unwrap();
        assert!(seen.is_none_or(|process| !process.lives()));
    }
}
