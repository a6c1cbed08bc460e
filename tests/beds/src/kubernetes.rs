//! A real Kubernetes API server on a real etcd, as plain processes on loopback.
//!
//! Nothing else of Kubernetes runs: objects are validated, kept, watched and authorized by role, and
//! nobody acts on them. `tests/tools` finds or builds both programs (`python3 tests/tools path
//! kube-apiserver`). What etcd acknowledged is in the page cache: a kill loses nothing.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rcgen::KeyPair;

use crate::{
    ports::reserve_port,
    process::Process,
    wait::{Late, wait_for},
};

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_mins(2);
/// Where both programs are.
const PROGRAMS: [&str; 2] = ["PAYMESH_ETCD", "PAYMESH_KUBE_APISERVER"];

/// Why there is no API server.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// A program is not named.
    #[error(
        "{0} does not name a program: run `python3 tests/tools path etcd` and `... kube-apiserver`"
    )]
    NotInstalled(&'static str),
    /// It did not get ready.
    #[error("Kubernetes did not get ready")]
    Late(#[from] Late),
    /// The service account's key could not be made.
    #[error("the key of service accounts could not be made")]
    Key(#[from] rcgen::Error),
    /// The file system or the network failed.
    #[error("Kubernetes in {path}: {reason}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// An API server and its etcd in a folder of their own. They end when dropped.
pub struct Kubernetes {
    folder: PathBuf,
    port: u16,
    /// What the administrator says who it is.
    pub token: String,
    programs: [PathBuf; 2],
    etcd_port: u16,
    etcd: Option<Process>,
    server: Option<Process>,
}

impl Kubernetes {
    /// Starts both with nothing in them. Beside the administrator, each of `accounts`, as
    /// NAMESPACE:NAME, has a token, which is its name.
    pub fn start(folder: &Path, accounts: &[&str]) -> Result<Self, KubernetesError> {
        let program = |name: &'static str| {
            let found = std::env::var_os(name).map(PathBuf::from);
            found
                .filter(|it| it.is_file())
                .ok_or(KubernetesError::NotInstalled(name))
        };
        let file = |reason| KubernetesError::File {
            path: folder.to_owned(),
            reason,
        };
        let mut kubernetes = Self {
            folder: folder.to_owned(),
            port: reserve_port().map_err(file)?,
            token: format!("{:032x}", rand::random::<u128>()),
            programs: [program(PROGRAMS[0])?, program(PROGRAMS[1])?],
            etcd_port: reserve_port().map_err(file)?,
            etcd: None,
            server: None,
        };
        fs::create_dir_all(folder).map_err(file)?;
        let mut tokens = format!("{},admin,1,system:masters\n", kubernetes.token);
        for account in accounts {
            let user = format!("system:serviceaccount:{account}");
            writeln!(tokens, "{account},{user},{account},system:authenticated")
                .expect("a string takes everything");
        }
        fs::write(folder.join("tokens"), tokens).map_err(file)?;
        for account in accounts {
            kubernetes.write_kubeconfig(account).map_err(file)?;
        }
        let key = KeyPair::generate()?;
        fs::write(folder.join("accounts.key"), key.serialize_pem()).map_err(file)?;
        fs::write(folder.join("accounts.pub"), key.public_key_pem()).map_err(file)?;
        let peers = reserve_port().map_err(file)?;
        let (client, peer) = (
            format!("http://127.0.0.1:{}", kubernetes.etcd_port),
            format!("http://127.0.0.1:{peers}"),
        );
        let mut command = Command::new(&kubernetes.programs[0]);
        command
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--unsafe-no-fsync", "--log-level", "warn"]);
        let log = folder.join("etcd.log");
        kubernetes.etcd = Some(Process::start("etcd", &mut command, &log).map_err(file)?);
        kubernetes.run()?;
        Ok(kubernetes)
    }

    /// Starts the API server, on what etcd has, and waits until it listens.
    pub fn run(&mut self) -> Result<(), KubernetesError> {
        let folder = &self.folder;
        let mut command = Command::new(&self.programs[1]);
        command
            .args([
                "--bind-address",
                "127.0.0.1",
                "--secure-port",
                &self.port.to_string(),
            ])
            .args([
                "--etcd-servers",
                &format!("http://127.0.0.1:{}", self.etcd_port),
            ])
            .arg("--cert-dir")
            .arg(folder.join("certificates"))
            .arg("--token-auth-file")
            .arg(folder.join("tokens"))
            .arg("--service-account-key-file")
            .arg(folder.join("accounts.pub"))
            .arg("--service-account-signing-key-file")
            .arg(folder.join("accounts.key"))
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args([
                "--authorization-mode",
                "RBAC",
                "--service-cluster-ip-range",
                "10.96.0.0/16",
            ])
            .args(["--endpoint-reconciler-type", "none", "--watch-cache=true"]);
        let log = folder.join("kube-apiserver.log");
        let mut server =
            Process::start("kube-apiserver", &mut command, &log).map_err(|reason| {
                KubernetesError::File {
                    path: folder.clone(),
                    reason,
                }
            })?;
        wait_for("the Kubernetes API server", START_MAX, || {
            if let Some(end) = server.ended() {
                return Err(end);
            }
            // Whether it is ready it says over TLS, which this crate does not speak.
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .map(drop)
                .map_err(|reason| reason.to_string())
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Kills the API server; [`Self::run`] starts it again.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The file with the authority of its certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }

    /// The kubeconfig of one of the accounts.
    pub fn kubeconfig(&self, account: &str) -> PathBuf {
        let name = account.replace(':', "-");
        self.folder.join(format!("{name}.kubeconfig"))
    }

    fn write_kubeconfig(&self, account: &str) -> io::Result<()> {
        let (url, authority) = (self.url(), self.authority());
        let text = format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: bed, cluster: {{server: \"{url}\", certificate-authority: \"{}\"}}}}]
users: [{{name: bed, user: {{token: \"{account}\"}}}}]
contexts: [{{name: bed, context: {{cluster: bed, user: bed}}}}]
current-context: bed
",
            authority.display()
        );
        fs::write(self.kubeconfig(account), text)
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut etcd) = self.etcd.take() {
            etcd.kill();
        }
    }
}
