//! What Terraform's core calls, one line per call.

use std::{fs::OpenOptions, io::Write};

/// Appends one line, if a journal is wanted.
pub(crate) fn record(call: &str, name: &str, prior: bool, private_in: &[u8], private_out: &[u8]) {
    let Ok(path) = std::env::var("SAMPLE_JOURNAL") else {
        return;
    };
    let prior = if prior { "some" } else { "null" };
    let show = |private: &[u8]| match private {
        [] => "-".to_owned(),
        private => String::from_utf8_lossy(private).into_owned(),
    };
    let process = std::process::id();
    let line = format!(
        "{process} {call} name={name} prior={prior} private_in={} private_out={}\n",
        show(private_in),
        show(private_out)
    );
    let file = OpenOptions::new().create(true).append(true).open(path);
    // The journal is a witness, not a duty.
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}
