//! A real PostgreSQL server.
//!
//! Every role has a password and commits are durable: a test that kills the server then means
//! something. PostgreSQL refuses to run as root, so root starts it as the user `postgres`.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    authority::Issued,
    ports::reserve_port,
    process::Process,
    wait::{Late, wait_for},
};

/// How long a start may take, recovery after a crash included.
const START_MAX: Duration = Duration::from_mins(1);
/// The role that may do everything.
pub(crate) const ADMINISTRATOR: &str = "bed";
/// When the server read its settings last, and the files that they name.
const LOADED: &str = "select pg_conf_load_time()";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No programs.
    #[error(
        "no PostgreSQL server programs found (PAYMESH_POSTGRES_BIN, PATH, /usr/lib/postgresql/*/bin); install PostgreSQL 15 or newer, e.g. `apt-get install postgresql`"
    )]
    NotInstalled,
    /// Nobody to run as.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` to run it as")]
    Root,
    /// A program failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which one.
        program: String,
        /// What it wrote.
        output: String,
    },
    /// It did not get ready.
    #[error("PostgreSQL did not get ready")]
    Late(#[from] Late),
    /// The file system failed.
    #[error("{path}: {reason}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// A PostgreSQL server in a folder of its own. It ends when dropped; its folder stays.
pub struct Postgres {
    pub(crate) programs: PathBuf,
    pub(crate) runs_as: Option<(u32, u32)>,
    pub(crate) folder: PathBuf,
    /// Its name among servers that follow each other.
    pub name: String,
    pub(crate) port: u16,
    pub(crate) password: String,
    pub(crate) process: Option<Process>,
}

impl Postgres {
    /// Starts a server on what `folder` holds, or on a new database cluster if it holds none.
    pub fn start(folder: &Path) -> Result<Self, PostgresError> {
        let runs_as = user_to_run_as()?;
        let mut postgres = Self {
            programs: find_programs()?,
            runs_as,
            folder: folder.to_owned(),
            name: "one".to_owned(),
            port: 0,
            password: String::new(),
            process: None,
        };
        postgres.make_folder()?;
        if postgres.data().join("PG_VERSION").exists() {
            postgres.password = postgres.read("password")?;
            let port = postgres.read("port")?;
            postgres.port = port.parse().map_err(|_| PostgresError::NotInstalled)?;
        } else {
            postgres.make_cluster()?;
        }
        postgres.run()?;
        Ok(postgres)
    }

    /// Starts the server again after it was killed or stopped.
    pub fn run(&mut self) -> Result<(), PostgresError> {
        let log = self.folder.join("log");
        let start = |postgres: &Self| {
            let mut command = postgres.program("postgres");
            // The port is this server's own, also on a copy of another one's settings.
            command.arg("-D").arg(postgres.data());
            command.args(["-p", &postgres.port.to_string()]);
            Process::start("postgres", &mut command, &log)
                .map_err(|reason| postgres.failed("log", reason))
        };
        self.process = Some(start(self)?);
        // After a kill the old backends need a moment to notice; until then a start is refused.
        wait_for("PostgreSQL", START_MAX, || {
            let process = self.process.as_mut().expect("set above");
            if let Some(end) = process.ended() {
                self.process = Some(start(self).map_err(|error| error.to_string())?);
                return Err(end);
            }
            let mut probe = self.program("pg_isready");
            probe.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", "2"]);
            let output = probe.output().map_err(|reason| reason.to_string())?;
            if output.status.success() {
                Ok(())
            } else {
                Err(text_of(&output))
            }
        })?;
        Ok(())
    }

    /// Has the server load one of PostgreSQL's additional modules from now on, for which it is started
    /// again.
    pub fn load(&mut self, module: &str) -> Result<(), PostgresError> {
        let set = format!("alter system set shared_preload_libraries = '{module}'");
        self.sql("postgres", &set)?;
        self.stop();
        self.run()
    }

    /// Kills the server as a crash would. [`Self::run`] starts it again.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops the server: connections are cut, what is committed is kept.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(Signal::INT);
        }
    }

    /// Lets the server run on; gives its process id.
    pub fn leave(&mut self) -> u32 {
        self.process.take().map_or(0, Process::leave)
    }

    /// The process id of the server, 0 while it is down; its backends are its children.
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address of a database for a role.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@{}/{database}", self.address())
    }

    /// The address of a database for the role that may do everything.
    pub fn administrator_url(&self, database: &str) -> String {
        self.url(ADMINISTRATOR, &self.password, database)
    }

    /// Runs SQL as the administrator; gives the rows, one per line, columns parted by `|`.
    pub fn sql(&self, database: &str, text: &str) -> Result<String, PostgresError> {
        let mut command = self.program("psql");
        command
            .env("PGPASSWORD", &self.password)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", ADMINISTRATOR, "-d", database])
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text]);
        let output = self.output(&mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Serves TLS with this certificate from now on, beside what it serves without.
    pub fn serve_tls(&self, issued: &Issued) -> Result<(), PostgresError> {
        self.write("data/server.crt", &issued.certificate)?;
        self.write("data/server.key", &issued.key)?;
        let key = self.data().join("server.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))
            .map_err(|reason| self.failed("data/server.key", reason))?;
        let before = self.sql("postgres", LOADED)?;
        self.sql("postgres", "alter system set ssl = on")?;
        self.sql("postgres", "select pg_reload_conf()")?;
        wait_for("PostgreSQL's new settings", START_MAX, || {
            let now = self
                .sql("postgres", LOADED)
                .map_err(|error| error.to_string())?;
            (now != before).then_some(()).ok_or(now)
        })?;
        Ok(())
    }

    /// A program of PostgreSQL in the server's folder, which connects as the administrator.
    pub fn client(&self, name: &str, database: &str) -> Command {
        let mut command = self.program(name);
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", ADMINISTRATOR)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", database);
        command
    }

    /// Runs a program to its end; gives what it printed.
    pub fn printed(&self, command: &mut Command) -> Result<String, PostgresError> {
        let output = self.output(command)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn make_folder(&self) -> Result<(), PostgresError> {
        fs::create_dir_all(&self.folder).map_err(|reason| self.failed("", reason))?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))
            .map_err(|reason| self.failed("", reason))?;
        if let Some((user, group)) = self.runs_as {
            std::os::unix::fs::chown(&self.folder, Some(user), Some(group))
                .map_err(|reason| self.failed("", reason))?;
        }
        Ok(())
    }

    fn make_cluster(&mut self) -> Result<(), PostgresError> {
        self.port = reserve_port().map_err(|reason| self.failed("port", reason))?;
        self.password = rand::random::<[u8; 16]>()
            .iter()
            .fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a string takes everything");
                text
            });
        self.write("password", &self.password)?;
        self.write("port", &self.port.to_string())?;
        let mut command = self.program("initdb");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-U", ADMINISTRATOR, "-E", "UTF8", "--locale=C"])
            .args(["--auth=scram-sha-256", "--data-checksums", "--no-sync"])
            .arg(format!(
                "--pwfile={}",
                self.folder.join("password").display()
            ));
        self.output(&mut command)?;
        let settings = format!(
            "listen_addresses = '127.0.0.1'
port = {}
unix_socket_directories = ''
max_connections = 100
shared_buffers = '256MB'
# A checkpoint for every gigabyte would write most pages again and again under load.
max_wal_size = '4GB'
# Durable, and ready for standbys.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
max_wal_senders = 8
max_replication_slots = 8
hot_standby = on
log_line_prefix = '%m [%p] %q%u '
",
            self.port
        );
        self.write("data/postgresql.auto.conf", &settings)
    }

    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder).env("LC_ALL", "C");
        if let Some((user, group)) = self.runs_as {
            command.uid(user).gid(group);
        }
        command
    }

    pub(crate) fn output(&self, command: &mut Command) -> Result<Output, PostgresError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.output().map_err(|reason| self.failed("", reason))?;
        if output.status.success() {
            return Ok(output);
        }
        Err(PostgresError::Program {
            program,
            output: text_of(&output),
        })
    }

    fn read(&self, name: &str) -> Result<String, PostgresError> {
        fs::read_to_string(self.folder.join(name)).map_err(|reason| self.failed(name, reason))
    }

    /// Writes a file into the server's folder, where its programs can read it.
    pub fn write(&self, name: &str, text: &str) -> Result<(), PostgresError> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|reason| self.failed(name, reason))?;
        if let Some((user, group)) = self.runs_as {
            std::os::unix::fs::chown(&path, Some(user), Some(group))
                .map_err(|reason| self.failed(name, reason))?;
        }
        Ok(())
    }

    /// What a failure of the file system or the network means here.
    pub fn failed(&self, name: &str, reason: io::Error) -> PostgresError {
        PostgresError::File {
            path: self.folder.join(name),
            reason,
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // What it holds is not needed any more: at once, but with its backends.
            process.stop(Signal::QUIT);
        }
    }
}

fn text_of(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{} {}", out.trim(), err.trim()).trim().to_owned()
}

fn find_programs() -> Result<PathBuf, PostgresError> {
    let named = std::env::var_os("PAYMESH_POSTGRES_BIN").map(PathBuf::from);
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    // A link in PATH leads to the folder where all of them are.
    let in_path = std::env::split_paths(&search_path)
        .filter_map(|folder| fs::canonicalize(folder.join("initdb")).ok())
        .filter_map(|program| program.parent().map(Path::to_owned));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_string_lossy().parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    installed.sort_unstable_by(|one, other| other.cmp(one));
    let installed = installed.into_iter().map(|(_, folder)| folder);
    named
        .into_iter()
        .chain(in_path)
        .chain(installed)
        .find(|folder| {
            ["initdb", "postgres", "psql", "pg_isready"]
                .iter()
                .all(|program| folder.join(program).is_file())
        })
        .ok_or(PostgresError::NotInstalled)
}

fn user_to_run_as() -> Result<Option<(u32, u32)>, PostgresError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let number = |flag: &str| {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    number("-u")
        .zip(number("-g"))
        .map(Some)
        .ok_or(PostgresError::Root)
}
