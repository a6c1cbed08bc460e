//! The database servers of a stack: roles and schema, standbys, and the loss of a host.

use std::{io, path::PathBuf, process::Command, time::Instant};

use paymesh_beds::{Link, PostgresError, Process, Tap, reserve_port};

use super::{Stack, Wire};

/// The names of the database servers.
pub(crate) const SERVERS: [&str; 3] = ["one", "two", "three"];

/// A database server whose host was lost.
pub(super) struct Lost {
    folder: PathBuf,
    name: String,
    port: u16,
}

impl Stack {
    /// Roles and schema.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let secrets = &self.card.secrets;
        let sql = |database: &str, text: &str| {
            self.postgres.sql(database, text).map_err(io::Error::other)
        };
        for (role, password) in [
            ("paymesh_migrate", &secrets.migrate_password),
            ("paymesh_controller", &secrets.controller_password),
        ] {
            sql(
                "postgres",
                &format!(
                    "do $$ begin create role {role} login; exception when duplicate_object then null; end $$;
                     alter role {role} password '{password}'"
                ),
            )?;
        }
        if sql(
            "postgres",
            "select 1 from pg_database where datname = 'payments'",
        )?
        .is_empty()
        {
            sql("postgres", "create database payments owner paymesh_migrate")?;
        }
        sql(
            "payments",
            "revoke create on schema public from public;
             grant create, usage on schema public to paymesh_migrate;
             grant usage on schema public to paymesh_controller",
        )?;
        self.migrate("").map(drop)
    }

    /// Brings the schema up to date, over a connection with these options; gives what was said.
    pub fn migrate(&self, options: &str) -> io::Result<String> {
        let output = self.migration(options).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(io::Error::other(format!("db-migrate: {said}")))
    }

    /// Begins to bring the schema up to date.
    pub fn begin_migration(&self) -> io::Result<Process> {
        let log = self.folder.join("db-migrate.log");
        Process::start("db-migrate", &mut self.migration(""), &log)
    }

    fn migration(&self, options: &str) -> Command {
        let mut command = Command::new(self.programs.join("paymesh-db-migrate"));
        command
            .env_clear()
            .env("PAYMESH_DATABASE_URL", self.migrate_url() + options);
        command
    }

    /// The passwords of those who may reach the database, to be found nowhere else.
    pub fn database_passwords(&self) -> [&str; 2] {
        let secrets = &self.card.secrets;
        [&secrets.migrate_password, &secrets.controller_password]
    }

    pub(super) fn add_standbys(&mut self) -> Result<(), PostgresError> {
        for name in &SERVERS[1..] {
            let port = reserve_port().map_err(|reason| self.postgres.failed("port", reason))?;
            let standby = self.postgres.standby(&self.folder.join(name), name, port)?;
            self.standbys.push(standby);
        }
        if !self.wishes.standby_list_is_empty {
            for server in std::iter::once(&self.postgres).chain(&self.standbys) {
                server.acknowledge_with(&SERVERS)?;
            }
        }
        Ok(())
    }

    /// Cuts the standbys off: what is committed now is on one server only, if it is committed.
    pub fn cut_standbys_off(&self) -> io::Result<()> {
        for standby in &self.standbys {
            standby.follow(None).map_err(io::Error::other)?;
            standby.wait_until_cut_off().map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Loses the host of the primary with all it held; the standby that has more takes over, the
    /// other one follows it. Gives when the old one was gone: whoever is answered later is answered
    /// by the new one.
    pub fn lose_primary(&mut self) -> io::Result<Instant> {
        self.fail_over().map_err(io::Error::other)
    }

    fn fail_over(&mut self) -> Result<Instant, PostgresError> {
        // Fenced first: it is gone for good. Then both standbys have to answer.
        self.postgres.lose()?;
        let gone = Instant::now();
        let received = [self.standbys[0].received()?, self.standbys[1].received()?];
        let (chosen, other) = if received[0] >= received[1] {
            (0, 1)
        } else {
            (1, 0)
        };
        self.standbys[chosen].promote()?;
        self.standbys[other].follow(Some(&self.standbys[chosen]))?;
        self.standbys[chosen].wait_for_follower(&self.standbys[other].name)?;
        let primary = self.standbys.remove(chosen);
        let lost = std::mem::replace(&mut self.postgres, primary);
        self.lost = Some(Lost {
            folder: lost.folder().to_owned(),
            name: lost.name.clone(),
            port: lost.port(),
        });
        Ok(gone)
    }

    /// Puts a new standby in the place of the server that was lost.
    pub fn replace_lost(&mut self) -> io::Result<()> {
        if let Some(lost) = self.lost.take() {
            let standby = self.postgres.standby(&lost.folder, &lost.name, lost.port);
            self.standbys.push(standby.map_err(io::Error::other)?);
        }
        Ok(())
    }

    /// The database as db-controller knows it, without wires.
    pub fn controller_url(&self) -> String {
        let password = &self.card.secrets.controller_password;
        self.postgres
            .url("paymesh_controller", password, "payments")
    }

    /// The database as db-controller reaches it: every server, over wires if there are any.
    pub(super) fn controller_servers(&self) -> String {
        let ports = self
            .servers
            .iter()
            .map(|(port, link)| link.as_ref().map_or(*port, Link::port));
        let tapped = self.taps.get(&Wire::ControllerToPostgres).map(Tap::port);
        let ports = tapped.map_or_else(|| ports.collect(), |port| vec![port]);
        on_servers(&self.controller_url(), ports) + &self.database_options
    }

    /// What decides whether a commit survives, as db-controller's own connections have it.
    pub fn durability(&self) -> io::Result<String> {
        self.postgres
            .durability_for(&self.controller_url())
            .map_err(io::Error::other)
    }

    /// The database as db-migrate knows it.
    pub fn migrate_url(&self) -> String {
        let password = &self.card.secrets.migrate_password;
        self.postgres.url("paymesh_migrate", password, "payments")
    }
}

/// The same address on several servers, of which the one that takes writes is meant.
pub(super) fn on_servers(url: &str, ports: Vec<u16>) -> String {
    let (start, rest) = url.split_once('@').unwrap_or_default();
    let (_, database) = rest.split_once('/').unwrap_or_default();
    // A stack that is started again has such an address already.
    let database = database.split('?').next().unwrap_or_default();
    let servers: Vec<String> = ports
        .into_iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!(
        "{start}@{}/{database}?target_session_attrs=read-write",
        servers.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_several_servers_is_made_of_one_and_of_another_such() {
        let ports = || vec![1, 2];
        let expected = "postgres://bed:secret@127.0.0.1:1,127.0.0.1:2/payments?target_session_attrs=read-write";
        let made = on_servers("postgres://bed:secret@127.0.0.1:1/payments", ports());
        assert_eq!(made, expected);
        assert_eq!(on_servers(&made, ports()), expected);
    }
}
