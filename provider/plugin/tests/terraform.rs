//! The sample provider under every real client on this machine.
//!
//! Each client's calls are a golden table: which process was called with what, whether there was a
//! prior state, and which private data went in and out. What core really does is known from here,
//! not from its documentation. Clients are those that `python3 tests/tools list` finds.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use expect_test::expect_file;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The path of a client, if this machine has it.
fn client(name: &str) -> Option<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = Command::new("python3")
        .args(["tests/tools", "list"])
        .current_dir(top)
        .output()
        .ok()?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let row = list
        .lines()
        .find(|row| row.split_whitespace().next() == Some(name))?;
    let path = row
        .split_whitespace()
        .nth(3)
        .filter(|path| path.starts_with('/'));
    if path.is_none() {
        eprintln!("{name} is not on this machine: `make tools` gets it");
    }
    path.map(str::to_owned)
}

/// One configuration with its state, its notes and its journal.
struct Workspace {
    dir: TempDir,
    client: String,
    environment: BTreeMap<&'static str, &'static str>,
}

impl Workspace {
    fn new(client: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(dir.path().join("notes")).unwrap();
        fs::copy(sample(), bin.join("terraform-provider-sample")).unwrap();
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{ \"paymesh/sample\" = \"{}\" }}\n  direct {{}}\n}}\n",
            bin.display()
        );
        fs::write(dir.path().join("cli.tfrc"), overrides).unwrap();
        Self {
            dir,
            client: client.to_owned(),
            environment: BTreeMap::new(),
        }
    }

    /// Replaces the configuration.
    fn write(&self, resources: &str) {
        let notes = self.dir.path().join("notes");
        let head = "terraform {\n  required_providers {\n    sample = { source = \"paymesh/sample\" }\n  }\n}\n";
        let text = format!(
            "{head}provider \"sample\" {{ directory = \"{}\" }}\n{resources}",
            notes.display()
        );
        fs::write(self.dir.path().join("main.tf"), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("TF_CLI_CONFIG_FILE", self.dir.path().join("cli.tfrc"))
            .env("SAMPLE_JOURNAL", self.dir.path().join("journal"))
            .env("CHECKPOINT_DISABLE", "1")
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let text = text(&output);
        assert!(output.status.success(), "{words:?} failed:\n{text}");
        text
    }

    fn fails(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let text = text(&output);
        assert!(!output.status.success(), "{words:?} succeeded:\n{text}");
        text
    }

    fn apply(&self) -> String {
        self.run(&["apply", "-auto-approve", "-no-color"])
    }

    fn plans_nothing(&self) {
        self.run(&["plan", "-detailed-exitcode", "-no-color"]);
    }

    fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.dir.path().join("journal")).unwrap_or_default()
    }

    /// Waits for a line in the journal.
    fn until_called(&self, call: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.journal().contains(call) {
            assert!(Instant::now() < end, "no {call}, only:\n{}", self.journal());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The calls since the last time, with processes counted instead of named.
    fn calls(&self, title: &str) -> String {
        let journal = self.journal();
        fs::remove_file(self.dir.path().join("journal")).ok();
        let mut processes = Vec::new();
        let mut table = format!("## {title}\n");
        for line in journal.lines() {
            let (process, call) = line.split_once(' ').unwrap();
            if !processes.contains(&process) {
                processes.push(process);
            }
            let number = processes
                .iter()
                .position(|known| known == &process)
                .unwrap()
                + 1;
            writeln!(table, "process {number}  {call}").unwrap();
        }
        table + "\n"
    }
}

/// The table with the calls of each process sorted, where core works on several objects at once.
fn sorted(table: &str) -> String {
    let mut lines: Vec<_> = table.trim_end().lines().collect();
    lines[1..].sort_unstable();
    lines.join("\n") + "\n\n"
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The sample provider. Cargo builds examples only for a whole test run, so this makes sure.
fn sample() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let words = [
            "build",
            "--quiet",
            "--package",
            "paymesh-plugin",
            "--example",
            "sample",
        ];
        assert!(
            Command::new(env!("CARGO"))
                .args(words)
                .status()
                .unwrap()
                .success()
        );
    });
    let test = std::env::current_exe().unwrap();
    test.parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/sample")
}

