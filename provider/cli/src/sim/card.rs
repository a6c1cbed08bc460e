//! Where the simulated cloud is: the file it writes when it is ready, and what lies beside it.

use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use reqwest::Url;
use serde::Deserialize;

use super::Result;

/// The files of one simulator, all beside each other.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Written by the simulator when it is ready, gone when it has stopped.
    pub(crate) file: PathBuf,
    /// What it holds.
    pub(crate) state_dir: PathBuf,
    /// What it prints.
    pub(crate) log: PathBuf,
    /// Which process was started here.
    pub(crate) process: PathBuf,
    /// Held while one `paymesh sim up` or `down` works.
    pub(crate) lock: PathBuf,
}

/// What this command reads of the file that the simulator writes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Card {
    /// The simulator's process.
    pub(crate) pid: u32,
    /// Base address of Azure.
    pub(crate) azure: String,
    /// Base address of Google Cloud.
    pub(crate) google: String,
    /// Address of the console, for a browser.
    pub(crate) console: String,
    /// Base address of the control API.
    pub(crate) control: String,
    /// The certificate authority of the addresses with https.
    pub(crate) ca: PathBuf,
    /// Simulated seconds in one second.
    pub(crate) clock_rate: f64,
    /// The simulated Entra tenant.
    pub(crate) tenant_id: String,
    /// The simulated application to sign in as.
    pub(crate) client_id: String,
    /// The file that holds that application's secret.
    pub(crate) client_secret_file: PathBuf,
    /// The simulated subscriptions.
    pub(crate) subscription_ids: Vec<String>,
    /// The simulated projects.
    pub(crate) google_projects: Vec<String>,
    /// Application-default credentials for those.
    pub(crate) google_credentials_file: PathBuf,
}

impl Place {
    /// The place that `PAYMESH_SIMULATOR` names, or the usual one.
    pub(crate) fn find() -> Result<Self> {
        if let Some(file) = env::var_os("PAYMESH_SIMULATOR").filter(|file| !file.is_empty()) {
            return Self::around(Path::new(&file));
        }
        let state_home = env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let state_home = match state_home {
            Some(path) => path,
            None => PathBuf::from(
                env::var_os("HOME").ok_or("HOME is not set; set PAYMESH_SIMULATOR to a file")?,
            )
            .join(".local/state"),
        };
        Self::around(&state_home.join("paymesh/simulator.json"))
    }

    /// The place whose simulator file is `file`.
    pub(crate) fn around(file: &Path) -> Result<Self> {
        let file = std::path::absolute(file)
            .map_err(|error| format!("{} is no file name: {error}", file.display()))?;
        Ok(Self {
            state_dir: file.with_extension(""),
            log: file.with_extension("log"),
            process: file.with_extension("process.json"),
            lock: file.with_extension("lock"),
            file,
        })
    }

    /// What the simulator wrote; `None` if it did not, or no longer runs after a clean stop.
    pub(crate) fn read(&self) -> Result<Option<Card>> {
        match fs::read_to_string(&self.file) {
            Ok(text) => {
                let is_none = |why: String| {
                    format!(
                        "{} does not describe a simulator: {why}",
                        self.file.display()
                    )
                };
                let card: Card =
                    serde_json::from_str(&text).map_err(|error| is_none(error.to_string()))?;
                // It decides where the secrets of the files that it names are sent.
                for address in [&card.azure, &card.google, &card.console, &card.control] {
                    if !is_here(address) {
                        return Err(is_none(format!("{address} is not on this machine")));
                    }
                }
                Ok(Some(card))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", self.file.display())),
        }
    }
}

/// Whether `address` is on this machine.
fn is_here(address: &str) -> bool {
    let url = Url::parse(address).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let number = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || number.parse().is_ok_and(|it: IpAddr| it.is_loopback())
}

impl Card {
    /// A few lines for a reader.
    pub(crate) fn describe(&self) -> String {
        format!(
            "  console  {}\n  azure    {}\n  google   {}\n  control  {} (trust {})\n  process  {}, clock x{}",
            self.console,
            self.azure,
            self.google,
            self.control,
            self.ca.display(),
            self.pid,
            self.clock_rate
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulator_is_on_this_machine() {
        for here in [
            "https://127.0.0.1:1",
            "http://localhost:1",
            "https://[::1]:1/_sim",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "https://127.0.0.1.example",
            "https://10.0.0.1:1",
            "nowhere",
            "",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn everything_of_one_simulator_lies_beside_its_file() {
        let place = Place::around(Path::new("/run/a/simulator.json")).unwrap();
        assert_eq!(place.state_dir, Path::new("/run/a/simulator"));
        assert_eq!(place.log, Path::new("/run/a/simulator.log"));
        assert_eq!(place.process, Path::new("/run/a/simulator.process.json"));
    }
}
