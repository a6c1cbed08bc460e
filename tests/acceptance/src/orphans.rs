//! The command `paymesh orphans`.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::programs_folder;

/// Runs it on the simulated cloud that the file `simulator` tells of; whether it succeeded, and
/// what it printed.
pub fn orphans(simulator: &Path, words: &[&str]) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(programs_folder().join("paymesh"))
        .args(["orphans", "--simulator"])
        .args(words)
        .env("PAYMESH_SIMULATOR", simulator)
        .output()
        .expect("the command starts");
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (status.success(), text.concat())
}