fn note(address: &str, name: &str, more: &str) -> String {
    format!("resource \"sample_note\" \"{address}\" {{\n  name = \"{name}\"\n{more}\n}}\n")
}

const FIRST_CREATES: &str = "lifecycle { create_before_destroy = true }";

/// The calls of one client in the life of a note.
fn check_calls(client_name: &str, golden: &str) {
    let Some(client) = client(client_name) else {
        return;
    };
    let mut workspace = Workspace::new(&client);
    let mut table = String::new();

    workspace.write(&note("a", "one", "text = \"1\""));
    workspace.apply();
    table += &workspace.calls("create");
    workspace.plans_nothing();
    table += &workspace.calls("plan without a change");
    workspace.write(&note("a", "one", "text = \"2\""));
    workspace.apply();
    table += &workspace.calls("update");
    workspace.write(&note("a", "two", ""));
    workspace.apply();
    table += &workspace.calls("replace, destroying first");
    workspace.write(&note("a", "three", FIRST_CREATES));
    workspace.apply();
    table += &workspace.calls("replace, creating first");
    workspace.write(&note("a", "three", ""));
    workspace.run(&["apply", "-auto-approve", "-replace=sample_note.a"]);
    table += &workspace.calls("-replace");
    workspace.run(&["taint", "sample_note.a"]);
    workspace.calls("not recorded");
    workspace.apply();
    table += &workspace.calls("apply a tainted note");

    workspace.environment.insert("SAMPLE_KEEPS", "1");
    workspace.write(&note("a", "four", FIRST_CREATES));
    workspace.fails(&["apply", "-auto-approve"]);
    table += &workspace.calls("replace, creating first, and the delete fails");
    workspace.environment.clear();
    workspace.apply();
    table += &sorted(&workspace.calls("apply with a deposed note, sorted"));

    workspace
        .write(&(note("b", "four", "") + "moved {\n from = sample_note.a\n to = sample_note.b\n}"));
    workspace.apply();
    table += &workspace.calls("rename the address with a moved block");

    workspace.write(&(note("b", "four", "") + &note("c", "five", "delay_ms = 60000")));
    let mut killed = workspace.start(&["apply", "-auto-approve"]);
    workspace.until_called("apply-create name=five");
    let provider = workspace.journal();
    let provider = provider
        .lines()
        .last()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill_process(pid(i32::try_from(killed.id()).unwrap()), Signal::KILL).unwrap();
    killed.wait().unwrap();
    let end = Instant::now() + PATIENCE;
    while test_kill_process(pid(provider)).is_ok() {
        assert!(Instant::now() < end, "the provider outlives Terraform");
        thread::sleep(Duration::from_millis(20));
    }
    workspace.calls("parallel: not recorded");
    workspace.write(&(note("b", "four", "") + &note("c", "five", "")));
    workspace.run(&["apply", "-auto-approve", "-target=sample_note.c"]);
    table += &workspace.calls("apply after Terraform was killed during a create");

    workspace.write(&note("c", "five", ""));
    workspace.apply();
    workspace.calls("not recorded");
    workspace.run(&["destroy", "-auto-approve"]);
    table += &workspace.calls("destroy");
    let left = fs::read_dir(workspace.dir.path().join("notes"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "notes are left");

    let header = format!("# What {client_name} calls\n\n");
    expect_file![format!("calls/{golden}.txt")].assert_eq(&(header + table.trim_end() + "\n"));
}

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).unwrap()
}

#[test]
fn the_calls_of_the_oldest_client_are_known() {
    check_calls("terraform-1.11", "terraform-1.11");
}

#[test]
fn the_calls_of_the_newest_client_are_known() {
    check_calls("terraform-1.15", "terraform-1.15");
}

#[test]
fn the_calls_of_the_fork_are_known() {
    check_calls("opentofu", "opentofu-1.12");
}

