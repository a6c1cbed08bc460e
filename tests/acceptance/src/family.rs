//! The processes that a client started: its providers.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Pid;

/// The longest that a provider may outlive its client.
const OUTLIVING_SECONDS_MAX: u64 = 10;

/// The children of `parent` that run.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    running()
        .into_iter()
        .filter(|(_, of)| *of == parent.as_raw_pid())
        .filter_map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// Waits until none of `processes` runs.
#[track_caller]
pub(crate) fn wait_for_the_end_of(processes: &[Pid]) {
    let limit = Instant::now() + Duration::from_secs(OUTLIVING_SECONDS_MAX);
    loop {
        let running = running();
        let left: Vec<&Pid> = processes
            .iter()
            .filter(|process| running.iter().any(|(pid, _)| *pid == process.as_raw_pid()))
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(
            Instant::now() < limit,
            "{left:?} still run {OUTLIVING_SECONDS_MAX} s after their client was killed"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Every process of this machine that is not only waiting to be buried, with its parent.
fn running() -> Vec<(i32, i32)> {
    let answer = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat="])
        .output()
        .expect("ps runs");
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (pid, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            (!words.next()?.starts_with('Z')).then_some((pid, parent))
        })
        .collect()
}
