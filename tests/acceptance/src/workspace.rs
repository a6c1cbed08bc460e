//! A folder with a configuration, its state, and the client's own files.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Client, Cloud, Run, Running, programs};

/// One root module.
#[derive(Debug)]
pub struct Workspace<'a> {
    folder: TempDir,
    client: &'static Client,
    cloud: &'a Cloud,
    environment: Vec<(String, String)>,
}

/// What every configuration starts with.
const HEAD: &str = r#"
terraform {
  required_providers {
    paymesh = { source = "paymesh/paymesh" }
  }
}
"#;

/// The provider block of a configuration that does not bring its own.
const PROVIDER: &str = r#"
provider "paymesh" {
  owner     = "acceptance/one"
  simulator = true
}
"#;

/// The owner in the provider block of a workspace whose configuration has none.
pub const OWNER: &str = "acceptance/one";

impl<'a> Workspace<'a> {
    /// A folder that holds `configuration` and was initialised.
    pub fn new(cloud: &'a Cloud, configuration: &str) -> Self {
        Self::with_environment(cloud, configuration, &[])
    }

    /// The same, with more variables in the environment of every run.
    pub fn with_environment(
        cloud: &'a Cloud,
        configuration: &str,
        environment: &[(String, String)],
    ) -> Self {
        let workspace = Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            client: Client::here(),
            cloud,
            environment: environment.to_vec(),
        };
        let mirror = workspace.path("mirror");
        programs::mirror(&mirror).expect("the mirror can be made");
        let settings = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
            mirror.display().to_string()
        );
        fs::write(workspace.path("client.rc"), settings)
            .expect("the client's settings can be written");
        fs::create_dir(workspace.path("module")).expect("the module's folder can be made");
        workspace.configure(configuration);
        workspace.run(&["init"]).succeeds();
        workspace
    }

    /// Replaces the configuration.
    pub fn configure(&self, configuration: &str) {
        let provider = if configuration.contains("provider \"paymesh\"") {
            ""
        } else {
            PROVIDER
        };
        fs::write(
            self.path("module/main.tf"),
            format!("{HEAD}{provider}{configuration}"),
        )
        .expect("the configuration can be written");
    }

    /// Replaces one more file of the configuration. A client reads the whole file again for every
    /// message about it, so that many messages want many files.
    pub fn configure_beside(&self, name: &str, configuration: &str) {
        fs::write(self.module().join(format!("{name}.tf")), configuration)
            .expect("the configuration can be written");
    }

    /// A file of the workspace.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the module.
    pub fn module(&self) -> PathBuf {
        self.path("module")
    }

    /// Starts the client with these words.
    pub fn start(&self, words: &[&str]) -> Running {
        self.start_with(words, &[])
    }

    fn start_with(&self, words: &[&str], environment: &[(&str, &Path)]) -> Running {
        let output = tempfile::tempfile().expect("a temporary file can be made");
        let copy = || output.try_clone().expect("a file handle can be copied");
        let child = Command::new(self.client.path())
            .args(words)
            .current_dir(self.module())
            .env("TF_CLI_CONFIG_FILE", self.path("client.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_CLI_ARGS", "-no-color")
            .env("PAYMESH_SIMULATOR", self.cloud.file())
            .env("PAYMESH_PROGRESS", self.path("progress"))
            // The provider reads every authority that it is told of, which takes longer than
            // everything else it does here.
            .env("SSL_CERT_FILE", self.cloud.authority())
            .env_remove("SSL_CERT_DIR")
            .envs(self.remote_state())
            // What a test says stands over what every test has.
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(
                environment
                    .iter()
                    .map(|(name, value)| (*name, value.as_os_str())),
            )
            .stdin(Stdio::null())
            .stdout(copy())
            .stderr(copy())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.client.path().display()));
        Running {
            words: words.join(" "),
            child,
            output,
            started: Instant::now(),
        }
    }

    /// For a configuration with `backend "http" {}`: the simulator keeps its state, so that saving
    /// it is a request like any other.
    fn remote_state(&self) -> [(&'static str, String); 4] {
        let address = format!(
            "{}/terraform/{}",
            self.cloud.card()["control"].as_str().unwrap_or_default(),
            self.state_name()
        );
        let authority = self.cloud.card()["ca"].as_str().unwrap_or_default();
        [
            ("TF_HTTP_ADDRESS", address.clone()),
            ("TF_HTTP_LOCK_ADDRESS", address.clone()),
            ("TF_HTTP_UNLOCK_ADDRESS", address),
            (
                "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM",
                fs::read_to_string(authority).unwrap_or_default(),
            ),
        ]
    }

    /// The name of the state that the simulator keeps for this workspace.
    pub fn state_name(&self) -> String {
        let folder = self.folder.path().file_name().unwrap_or_default();
        folder
            .to_string_lossy()
            .trim_start_matches('.')
            .to_lowercase()
    }

    /// Removes the lock that a killed run left on the state, as a user would; whether there was one.
    pub fn unlock(&self) -> bool {
        let lock = self.cloud.lock_of(&self.state_name());
        if let Some(id) = &lock {
            self.run(&["force-unlock", "-force", id]).succeeds();
        }
        lock.is_some()
    }

    /// Runs the client with these words to its end.
    pub fn run(&self, words: &[&str]) -> Run {
        self.start(words).end()
    }

    /// Runs the client with everything logged; gives the run and the log.
    pub fn trace(&self, words: &[&str]) -> (Run, String) {
        let running = self.start_trace(words);
        self.end_trace(running)
    }

    /// The same, with more variables in the environment of this run.
    pub fn trace_with(&self, words: &[&str], environment: &[(&str, String)]) -> (Run, String) {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, Path::new(value)))
            .collect();
        let running = self.start_trace_with(words, &environment);
        self.end_trace(running)
    }

    /// Starts the client with everything logged.
    pub fn start_trace(&self, words: &[&str]) -> Running {
        self.start_trace_with(words, &[])
    }

    fn start_trace_with(&self, words: &[&str], environment: &[(&str, &Path)]) -> Running {
        let log = self.path("trace.log");
        let _ = fs::remove_file(&log);
        let logged = [("TF_LOG", Path::new("TRACE")), ("TF_LOG_PATH", &*log)];
        self.start_with(words, &[&logged[..], environment].concat())
    }

    /// Waits for the end of a run that was started so; gives the run and the log.
    pub fn end_trace(&self, running: Running) -> (Run, String) {
        let run = running.end();
        let log = fs::read_to_string(self.path("trace.log"));
        (run, log.unwrap_or_default())
    }

    /// Lets the provider be installed under another name too, as what an older state mentions.
    pub fn offer_as(&self, source: &str) {
        programs::offer(&self.path("mirror"), source).expect("the mirror can be extended");
    }

    /// `apply`.
    pub fn apply(&self) -> Run {
        self.run(&["apply", "-auto-approve"])
    }

    /// Starts `apply`.
    pub fn start_apply(&self) -> Running {
        self.start(&["apply", "-auto-approve"])
    }

    /// `destroy`.
    pub fn destroy(&self) -> Run {
        self.run(&["destroy", "-auto-approve"])
    }

    /// `plan`, which ends with exit code 0 if there is nothing to do, 2 if there is.
    pub fn plan(&self) -> Run {
        self.run(&["plan", "-detailed-exitcode"])
    }

    /// `plan -json`, whose findings can be read one by one.
    pub fn plan_json(&self) -> Run {
        self.run(&["plan", "-json"])
    }

    /// What a plan with these words would do, as `show -json` tells it.
    #[track_caller]
    pub fn planned(&self, words: &[&str]) -> Value {
        let words = [&["plan", "-out=planned"], words].concat();
        self.run(&words).succeeds();
        self.shown_plan()
    }

    /// What the last plan with `-out=planned` would do.
    #[track_caller]
    pub fn shown_plan(&self) -> Value {
        self.show(&["show", "-json", "planned"])
    }

    /// A plan must have nothing to do.
    #[track_caller]
    pub fn plans_nothing(&self) {
        let run = self.plan();
        assert_eq!(run.status.code(), Some(0), "{run}");
    }

    /// A plan must have something to do.
    #[track_caller]
    pub fn plans_something(&self) -> Run {
        let run = self.plan();
        assert_eq!(run.status.code(), Some(2), "{run}");
        run
    }

    /// The resources in state, as their addresses and whether they are tainted.
    pub fn state(&self) -> Vec<(String, bool)> {
        let shown = self.show(&["show", "-json"]);
        let resources = shown["values"]["root_module"]["resources"].as_array();
        resources
            .into_iter()
            .flatten()
            .map(|resource| {
                let address = resource["address"].as_str().unwrap_or_default().to_owned();
                (address, resource["tainted"] == true)
            })
            .collect()
    }

    /// The attributes of the resource at `address` in state.
    pub fn attributes(&self, address: &str) -> Value {
        let shown = self.show(&["show", "-json"]);
        let resources = shown["values"]["root_module"]["resources"].as_array();
        let found = resources
            .into_iter()
            .flatten()
            .find(|resource| resource["address"] == address);
        found.map_or(Value::Null, |resource| resource["values"].clone())
    }

    /// The schema that the provider announces.
    pub fn schema(&self) -> Value {
        self.show(&["providers", "schema", "-json"])
    }

    #[track_caller]
    fn show(&self, words: &[&str]) -> Value {
        let run = self.run(words).succeeds();
        let json = run
            .output
            .find('{')
            .map_or("", |start| &run.output[start..]);
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {run}"))
    }

    /// Every file that the client keeps: state, its copies, lock file, saved plans.
    pub fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folders = [self.module(), self.path("progress")];
        folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)))
            .collect()
    }
}
