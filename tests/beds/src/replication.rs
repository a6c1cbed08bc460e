//! Standbys: a copy that follows, and takes over when its primary is lost.
//!
//! A commit is acknowledged when one of the standbys has it on disk. Whoever promotes fences the
//! old primary first, and takes the standby that has more.

use std::{fs, path::Path, time::Duration};

use crate::{
    postgres::{ADMINISTRATOR, Postgres, PostgresError},
    wait::wait_for,
};

/// How long a standby may take to follow.
const FOLLOW_MAX: Duration = Duration::from_mins(1);

impl Postgres {
    /// Starts a standby of this server in another folder, under a name and on a port of its own.
    pub fn standby(&self, folder: &Path, name: &str, port: u16) -> Result<Self, PostgresError> {
        let mut standby = Self {
            programs: self.programs.clone(),
            runs_as: self.runs_as,
            folder: folder.to_owned(),
            name: name.to_owned(),
            port,
            password: self.password.clone(),
            process: None,
        };
        standby.make_folder()?;
        standby.write("password", &standby.password)?;
        standby.write("port", &standby.port.to_string())?;
        let mut command = standby.program("pg_basebackup");
        command
            .arg("-D")
            .arg(standby.data())
            .args(["-d", &self.follow_address(name)])
            .args(["--checkpoint=fast", "--wal-method=stream", "--no-sync"])
            .arg("--write-recovery-conf");
        standby.output(&mut command)?;
        standby.run()?;
        self.wait_for_follower(name)?;
        Ok(standby)
    }

    /// Acknowledges a commit only when one of the named standbys has it on disk; with none named,
    /// when this server has.
    pub fn acknowledge_with(&self, names: &[&str]) -> Result<(), PostgresError> {
        let list = match names {
            [] => String::new(),
            names => format!("ANY 1 ({})", names.join(", ")),
        };
        self.set("synchronous_standby_names", &list)
    }

    /// Follows another server from now on; nobody if there is none.
    pub fn follow(&self, primary: Option<&Self>) -> Result<(), PostgresError> {
        let address = primary.map_or(String::new(), |primary| primary.follow_address(&self.name));
        self.set("primary_conninfo", &address)
    }

    /// Waits until a standby follows this server.
    pub fn wait_for_follower(&self, name: &str) -> Result<(), PostgresError> {
        wait_for("a standby that follows", FOLLOW_MAX, || {
            let seen = self
                .sql(
                    "postgres",
                    &format!(
                        "select state from pg_stat_replication where application_name = '{name}'"
                    ),
                )
                .map_err(|error| error.to_string())?;
            if seen == "streaming" {
                Ok(())
            } else {
                Err(seen)
            }
        })?;
        Ok(())
    }

    /// Waits until nothing feeds this standby any more.
    pub fn wait_until_cut_off(&self) -> Result<(), PostgresError> {
        wait_for("a standby that is cut off", FOLLOW_MAX, || {
            let seen = self
                .sql("postgres", "select count(*) from pg_stat_wal_receiver")
                .map_err(|error| error.to_string())?;
            if seen == "0" {
                Ok(())
            } else {
                Err(format!("{seen} receivers"))
            }
        })?;
        Ok(())
    }

    /// How much of the primary's log this standby has on disk.
    pub fn received(&self) -> Result<u64, PostgresError> {
        let text = self.sql(
            "postgres",
            "select coalesce(pg_last_wal_receive_lsn(), '0/0') - '0/0'",
        )?;
        Ok(text.parse().unwrap_or_default())
    }

    /// Makes a primary of this standby.
    pub fn promote(&self) -> Result<(), PostgresError> {
        self.sql("postgres", "select pg_promote(true, 60)")
            .map(drop)
    }

    /// Where it keeps what it has.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the server and deletes what it held, as the loss of its host would.
    pub fn lose(&mut self) -> Result<(), PostgresError> {
        self.kill();
        let data = self.data();
        // Its backends notice within moments that they are alone, and write until then.
        wait_for("a deleted data folder", FOLLOW_MAX, || {
            fs::remove_dir_all(&data).map_err(|reason| reason.to_string())
        })?;
        Ok(())
    }

    /// The settings that decide whether a commit survives, as the server has them.
    /// Asked on a connection to `url`, since a role or a database may have its own.
    pub fn durability_for(&self, url: &str) -> Result<String, PostgresError> {
        let mut command = self.program("psql");
        command.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c"]).arg(
            "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in
                ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')",
        );
        let output = self.output(&mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Changes a setting for good.
    pub fn set(&self, name: &str, value: &str) -> Result<(), PostgresError> {
        let value = value.replace('\'', "''");
        self.sql("postgres", &format!("alter system set {name} = '{value}'"))?;
        self.sql("postgres", "select pg_reload_conf()").map(drop)
    }

    fn follow_address(&self, name: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={ADMINISTRATOR} password={} application_name={name}",
            self.port, self.password
        )
    }
}