/// An interrupt keeps the unfinished note, untainted, and the next apply finishes it.
#[test]
fn an_interrupted_create_is_resumed() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    workspace.write(&note("a", "slow", "delay_ms = 60000"));
    let child = workspace.start(&["apply", "-auto-approve", "-no-color"]);
    workspace.until_called("apply-create");
    let begin = Instant::now();
    kill_process(pid(i32::try_from(child.id()).unwrap()), Signal::INT).unwrap();
    let output = text(&child.wait_with_output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(20), "{output}");
    assert!(output.contains("The note is not finished"), "{output}");
    workspace.write(&note("a", "slow", ""));
    let output = workspace.apply();
    assert!(
        output.contains("0 added, 1 changed, 0 destroyed"),
        "{output}"
    );
    workspace.plans_nothing();
}

/// A crash is shown as Terraform shows crashes, and says where.
#[test]
fn a_panic_is_shown_as_a_crash_of_the_plugin() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    workspace.write(&note("a", "bomb", "crash = true"));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(
        output.contains("the provider crashed in ApplyResourceChange: the note says so"),
        "{output}"
    );
    assert!(output.contains("panic: the note says so"), "{output}");
}

/// Functions, write-only values, ephemeral resources with renewal, data sources, import, moved.
#[test]
fn every_feature_works_for_real() {
    for name in ["terraform-1.11", "terraform-1.15", "opentofu"] {
        let Some(client) = client(name) else {
            continue;
        };
        let workspace = Workspace::new(&client);
        let notes = workspace.dir.path().join("notes");
        fs::write(notes.join("found"), "old").unwrap();
        workspace.write(
            &(note("a", "a", "secret = \"canary\"\nsecret_version = 1\ndelay_ms = 2500")
                + "import {\n to = sample_note.found\n id = \"found\"\n}\n"
                + &note("found", "found", "text = \"old\"")
                + "data \"sample_note\" \"a\" {\n name = sample_note.found.name\n}\n"
                + "ephemeral \"sample_token\" \"t\" {\n subject = \"me\"\n seconds = 1\n}\n"
                + "provider \"sample\" {\n alias = \"other\"\n directory = ephemeral.sample_token.t.value == \"\" ? \"\" : \"notes\"\n}\n"
                + "resource \"sample_note\" \"b\" {\n provider = sample.other\n name = \"b\"\n depends_on = [sample_note.a]\n}\n"
                + "output \"words\" {\n value = provider::sample::join(\"-\", \"x\", data.sample_note.a.text)\n}\n"),
        );
        let output = workspace.apply();
        assert!(output.contains("1 imported, 2 added"), "{name}: {output}");
        assert!(output.contains("words = \"x-old\""), "{name}: {output}");
        for call in ["open", "renew", "close", "import"] {
            assert!(workspace.journal().contains(call), "{name}: no {call}");
        }
        let state = fs::read_to_string(workspace.dir.path().join("terraform.tfstate")).unwrap();
        assert!(
            !state.contains("canary"),
            "{name}: a write-only value is in the state"
        );
        workspace.plans_nothing();
        workspace.run(&["destroy", "-auto-approve"]);
    }
}

/// A note that another resource type managed, and a state of an older version.
#[test]
fn notes_come_from_other_types_and_from_older_states() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    workspace.write("resource \"terraform_data\" \"old\" {\n input = \"moved\"\n}\n");
    workspace.apply();
    fs::write(workspace.dir.path().join("notes/moved"), "text").unwrap();
    workspace.write(
        &(note("new", "moved", "text = \"text\"")
            + "moved {\n from = terraform_data.old\n to = sample_note.new\n}\n"),
    );
    let output = workspace.apply();
    assert!(output.contains("0 added"), "{output}");

    let path = workspace.dir.path().join("terraform.tfstate");
    let state = fs::read_to_string(&path).unwrap();
    let older = state
        .replace("\"schema_version\": 1", "\"schema_version\": 0")
        .replace(
            "\"text\": \"text\"",
            "\"colour\": \"red\", \"content\": \"text\"",
        );
    assert_ne!(state, older);
    fs::write(&path, older).unwrap();
    workspace.plans_nothing();
    let newer = state.replace("\"schema_version\": 1", "\"schema_version\": 7");
    fs::write(&path, newer).unwrap();
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("newer"), "{output}");
}
