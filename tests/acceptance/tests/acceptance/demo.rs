//! `make demo` and `make demo-down`, as README promises them: twice, interrupted, and with the port
//! of the last time taken.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use paymesh_acceptance::{Client, programs_folder};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

/// A tree with as much of this one as the demo needs, so that nobody's own demo is touched.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(TempDir::new().expect("a temporary folder can be made"));
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for part in [
            "Cargo.toml",
            "examples/local/main.tf",
            "tests/tools",
            "tests/cloudsim/judges",
            "tests/cloudsim/browser",
            "tests/bench/requirements.txt",
            "tests/payments/openapi/requirements.txt",
        ] {
            copy(&top.join(part), &tree.path(part));
        }
        fs::create_dir(tree.path("bin")).expect("a folder can be made");
        symlink(Client::here().path(), tree.path("bin/terraform")).expect("a link can be made");
        tree
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts `make demo` (`up`) or `make demo-down` (`down`).
    fn start(&self, word: &str) -> Child {
        let folders = env::var_os("PATH").unwrap_or_default();
        let folders = [self.path("bin")]
            .into_iter()
            .chain(env::split_paths(&folders));
        Command::new("python3")
            .arg(self.path("tests/tools/demo.py"))
            .arg(word)
            .env(
                "PATH",
                env::join_paths(folders).expect("the folders have no colon"),
            )
            .env("PAYMESH_BIN_DIR", programs_folder())
            .env("PAYMESH_PROGRESS", self.path("progress"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("python3 runs")
    }

    #[track_caller]
    fn check(&self, word: &str, expected: &str) -> String {
        let output = self.start(word).wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.contains(expected), "no {expected:?} in:\n{told}");
        told
    }

    /// Ctrl-C once the apply makes something: it reaches everybody at the terminal.
    fn interrupt(&self) {
        let mut child = self.start("up");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut told = Vec::new();
        for line in lines.map_while(Result::ok) {
            if line.contains("Creating...") {
                let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                kill_process_group(group.expect("it runs"), Signal::INT)
                    .expect("it can be stopped");
            }
            told.push(line);
        }
        let output = child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{told:#?}\n{errors}");
        assert!(errors.contains("the same command goes on"), "{errors}");
    }

    /// The port of the simulated cloud.
    fn port(&self) -> u16 {
        let card = fs::read(self.path("target/demo/simulator.json")).expect("the cloud runs");
        let card: Value = serde_json::from_slice(&card).expect("it is JSON");
        let address = card["azure"].as_str().expect("it has an address");
        let port = address.rsplit(':').next().expect("it has a port");
        port.parse().expect("a port is a number")
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("a folder can be read") {
            let name = entry.expect("an entry can be read").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::create_dir_all(to.parent().expect("it has a folder")).expect("a folder can be made");
        fs::copy(from, to).expect("a file can be copied");
    }
}

/// Nothing of the simulated cloud outlives the test, whatever happens in it.
impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new(programs_folder().join("paymesh"))
            .args(["sim", "down"])
            .env("PAYMESH_SIMULATOR", self.path("target/demo/simulator.json"))
            .output();
    }
}

#[test]
fn the_demo_can_be_interrupted_repeated_and_taken_down() {
    let client = Client::here();
    if client.is_opentofu() || client.at_least(1, 12) {
        // The floor is enough: nothing of it depends on the client.
        return;
    }
    let tree = Tree::new();
    tree.check("down", "There is no demo to take down.");
    tree.interrupt();
    tree.check("up", "Apply complete!");
    let said = tree.check("up", "No changes.");
    for heading in [
        "What exists",
        "How long it took",
        "Where to look",
        "What to type next",
    ] {
        assert!(said.contains(heading), "{heading} in {said}");
    }
    for told in [
        "  azure ",
        "  google ",
        "terraform plan",
        "/console",
        "demo-down",
    ] {
        assert!(said.contains(told), "{told} in {said}");
    }
    let port = tree.port();
    tree.check("down", "The demo is gone");
    let _taken = TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
    tree.check("up", "No changes.");
    assert_ne!(tree.port(), port);
    tree.check("down", "The demo is gone");
    tree.check("down", "There is no demo to take down.");
}
