//! Canaries: the secrets of a test, and the places in which none of them may be.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paymesh_acceptance::{Cloud, Workspace};
use serde_json::Value;

use super::vouchers;

/// How every token of the simulated Entra begins, and every token and signed request of Google.
const TOKENS: [(&str, &str); 4] = [
    ("Entra token", "eyJ0eXAiOiJKV1Qi"),
    ("Google token", "ya29.a0"),
    ("signed assertion", "eyJhbGciOi"),
    ("bearer header", "Bearer e"),
];

/// The secrets, by what they are.
#[derive(Debug)]
pub(crate) struct Canaries(BTreeMap<String, Vec<String>>);

impl Canaries {
    /// The credentials of a simulated cloud, and the beginnings of all its tokens.
    pub(crate) fn of(cloud: &Cloud) -> Self {
        let mut canaries = Self(BTreeMap::new());
        for (name, beginning) in TOKENS {
            canaries.add(name, beginning);
        }
        let read = |key: &str| {
            let path = cloud.card()[key].as_str().expect("the card names it");
            fs::read_to_string(path).expect("it can be read")
        };
        canaries.add("client secret", read("client_secret_file").trim());
        let file: Value =
            serde_json::from_str(&read("google_credentials_file")).expect("credentials are JSON");
        for name in ["client_secret", "refresh_token"] {
            let secret = file[name].as_str().expect("the file holds it");
            canaries.add(&format!("Google {name}"), secret);
        }
        canaries
    }

    /// One more.
    pub(crate) fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 7, "{name} is too short to be told apart");
        self.0
            .entry(name.to_owned())
            .or_default()
            .push(secret.to_owned());
    }

    /// What others vouch by.
    pub(crate) fn add_vouchers(&mut self) {
        self.add("identity header", vouchers::IDENTITY_HEADER);
        self.add("token of a job", vouchers::JOB);
        self.add("assertion", vouchers::ASSERTION);
    }

    /// Every long line of a secret of several.
    pub(crate) fn add_lines(&mut self, name: &str, secret: &str) {
        for line in secret.lines().filter(|line| line.len() > 60) {
            self.add(name, line);
        }
    }

    /// Which canary is where. The canaries themselves are not told.
    pub(crate) fn found_in(&self, places: &Places) -> Vec<String> {
        let mut found = Vec::new();
        for (name, secrets) in &self.0 {
            for (place, bytes) in &places.0 {
                let holds = |secret: &String| {
                    bytes
                        .windows(secret.len())
                        .any(|window| window == secret.as_bytes())
                };
                if secrets.iter().any(holds) {
                    found.push(format!("{name} in {place}"));
                }
            }
        }
        found
    }
}

/// What a run leaves behind, by name.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Vec<u8>>);

impl Places {
    /// One more.
    pub(crate) fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), bytes.into());
    }

    /// The state that the cloud keeps.
    pub(crate) fn add_state(&mut self, cloud: &Cloud, after: &str) {
        let state = cloud.ask(reqwest::Method::GET, "terraform/secrets", None);
        self.add(&format!("state after {after}"), state.to_string());
    }

    /// Every file of the client and of the provider, saved plans taken apart.
    pub(crate) fn add_workspace(&mut self, workspace: &Workspace<'_>, after: &str) {
        for (path, bytes) in workspace.kept() {
            // A progress file is named by its moment and its process.
            let name = if path.extension().is_some_and(|kind| kind == "jsonl") {
                "progress".into()
            } else {
                path.file_name().unwrap_or_default().to_string_lossy()
            };
            let name = format!("{name} after {after}");
            if bytes.starts_with(b"PK") {
                self.add(&name, unpacked(&path));
            } else {
                self.add(&name, bytes);
            }
        }
    }

    /// Whether there is something in each.
    pub(crate) fn are_full(&self) -> bool {
        self.0.values().all(|bytes| !bytes.is_empty())
    }
}

/// The places and how much is in each.
impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, bytes)| writeln!(f, "{name}: {} bytes", bytes.len()))
    }
}

/// Everything inside a zip file, one after the other.
fn unpacked(path: &Path) -> Vec<u8> {
    const PROGRAM: &str = "import sys, zipfile\n\
        archive = zipfile.ZipFile(sys.argv[1])\n\
        for name in archive.namelist(): sys.stdout.buffer.write(archive.read(name))";
    let answer = Command::new("python3")
        .args(["-c", PROGRAM])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("python3 is there: it fetches the tools");
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    answer.stdout
}

/// Text that was sent in base64.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = BASE64_STANDARD.decode(text).expect("it is base64");
    String::from_utf8(bytes).expect("it is text")
}
