//! What `paymesh` answers to words that it cannot act on, before it asks anybody.

use std::{fs, process::Command};

use tempfile::TempDir;

/// Runs the command in a folder that holds `main.tf`; it must fail. What it says.
#[track_caller]
fn refused(words: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("main.tf"), "provider \"paymesh\" {}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_paymesh"))
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .env("PAYMESH_PROGRESS", "/nowhere/runs")
        .output()
        .unwrap();
    assert!(!output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn check_refused(words: &[&str], why: &str) {
    let said = refused(words);
    assert!(said.contains(why), "{words:?}: {said}");
}

#[test]
fn a_file_that_is_no_progress_file_cannot_be_watched() {
    check_refused(
        &["watch", "--wait", "1", "main.tf"],
        "main.tf is no progress file; they lie in /nowhere/runs",
    );
}

#[test]
fn a_file_that_is_no_state_is_told_from_one() {
    check_refused(&["orphans", "main.tf"], "main.tf: this is no state");
}

#[test]
fn who_deletes_is_told_all_that_it_takes() {
    for words in ["--owner OWNER", "terraform state pull", "--without-state"] {
        check_refused(&["orphans", "--delete", "--yes"], words);
    }
}

#[test]
fn a_clock_goes_neither_back_nor_at_any_rate() {
    let range = "from 0.001 to 1000000";
    for rate in ["-5", "0", "NaN", "fast", "1e7"] {
        check_refused(&["sim", "clock", "--rate", rate], range);
    }
    check_refused(&["sim", "up", "--clock-rate", "-5"], range);
    check_refused(&["sim", "clock", "--step", "-5"], "time never goes back");
}
