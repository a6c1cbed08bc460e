//! The progress file: what the engine does, one line of JSON for each event, for `paymesh watch`.
//!
//! A run is a process; its file is made at its first event, named by the moment and the process,
//! readable by its user only. It holds names and the clouds' words, never a secret. What cannot be
//! written is not written: no run fails for want of a reader.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use paymesh_engine::{Event, Happening, Progress};
use serde_json::{Value, json};

/// The most files that are kept.
const RUNS_MAX: usize = 20;

/// The digits of a moment of this century, in milliseconds.
const MOMENT_DIGITS: usize = 13;

/// Where a process reports to.
pub(crate) fn of_this_process() -> Progress {
    let file: Mutex<Option<Option<File>>> = Mutex::default();
    let started = start_time();
    Arc::new(move |event: &Event| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file.get_or_insert_with(|| open(&folder()?)) {
            let mut line = line(event, started.as_deref(), Timestamp::now()).to_string();
            line.push('\n');
            let _ = file.write_all(line.as_bytes());
        }
    })
}

/// `PAYMESH_PROGRESS`, or the usual folder of states.
fn folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|path| !path.is_empty());
    if let Some(folder) = set("PAYMESH_PROGRESS") {
        return Some(folder.into());
    }
    let states = match set("XDG_STATE_HOME") {
        Some(states) => PathBuf::from(states),
        None => PathBuf::from(set("HOME")?).join(".local/state"),
    };
    Some(states.join("paymesh/runs"))
}

fn open(folder: &Path) -> Option<File> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .ok()?;
    forget_old(folder);
    let name = format!(
        "{}-{}.jsonl",
        Timestamp::now().as_millisecond(),
        process::id()
    );
    OpenOptions::new()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(folder.join(name))
        .ok()
}

fn forget_old(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<(u64, u32, PathBuf)> = entries
        .filter_map(|entry| {
            let (moment, process) = run(entry.file_name().to_str()?)?;
            Some((moment, process, entry.path()))
        })
        .collect();
    runs.sort();
    let old = runs.len().saturating_sub(RUNS_MAX - 1);
    for (_, process, path) in &runs[..old] {
        if !is_running(*process) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The moment and the process that a file is named by; nothing, if its name is none of ours.
fn run(name: &str) -> Option<(u64, u32)> {
    let (moment, process) = name.strip_suffix(".jsonl")?.split_once('-')?;
    let are_digits = [moment, process]
        .iter()
        .all(|it| it.bytes().all(|letter| letter.is_ascii_digit()));
    if !are_digits || moment.len() < MOMENT_DIGITS {
        return None;
    }
    Some((moment.parse().ok()?, process.parse().ok()?))
}

/// Whether there is such a process, whoever runs it.
fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// When this process started, in the words of the system: its id is used again one day, and only
/// both together tell a reader that the run goes on. The name before the last parenthesis may itself
/// hold spaces.
fn start_time() -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(started.to_owned())
}

fn line(event: &Event, started: Option<&str>, now: Timestamp) -> Value {
    let (what, text) = match &event.happening {
        Happening::Started => ("started", ""),
        Happening::Polled(status) => ("polled", status.as_str()),
        Happening::Finished => ("finished", ""),
        Happening::Failed(why) => ("failed", why.as_str()),
    };
    json!({
        "version": 1,
        "at": now.to_string(),
        "process": process::id(),
        "started": started,
        "object": event.object.to_string(),
        "step": event.step,
        "what": what,
        "text": text,
        "seconds": event.elapsed.as_secs(),
    })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use paymesh_engine::ObjectId;

    use super::*;

    /// No process: more than Linux gives out.
    const GONE: u32 = 4_194_305;

    #[test]
    fn a_line_names_the_process_the_object_the_step_and_the_clouds_word() {
        let event = Event {
            object: ObjectId::new("cluster", "pay"),
            step: "create".to_owned(),
            happening: Happening::Polled("Creating".to_owned()),
            elapsed: Duration::from_secs(90),
        };
        let line = line(&event, Some("4711"), Timestamp::UNIX_EPOCH);
        assert_eq!(line["process"], process::id());
        assert_eq!(line["started"], "4711");
        assert_eq!(line["what"], "polled");
        assert_eq!(line["text"], "Creating");
        assert_eq!(line["seconds"], 90);
        assert!(line["object"].as_str().unwrap().contains("pay"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_says_when_it_started() {
        // Field 22 of a name without spaces, which that of a test program is.
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(start_time().as_deref(), stat.split(' ').nth(21));
    }

    #[test]
    fn only_its_user_can_read_a_run() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("paymesh/runs");
        let file = open(&folder).unwrap();
        for (found, wanted) in [
            (fs::metadata(&folder).unwrap(), 0o700),
            (file.metadata().unwrap(), 0o600),
        ] {
            assert_eq!(found.permissions().mode() & 0o777, wanted);
        }
    }

    #[test]
    fn old_runs_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..RUNS_MAX + 5 {
            let name = format!("1700000000{number:03}-{GONE}.jsonl");
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(open(folder.path()).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), RUNS_MAX);
    }

    #[test]
    fn files_of_others_and_of_runs_that_go_on_are_let_be() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = (0..RUNS_MAX).map(|day| format!("0-2026-11-{day:02}.jsonl"));
        let running =
            (0..RUNS_MAX).map(|number| format!("1700000000{number:03}-{}.jsonl", process::id()));
        let names: Vec<String> = foreign.chain(running).collect();
        for name in &names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(open(folder.path()).is_some());
        for name in &names {
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }
}
