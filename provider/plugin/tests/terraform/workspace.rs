//! One configuration with its state, and the client that works on it.

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

use rustix::process::Pid;
use tempfile::TempDir;

/// The variable by which a provider knows that a client started it, and no person.
pub(crate) const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// The longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The path of a client, if this machine has it.
pub(crate) fn client(name: &str) -> Option<String> {
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
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} is not on this machine, and CI leaves nothing out"
        );
        eprintln!("{name} is not on this machine: `make tools` gets it");
    }
    path.map(str::to_owned)
}

/// One configuration with its state, its notes and its journal.
pub(crate) struct Workspace {
    pub(crate) dir: TempDir,
    client: String,
    pub(crate) environment: BTreeMap<&'static str, String>,
}

impl Workspace {
    pub(crate) fn new(client: &str) -> Self {
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
    pub(crate) fn write(&self, resources: &str) {
        let notes = self.dir.path().join("notes");
        let head = "terraform {\n  required_providers {\n    sample = { source = \"paymesh/sample\" }\n  }\n}\n";
        let text = format!(
            "{head}provider \"sample\" {{ directory = \"{}\" }}\n{resources}",
            notes.display()
        );
        fs::write(self.dir.path().join("main.tf"), text).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
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

    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let text = text(&output);
        assert!(output.status.success(), "{words:?} failed:\n{text}");
        text
    }

    pub(crate) fn fails(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        let text = text(&output);
        assert!(!output.status.success(), "{words:?} succeeded:\n{text}");
        text
    }

    pub(crate) fn apply(&self) -> String {
        self.run(&["apply", "-auto-approve", "-no-color"])
    }

    pub(crate) fn plans_nothing(&self) {
        self.run(&["plan", "-detailed-exitcode", "-no-color"]);
    }

    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }

    pub(crate) fn journal(&self) -> String {
        fs::read_to_string(self.dir.path().join("journal")).unwrap_or_default()
    }

    /// Waits for a line in the journal.
    pub(crate) fn until_called(&self, call: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.journal().contains(call) {
            assert!(Instant::now() < end, "no {call}, only:\n{}", self.journal());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The calls since the last time, with processes counted instead of named.
    pub(crate) fn calls(&self, title: &str) -> String {
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

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The sample provider: the one in `PAYMESH_BIN_DIR`, else built now, since cargo builds examples
/// only for a whole test run.
pub(crate) fn sample() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os("PAYMESH_BIN_DIR") {
            return folder.into();
        }
        let words = "build --quiet --package paymesh-plugin --example sample";
        let built = Command::new(env!("CARGO"))
            .args(words.split(' '))
            .status()
            .unwrap();
        assert!(built.success());
        // A test program lies in `<target>/<profile>/deps`.
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().to_owned()
    });
    folder.join("examples/sample")
}

pub(crate) fn note(address: &str, name: &str, more: &str) -> String {
    format!("resource \"sample_note\" \"{address}\" {{\n  name = \"{name}\"\n{more}\n}}\n")
}

pub(crate) fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).unwrap()
}
