//! `paymesh sim` as a user types it, with the real simulator in a folder of its own.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder for one simulator, which is stopped at the end of the test.
struct Bed {
    folder: TempDir,
}

impl Bed {
    fn new() -> Self {
        // Cargo builds other packages' programs only when asked; a run of all tests already did.
        if std::env::var_os("PAYMESH_BIN_DIR").is_none() {
            let built = Command::new(env!("CARGO"))
                .args([
                    "build",
                    "-q",
                    "--locked",
                    "-p",
                    "paymesh",
                    "-p",
                    "paymesh-cli",
                ])
                .args(["-p", "paymesh-cloudsim"])
                .status()
                .unwrap();
            assert!(built.success(), "paymesh-cloudsim does not build");
        }
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("simulator.json")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paymesh"));
        command
            .arg("sim")
            .args(words)
            .env("PAYMESH_SIMULATOR", self.file());
        command
    }

    fn sim(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs the command, which must succeed, and gives what it printed.
    fn ok(&self, words: &[&str]) -> String {
        let output = self.sim(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command, which must fail, and gives its error.
    fn refused(&self, words: &[&str]) -> String {
        let output = self.sim(words);
        assert!(!output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn card(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.sim(&["down"]);
    }
}

fn check_says(text: &str, words: &str) {
    assert!(text.contains(words), "{words:?} is not in {text:?}");
}

fn kill(card: &Value) {
    let killed = Command::new("kill")
        .args(["-KILL", &card["pid"].to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

#[test]
fn it_goes_up_and_down_as_often_as_asked() {
    let bed = Bed::new();
    check_says(&bed.refused(&["status"]), "Start it with: paymesh sim up");
    check_says(&bed.ok(&["up"]), "is up after");
    let first = bed.card();
    check_says(&bed.ok(&["up"]), "runs already");
    assert_eq!(bed.card()["pid"], first["pid"]);
    check_says(&bed.ok(&["status"]), first["azure"].as_str().unwrap());
    check_says(&bed.ok(&["down"]), "is down");
    assert!(!bed.file().exists());
    check_says(&bed.ok(&["down"]), "No simulated cloud runs");
    bed.ok(&["up"]);
    assert_eq!(bed.card()["azure"], first["azure"], "the port stays");
}

#[test]
fn it_starts_again_after_a_kill() {
    let bed = Bed::new();
    bed.ok(&["up"]);
    let first = bed.card();
    kill(&first);
    check_says(&bed.ok(&["up"]), "is up after");
    assert_ne!(bed.card()["pid"], first["pid"]);
}

#[test]
fn two_at_once_start_one() {
    let bed = Bed::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| bed.ok(&["up"]))).collect();
        let said: Vec<String> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert_eq!(said.iter().filter(|text| text.contains("is up")).count(), 1);
    });
}

#[test]
fn only_its_owner_can_read_what_it_keeps() {
    fn check(path: &Path) {
        let found = fs::symlink_metadata(path).unwrap();
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        let mode = found.permissions().mode() & 0o777;
        assert_eq!(mode, wanted, "{}: {mode:o}", path.display());
        for entry in fs::read_dir(path).into_iter().flatten() {
            check(&entry.unwrap().path());
        }
    }
    let bed = Bed::new();
    bed.ok(&["up"]);
    bed.ok(&[
        "export",
        bed.folder.path().join("export.json").to_str().unwrap(),
    ]);
    for entry in fs::read_dir(bed.folder.path()).unwrap() {
        check(&entry.unwrap().path());
    }
    bed.ok(&["down"]);
    let state = bed.file().with_extension("");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    check_says(&bed.refused(&["up"]), "others may write into it");
}

#[test]
fn what_somebody_linked_to_its_place_is_not_written_to() {
    let bed = Bed::new();
    let mine = bed.folder.path().join("mine");
    fs::write(&mine, "kept").unwrap();
    for place in ["lock", "log", "process.json"] {
        let link = bed.file().with_extension(place);
        symlink(&mine, &link).unwrap();
        check_says(&bed.refused(&["up"]), link.to_str().unwrap());
        assert_eq!(fs::read_to_string(&mine).unwrap(), "kept");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_file_that_describes_no_simulator_is_kept() {
    let bed = Bed::new();
    for kept in ["provider \"paymesh\" {}\n", "{}", ""] {
        fs::write(bed.file(), kept).unwrap();
        check_says(
            &bed.refused(&["up"]),
            "exists and describes no simulator; remove it, or name another.",
        );
        check_says(&bed.ok(&["down"]), "No simulated cloud runs");
        assert_eq!(fs::read_to_string(bed.file()).unwrap(), kept);
    }
    fs::remove_file(bed.file()).unwrap();
    bed.ok(&["up"]);
}

#[test]
#[cfg(target_os = "linux")]
fn it_gets_no_secret_of_the_shell() {
    let bed = Bed::new();
    let up = bed
        .command(&["up"])
        .env("ARM_CLIENT_SECRET", "canary")
        .output();
    assert!(up.unwrap().status.success());
    let environment = fs::read(format!("/proc/{}/environ", bed.card()["pid"])).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(environment.contains("PATH=") && !environment.contains("canary"));
}

#[test]
fn a_taken_port_is_named() {
    let bed = Bed::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check_says(&bed.refused(&["up", "--port", &port]), &port);
    bed.ok(&["up"]);
}

#[test]
fn a_process_that_only_has_the_same_id_is_left_alone() {
    let bed = Bed::new();
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let record = format!(r#"{{"pid":{},"started":"1"}}"#, other.id());
    let path: &Path = &bed.file().with_extension("process.json");
    fs::write(path, record).unwrap();
    check_says(&bed.ok(&["down"]), "No simulated cloud runs");
    assert!(other.try_wait().unwrap().is_none(), "it was stopped");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn its_clock_and_its_faults_can_be_changed() {
    let bed = Bed::new();
    bed.ok(&["up"]);
    check_says(&bed.ok(&["clock", "--rate", "60"]), "60");
    let fault = r#"{"id":"late","method":"PUT","action":{"kind":"delay","seconds":1}}"#;
    check_says(&bed.ok(&["faults", "add", fault]), "late");
    check_says(&bed.ok(&["faults", "list"]), "late");
    bed.ok(&["faults", "clear"]);
    assert!(!bed.ok(&["faults", "list"]).contains("late"));
    check_says(&bed.refused(&["faults", "add", "{}"]), "no such fault");
    check_says(&bed.ok(&["reset"]), "empty");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let bed = Bed::new();
    bed.ok(&["up"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_paymesh"))
        .args(["sim", "status"])
        .env("PAYMESH_SIMULATOR", bed.file())
        .stdout(writer)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn the_faults_of_the_guide_are_accepted() {
    let bed = Bed::new();
    bed.ok(&["up"]);
    let guide = include_str!("../../../docs/guides/simulator.md");
    let faults: Vec<&str> = guide
        .lines()
        .filter_map(|line| {
            line.strip_prefix("paymesh sim faults add '")?
                .strip_suffix('\'')
        })
        .collect();
    assert!(!faults.is_empty(), "the guide shows faults");
    for fault in faults {
        bed.ok(&["faults", "add", fault]);
    }
}

#[test]
fn orphans_are_looked_for_where_the_provider_would_look() {
    let orphans = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paymesh"));
        command.arg("orphans").env_clear().envs(variables.to_vec());
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let nowhere = orphans(&[]);
    assert!(nowhere.contains("where?"), "{nowhere}");
    let mistyped = ("ARM_ENVIRONMENT", "german");
    let elsewhere = orphans(&[("ARM_SUBSCRIPTION_ID", "one"), mistyped]);
    assert!(elsewhere.contains("ARM_ENVIRONMENT"), "{elsewhere}");
    // Who has a project only is not asked for a cloud of Azure.
    let missing = ("GOOGLE_CREDENTIALS", "/nowhere/login.json");
    let google = orphans(&[("CLOUDSDK_CORE_PROJECT", "one"), missing, mistyped]);
    assert!(google.contains("/nowhere/login.json"), "{google}");
}
