//! `paymesh watch`: what a running apply or destroy does, step by step.
//!
//! The provider writes one line of JSON for each event into a file of its own
//! (`provider/paymesh/src/progress.rs`). On a terminal a step is one line that follows what the
//! cloud says; elsewhere each event is a plain line.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead as _, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Deserialize;

use crate::{plain::plain, sim::Process};

type Result<T> = std::result::Result<T, String>;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long a run may take to its first line: the provider makes the file for that line.
const FIRST_LINE_MAX: Duration = Duration::from_secs(5);

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
    process: u32,
    /// When the process started: an id alone is used again. Builds before this one did not say.
    started: Option<String>,
    object: String,
    step: String,
    what: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    seconds: u64,
}

impl Event {
    /// The process that wrote it.
    fn process(&self) -> Process {
        let started = self.started.clone();
        let started = started.or_else(|| Some(Process::now(self.process)?.started));
        Process {
            pid: self.process,
            started: started.unwrap_or_default(),
        }
    }
}

/// Shows a run to its end.
pub(crate) fn run(options: &Options) -> Result<()> {
    let path = match &options.file {
        Some(file) => file.clone(),
        None => newest(&folder()?, options.wait)?,
    };
    let about = |error: String| format!("{}{error}", path.display());
    let file = fs::File::open(&path).map_err(|error| about(format!(": {error}")))?;
    follow(BufReader::new(file), FIRST_LINE_MAX, &mut Screen::new()).map_err(|end| {
        about(match end {
            End::Unreadable(error) => format!(": {error}"),
            End::Empty => " is empty: its run ended before it reported anything".to_owned(),
            End::Foreign => match folder() {
                Ok(folder) => format!(" is no progress file; they lie in {}", folder.display()),
                Err(_) => " is no progress file".to_owned(),
            },
        })
    })
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

/// Whether the run of a file goes on.
fn is_running(path: &Path) -> bool {
    let mut line = String::new();
    let read = fs::File::open(path).and_then(|file| BufReader::new(file).read_line(&mut line));
    read.is_ok() && serde_json::from_str(&line).is_ok_and(|it: Event| it.process().lives())
}

/// Why nothing can be shown any more, but for the end of the run.
#[derive(Debug)]
enum End {
    /// The file cannot be read, or nothing can be written.
    Unreadable(io::Error),
    /// Nothing is written into it.
    Empty,
    /// What is in it is no event.
    Foreign,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Shows every event until the process that writes them has ended. The first has to come within
/// `first`.
fn follow(
    mut file: impl io::BufRead,
    first: Duration,
    screen: &mut Screen<impl io::Write>,
) -> std::result::Result<(), End> {
    let limit = Instant::now() + first;
    let mut run: Option<Process> = None;
    let mut line = Vec::new();
    loop {
        // Asked before the last look, so that what was written before the end is shown.
        let is_over = run.as_ref().is_some_and(|run| !run.lives());
        while file.read_until(b'\n', &mut line)? > 0 {
            // A line without its end is still being written.
            if !line.ends_with(b"\n") {
                break;
            }
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) => {
                    if run.is_none() {
                        let process = event.process();
                        screen.begin(&event, process.lives())?;
                        run = Some(process);
                    }
                    screen.show(&event)?;
                }
                Err(_) if run.is_none() => return Err(End::Foreign),
                // A line that a full disk cut.
                Err(_) => {}
            }
            line.clear();
        }
        if is_over {
            return Ok(screen.end()?);
        }
        if run.is_none() && Instant::now() >= limit {
            return Err(if line.is_empty() {
                End::Empty
            } else {
                End::Foreign
            });
        }
        thread::sleep(LOOK);
    }
}

/// What is shown of a run.
struct Screen<W> {
    out: W,
    is_terminal: bool,
    /// The step whose line can still change.
    open: Option<String>,
    /// What was last said of each step that goes on.
    said: BTreeMap<String, String>,
}

impl Screen<io::Stdout> {
    fn new() -> Self {
        Self {
            out: io::stdout(),
            is_terminal: io::stdout().is_terminal(),
            open: None,
            said: BTreeMap::new(),
        }
    }
}

impl<W: io::Write> Screen<W> {
    fn begin(&mut self, event: &Event, runs: bool) -> io::Result<()> {
        let state = if runs { "runs" } else { "is over" };
        writeln!(
            self.out,
            "The run of process {} began at {} UTC and {state}. Durations are those of the cloud's clock.",
            event.process,
            plain(clock(&event.at))
        )
    }

    /// Says what changed: that a step begins, what the cloud says of it when it says something else,
    /// and how it ends. On a terminal the last line follows its step.
    fn show(&mut self, event: &Event) -> io::Result<()> {
        let step = format!("{}: {}", event.object, event.step);
        let word = format!("{} {}", event.what, event.text);
        let is_same = self.said.get(&step) == Some(&word);
        let is_open = self.is_terminal && self.open.as_ref() == Some(&step);
        match event.what.as_str() {
            "finished" | "failed" => self.said.remove(&step),
            _ => self.said.insert(step.clone(), word),
        };
        if is_same && !is_open {
            return Ok(());
        }
        let line = line(event);
        if !self.is_terminal {
            return writeln!(self.out, "{line}");
        }
        let before = match &self.open {
            Some(_) if is_open => "\r\x1b[2K",
            Some(_) => "\n",
            None => "",
        };
        write!(self.out, "{before}{line}")?;
        self.open = Some(step);
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.open.take().is_some() {
            writeln!(self.out)?;
        }
        if self.said.is_empty() {
            writeln!(self.out, "The run is over: its process has ended.")?;
        } else {
            writeln!(
                self.out,
                "The run is over: its process has ended, and {} of its steps had not. The next apply or destroy goes on there.",
                self.said.len()
            )?;
        }
        self.out.flush()
    }
}

