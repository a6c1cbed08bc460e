//! How a client and a provider reach each other: attached to one that a person started, over TCP,
//! and with messages of many megabytes.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Signal, kill_process};

use super::workspace::{Workspace, client, note, pid, sample};

/// A provider that a person started.
struct Started {
    process: Child,
    /// Open until it ends: it goes on printing.
    printed: Lines<BufReader<ChildStdout>>,
    /// What it says `TF_REATTACH_PROVIDERS` is to be.
    attach: String,
}

impl Started {
    fn new(workspace: &Workspace) -> Self {
        let mut process = Command::new(sample())
            .arg("-debug")
            .env("SAMPLE_JOURNAL", workspace.dir.path().join("journal"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
        let attach = printed.find_map(|line| {
            let line = line.unwrap();
            let value = line.trim().strip_prefix("export TF_REATTACH_PROVIDERS='")?;
            value.strip_suffix('\'').map(str::to_owned)
        });
        Self {
            process,
            printed,
            attach: attach.expect("it prints how to attach"),
        }
    }

    /// The most memory that it ever had, in MiB.
    fn memory_peak(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes.unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Ends it as a person does, with Ctrl-C.
    fn end(mut self) {
        kill_process(pid(i32::try_from(self.process.id()).unwrap()), Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
        assert!(self.printed.all(|line| line.is_ok()));
    }
}

/// What failed leaves no process.
impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A workspace of the client called `name` whose provider runs already.
fn attached(name: &str) -> Option<(Workspace, Started)> {
    let client = client(name)?;
    let mut workspace = Workspace::new(&client);
    let started = Started::new(&workspace);
    let attach = match name {
        "opentofu" => started.attach.replace("terraform.io", "opentofu.org"),
        _ => started.attach.clone(),
    };
    workspace
        .environment
        .insert("TF_REATTACH_PROVIDERS", attach);
    Some((workspace, started))
}

#[test]
fn clients_attach_to_a_provider_that_runs_and_leave_it_running() {
    for name in ["terraform-1.11", "terraform-1.15", "opentofu"] {
        let Some((workspace, started)) = attached(name) else {
            continue;
        };
        workspace.write(&note("a", "one", ""));
        workspace.apply();
        workspace.plans_nothing();
        workspace.run(&["destroy", "-auto-approve"]);
        let journal = workspace.journal();
        let process = format!("{} ", started.process.id());
        assert!(
            !journal.is_empty() && journal.lines().all(|line| line.starts_with(&process)),
            "{name}: {journal}"
        );
        started.end();
    }
}

#[test]
fn where_no_unix_socket_can_be_the_provider_serves_over_tcp() {
    for name in ["terraform-1.11", "terraform-1.15", "opentofu"] {
        let Some(client) = client(name) else {
            continue;
        };
        let mut workspace = Workspace::new(&client);
        let folder = workspace.dir.path().join("long".repeat(30));
        fs::create_dir(&folder).unwrap();
        let folder = folder.display().to_string();
        workspace
            .environment
            .insert("PLUGIN_UNIX_SOCKET_DIR", folder);
        workspace.environment.insert("TF_LOG", "trace".to_owned());
        workspace.write(&note("a", "one", ""));
        let log = workspace.apply();
        assert!(log.contains("no Unix socket, so TCP"), "{name}: {log}");
    }
}

/// gRPC libraries refuse more than 4 MiB unless they are told otherwise.
#[test]
fn a_value_of_many_megabytes_goes_through_in_bounded_memory() {
    const MEGABYTES: u64 = 8;
    let Some((workspace, started)) = attached("terraform-1.11") else {
        return;
    };
    let text = "0123456789abcde\n".repeat(usize::try_from(MEGABYTES << 16).unwrap());
    fs::write(workspace.dir.path().join("text"), &text).unwrap();
    workspace.write(&note("a", "one", "text = file(\"text\")"));
    workspace.apply();
    workspace.plans_nothing();
    let note = fs::read_to_string(workspace.dir.path().join("notes/one")).unwrap();
    assert!(note == text, "the note is another text");
    // A call carries the value up to three times (configuration, prior and planned state); each is
    // there as message, as decoded value and as typed value, and the answer likewise.
    let peak = started.memory_peak();
    assert!(peak < 24 * MEGABYTES, "the provider took {peak} MiB");
    started.end();
}
