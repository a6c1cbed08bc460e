//! `paymesh watch`: what a running apply or destroy does, step by step.
//!
//! The provider writes one line of JSON for each event into a file of its own
//! (`provider/paymesh/src/progress.rs`). On a terminal a step is one line that follows what the
//! cloud says; elsewhere each event is a plain line.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::{Pid, test_kill_process};
use serde::Deserialize;

type Result<T> = std::result::Result<T, String>;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What to watch.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The progress file of a run; the newest one if absent.
    file: Option<PathBuf>,
    /// Wait up to so many seconds for a run to begin.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
}

/// One event, as the provider writes it.
#[derive(Clone, Debug, Deserialize)]
struct Event {
    at: String,
    process: i32,
    object: String,
    step: String,
    what: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    seconds: u64,
}

/// Shows a run to its end.
pub(crate) fn run(options: &Options) -> Result<()> {
    let path = match &options.file {
        Some(file) => file.clone(),
        None => newest(&folder()?, options.wait)?,
    };
    let file = fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    follow(BufReader::new(file), &mut Screen::new())
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the provider keeps its progress files.
fn folder() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|path| !path.is_empty());
    if let Some(folder) = set("PAYMESH_PROGRESS") {
        return Ok(folder.into());
    }
    let states = match set("XDG_STATE_HOME") {
        Some(states) => PathBuf::from(states),
        None => PathBuf::from(set("HOME").ok_or("HOME is not set; name the file to watch")?)
            .join(".local/state"),
    };
    Ok(states.join("paymesh/runs"))
}

fn newest(folder: &Path, wait: u64) -> Result<PathBuf> {
    let limit = Instant::now() + Duration::from_secs(wait);
    loop {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let newest = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
            .max();
        match newest {
            Some(path) if wait == 0 || is_running(&path) => return Ok(path),
            _ if Instant::now() < limit => thread::sleep(LOOK),
            Some(path) => return Ok(path),
            None => {
                return Err(format!(
                    "no run was reported in {}.\nStart `terraform apply` with the provider paymesh, or wait for one: paymesh watch --wait 60",
                    folder.display()
                ));
            }
        }
    }
}

/// Whether the process that the file is named by runs.
fn is_running(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let process = name.rsplit('-').next().and_then(|pid| pid.parse().ok());
    process.and_then(Pid::from_raw).is_some_and(lives)
}

fn lives(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

/// Shows every event until the process that writes them has ended.
fn follow(mut file: BufReader<fs::File>, screen: &mut Screen) -> io::Result<()> {
    let mut process = None;
    let mut text = String::new();
    loop {
        // Asked before the last look, so that what was written before the end is shown.
        let is_over = process.is_some_and(|process| !lives(process));
        while file.read_line(&mut text)? > 0 {
            // A line without its end is still being written.
            if !text.ends_with('\n') {
                break;
            }
            if let Ok(event) = serde_json::from_str::<Event>(&text) {
                process = Pid::from_raw(event.process);
                screen.show(&event)?;
            }
            text.clear();
        }
        if is_over {
            return screen.end();
        }
        thread::sleep(LOOK);
    }
}

/// Standard output.
struct Screen {
    is_terminal: bool,
    /// The step whose line can still change.
    open: Option<String>,
    /// The last word of the cloud, so that plain lines do not repeat it.
    last: Option<String>,
}

impl Screen {
    fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            open: None,
            last: None,
        }
    }

    fn show(&mut self, event: &Event) -> io::Result<()> {
        let step = format!("{}: {}", event.object, event.step);
        let line = line(event);
        let mut out = io::stdout().lock();
        if self.is_terminal {
            if self.open.as_ref() == Some(&step) {
                write!(out, "\r\x1b[2K{line}")?;
            } else {
                if self.open.is_some() {
                    writeln!(out)?;
                }
                write!(out, "{line}")?;
            }
            self.open = Some(step);
            return out.flush();
        }
        let word = format!("{step} {} {}", event.what, event.text);
        if event.what != "polled" || self.last.as_ref() != Some(&word) {
            writeln!(out, "{line}")?;
        }
        self.last = Some(word);
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.open.take().is_some() {
            println!();
        }
        io::stdout().flush()
    }
}

/// `10:02:11  managed cluster pay-aks: create  Creating  (90 s)`.
fn line(event: &Event) -> String {
    let time = event.at.split('T').nth(1).unwrap_or(&event.at);
    let time = time.get(..8).unwrap_or(time);
    let what = match event.what.as_str() {
        "started" => "begins".to_owned(),
        "polled" => event.text.clone(),
        "finished" => "done".to_owned(),
        "failed" => format!("FAILED: {}", event.text.lines().next().unwrap_or_default()),
        other => other.to_owned(),
    };
    let took = if event.seconds == 0 {
        String::new()
    } else {
        format!("  ({} s)", event.seconds)
    };
    format!("{time}  {}: {}  {what}{took}", event.object, event.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = r#"{"version":1,"at":"2026-11-21T10:02:11.5Z","process":1,"object":"managed cluster pay-aks",
            "step":"create","what":"polled","text":"Creating","seconds":90}"#;
        let event: Event = serde_json::from_str(event).unwrap();
        assert_eq!(
            line(&event),
            "10:02:11  managed cluster pay-aks: create  Creating  (90 s)"
        );
    }

    #[test]
    fn without_a_run_it_says_how_to_wait_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let none = newest(folder.path(), 0).unwrap_err();
        assert!(none.contains("paymesh watch --wait 60"), "{none}");
    }
}
