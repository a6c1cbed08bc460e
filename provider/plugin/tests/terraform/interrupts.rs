//! A Ctrl-C while the provider starts: the terminal sends it to the client and to the provider, and
//! it is the client that decides what follows.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};

use super::workspace::{COOKIE, PATIENCE, pid, sample, text};

/// The bit of SIGINT in `SigCgt` of `/proc/PID/status`.
const INTERRUPT: u64 = 1 << 1;

#[test]
fn an_interrupt_before_the_handshake_is_outlived() {
    let (mut printed, ours) = UnixStream::pair().unwrap();
    // Nothing more fits in, so the provider stands still where it prints its handshake.
    printed.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = printed.write(&[b'\n'; 4096]) {
            break error.kind();
        }
    };
    assert_eq!(full, ErrorKind::WouldBlock);
    printed.set_nonblocking(false).unwrap();
    let mut provider = Command::new(sample())
        .env(COOKIE.0, COOKIE.1)
        .env("TF_LOG_PROVIDER_SAMPLE", "info")
        .stdout(OwnedFd::from(printed))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = pid(i32::try_from(provider.id()).unwrap());
    let limit = Instant::now() + PATIENCE;
    while !is_caught(provider.id()) {
        let ended = provider.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < limit, "{ended:?}");
        thread::sleep(Duration::from_millis(2));
    }
    kill_process(process, Signal::INT).unwrap();
    let mut lines = BufReader::new(ours).lines().map(Result::unwrap);
    let handshake = lines.find(|line| !line.is_empty()).unwrap();
    assert!(handshake.starts_with("1|6|unix|"), "{handshake}");
    kill_process(process, Signal::TERM).unwrap();
    let ended = provider.wait_with_output().unwrap();
    let log = text(&ended);
    assert!(ended.status.success(), "{log}");
    // Nothing runs that it could cut off.
    assert!(log.contains("SIGTERM: ending"), "{log}");
    assert!(!log.contains("operations run"), "{log}");
}

/// Whether the process has taken SIGINT's usual effect away.
fn is_caught(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & INTERRUPT != 0
}
