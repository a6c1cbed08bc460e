//! Where the simulated cloud is: the file that `paymesh sim up` writes.
//!
//! The provider reads it only when its block says `simulator = true`, and never starts a
//! simulator itself.

use std::{
    env, fmt, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use url::{Host, Url};

/// The version of the file this provider reads.
const FORMAT: u32 = 1;

/// How long a simulator on this machine may take to accept a connection.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The address, credentials and clock of a running simulator.
#[derive(Clone, Debug, Deserialize)]
pub struct Simulator {
    version: u32,
    /// Base of the Azure endpoints.
    pub azure: Url,
    /// Base of the Google endpoints.
    pub google: Url,
    /// The certificate authority that signed the simulator's certificate.
    pub ca: PathBuf,
    /// How many times as fast as the machine's clock the simulator's runs.
    pub clock_rate: f64,
    /// The simulated Entra tenant.
    pub tenant_id: String,
    /// The simulated application that the provider signs in as.
    pub client_id: String,
    /// The file that holds that application's secret.
    pub client_secret_file: PathBuf,
    /// The simulated subscriptions.
    #[serde(default)]
    pub subscription_ids: Vec<String>,
    /// The simulated projects; none when the simulator serves only Azure.
    #[serde(default)]
    pub google_projects: Vec<String>,
    /// Application-default credentials for the simulated projects.
    #[serde(default)]
    pub google_credentials_file: PathBuf,
}

/// Why there is no simulator to talk to.
#[derive(Debug)]
pub enum NoSimulator {
    /// The file does not exist.
    NotRunning(PathBuf),
    /// The file exists, and nothing answers where it says.
    Silent {
        /// Which file.
        path: PathBuf,
        /// The address in it.
        address: String,
    },
    /// The file cannot be read or is not what was expected.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Simulator {
    /// Reads the file named by `PAYMESH_SIMULATOR`, or the one in its usual place, and makes sure
    /// that the simulator answers.
    pub fn running() -> Result<Self, NoSimulator> {
        let path = usual_path()?;
        let found = Self::read(&path)?;
        let addresses = found.azure.socket_addrs(|| None).unwrap_or_default();
        let answers = addresses
            .iter()
            .any(|address| TcpStream::connect_timeout(address, ANSWER_MAX).is_ok());
        if answers {
            Ok(found)
        } else {
            let address = found.azure.to_string();
            Err(NoSimulator::Silent { path, address })
        }
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, NoSimulator> {
        let unreadable = |why: String| NoSimulator::Unreadable {
            path: path.to_owned(),
            why,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(NoSimulator::NotRunning(path.to_owned()));
            }
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let found: Self =
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        if found.version != FORMAT {
            return Err(unreadable(format!(
                "it has version {}, this provider reads version {FORMAT}",
                found.version
            )));
        }
        // It decides where the secrets of the files it names are sent.
        for url in [&found.azure, &found.google] {
            if !is_here(url) {
                return Err(unreadable(format!("{url} is not on this machine")));
            }
        }
        Ok(found)
    }
}

/// Whether the host of `url` is this machine.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Never a path below the working directory: that is the module's folder.
fn usual_path() -> Result<PathBuf, NoSimulator> {
    if let Some(path) = env::var_os("PAYMESH_SIMULATOR").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .ok_or_else(|| NoSimulator::Unreadable {
            path: "simulator.json".into(),
            why: "HOME is not set; name the file in PAYMESH_SIMULATOR".to_owned(),
        })?;
    Ok(state.join("paymesh/simulator.json"))
}

impl fmt::Display for NoSimulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(path) => write!(
                f,
                "the provider says simulator = true, but {} does not exist",
                path.display()
            ),
            Self::Silent { path, address } => write!(
                f,
                "the simulated cloud does not answer at {address}, which {} names",
                path.display()
            ),
            Self::Unreadable { path, why } => write!(
                f,
                "{} does not describe a running simulator: {why}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for NoSimulator {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(content: Option<&str>, says: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("simulator.json");
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let refused = Simulator::read(&path).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }

    #[test]
    fn without_a_file_the_message_says_so() {
        check_refused(None, "does not exist");
    }

    #[test]
    fn a_file_of_another_version_is_refused() {
        let content = r#"{"version":2,"azure":"https://127.0.0.1:1","google":"http://127.0.0.1:2",
            "ca":"/ca.pem","clock_rate":600.0,"tenant_id":"t","client_id":"c",
            "client_secret_file":"/s","subscription_ids":[],"google_projects":[],
            "google_credentials_file":"/g"}"#;
        check_refused(Some(content), "it has version 2");
    }

    #[test]
    fn a_simulator_elsewhere_is_refused() {
        let content = r#"{"version":1,"azure":"https://203.0.113.7","google":"http://127.0.0.1:2",
            "ca":"/ca.pem","clock_rate":600.0,"tenant_id":"t","client_id":"c",
            "client_secret_file":"/s","subscription_ids":[],"google_projects":[],
            "google_credentials_file":"/g"}"#;
        check_refused(Some(content), "is not on this machine");
    }

    #[test]
    fn half_a_file_is_refused() {
        check_refused(
            Some(r#"{"version":1,"#),
            "does not describe a running simulator",
        );
    }
}