/// `10:02:11  managed cluster pay-aks: create  Creating  (90 s)`.
fn line(event: &Event) -> String {
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
    let (time, object) = (clock(&event.at), brief(&event.object));
    plain(&format!("{time}  {object}: {}  {what}{took}", event.step))
}

/// The time of day.
fn clock(at: &str) -> &str {
    let time = at.split('T').nth(1).unwrap_or(at);
    time.get(..8).unwrap_or(time)
}

/// An object by its own name, and a pool by its cluster's too: the whole of an id fills the line.
fn brief(object: &str) -> String {
    let (kind, path) = match object.rsplit_once(' ') {
        Some((kind, path)) if path.contains('/') => (kind, path),
        _ => return object.to_owned(),
    };
    let mut last = path.rsplit('/');
    let (name, of) = (last.next().unwrap_or(path), last.next().unwrap_or_default());
    let cluster = last
        .next()
        .filter(|_| ["agentpools", "nodepools"].contains(&of.to_ascii_lowercase().as_str()));
    match cluster {
        Some(cluster) => format!("{kind} {cluster}/{name}"),
        None => format!("{kind} {name}"),
    }
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

    /// No terminal.
    fn page() -> Screen<Vec<u8>> {
        Screen {
            out: Vec::new(),
            is_terminal: false,
            open: None,
            said: BTreeMap::new(),
        }
    }

    /// What is shown of events of one run, told as (object, what, text).
    fn shown(events: &[(&str, &str, &str)]) -> String {
        let mut screen = page();
        for (object, what, text) in events {
            let event = Event {
                at: "2026-11-21T10:02:11.5Z".to_owned(),
                process: 1,
                started: None,
                object: (*object).to_owned(),
                step: "create".to_owned(),
                what: (*what).to_owned(),
                text: (*text).to_owned(),
                seconds: 0,
            };
            screen.show(&event).unwrap();
        }
        screen.end().unwrap();
        String::from_utf8(screen.out).unwrap()
    }

    #[test]
    fn two_steps_side_by_side_are_told_by_what_changes() {
        let (a, b) = (
            "GKE cluster projects/p/locations/l/clusters/a",
            "identity /s/b",
        );
        let told = shown(&[
            (a, "started", ""),
            (b, "started", ""),
            (a, "polled", "RUNNING"),
            (b, "polled", "Creating"),
            (a, "polled", "RUNNING"),
            (b, "polled", "Creating"),
            (b, "finished", ""),
        ]);
        let expected = "10:02:11  GKE cluster a: create  begins\n\
                        10:02:11  identity b: create  begins\n\
                        10:02:11  GKE cluster a: create  RUNNING\n\
                        10:02:11  identity b: create  Creating\n\
                        10:02:11  identity b: create  done\n\
                        The run is over: its process has ended, and 1 of its steps had not. The next \
                        apply or destroy goes on there.\n";
        assert_eq!(told, expected);
    }

    #[test]
    fn a_pool_is_named_with_its_cluster() {
        let pool = "agent pool /subscriptions/s/resourcegroups/g/providers/microsoft.containerservice/managedclusters/pay/agentpools/work";
        assert_eq!(brief(pool), "agent pool pay/work");
        assert_eq!(brief("drain pay"), "drain pay");
    }

    /// The first line of a run of this process, which started at `started`.
    fn first_line(started: &str) -> String {
        let event = serde_json::json!({
            "version": 1,
            "at": "2026-11-21T10:02:11.5Z",
            "process": std::process::id(),
            "started": started,
            "object": "managed cluster pay-aks",
            "step": "create",
            "what": "started",
            "text": "",
            "seconds": 0,
        });
        format!("{event}\n")
    }

    #[test]
    fn a_process_that_only_has_the_same_id_is_not_the_run() {
        let here = Process::now(std::process::id()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1763719331500-1.jsonl");
        for (started, runs) in [(here.started.as_str(), true), ("1", false)] {
            fs::write(&file, first_line(started)).unwrap();
            assert_eq!(is_running(&file), runs, "{started}");
        }
        let mut screen = page();
        follow(first_line("1").as_bytes(), Duration::ZERO, &mut screen).unwrap();
        let shown = String::from_utf8(screen.out).unwrap();
        assert!(shown.contains("and is over"), "{shown}");
        assert!(shown.contains("its process has ended"), "{shown}");
    }

    #[test]
    fn what_is_no_progress_file_ends_the_watch() {
        let follow = |text: &[u8]| follow(text, Duration::ZERO, &mut page());
        for text in ["provider \"paymesh\" {\n}\n", "{}\n", "{", "\n"] {
            let end = follow(text.as_bytes());
            assert!(matches!(end, Err(End::Foreign)), "{text:?}: {end:?}");
        }
        let end = follow(b"\xff\xfe\n");
        assert!(matches!(end, Err(End::Foreign)), "{end:?}");
        let end = follow(b"");
        assert!(matches!(end, Err(End::Empty)), "{end:?}");
    }

    #[test]
    fn without_a_run_it_says_how_to_wait_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let none = newest(folder.path(), 0).unwrap_err();
        assert!(none.contains("paymesh watch --wait 60"), "{none}");
    }
}
