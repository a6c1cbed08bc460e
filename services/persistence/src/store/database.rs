//! Where the database is and how the way to it is protected, as one connection string says it.
//!
//! `sslmode` and `sslrootcert` mean what they mean to libpq, with one difference: without `sslmode`
//! a server on another machine, or one whose authorities are named, has to show that it is the one
//! (`verify-full`), and any other on this machine is spoken to plainly.

use std::{net::IpAddr, str::FromStr};

use paymesh_transport::{Roots, Trust};
use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Client, Config, Connection, Socket,
    config::{Host, SslMode},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How PostgreSQL's own protocol is called under TLS.
const PROTOCOL: &str = "postgresql";

/// What a client speaks over; it does so while this is polled.
pub(super) type Wire = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A database, and how to reach it.
#[derive(Clone)]
pub struct Database {
    config: Config,
    trust: Trust,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("the certificate authorities cannot be had: {0}")]
    Roots(String),
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
}

impl Database {
    /// Opens a connection, with whatever else `set` wants of it.
    pub(super) async fn connect(
        &self,
        set: fn(&mut Config),
    ) -> Result<(Client, Wire), NoConnection> {
        let mut config = self.config.clone();
        set(&mut config);
        let client = self.trust.client(PROTOCOL).map_err(NoConnection::Roots)?;
        Ok(config.connect(MakeRustlsConnect::new(client)).await?)
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            return Err("it does not begin with postgres://".to_owned());
        }
        let (address, parameters) = text.split_once('?').unwrap_or((text, ""));
        // What stands before an @ is a password, or part of one; a parameter that is unknown is told.
        if parameters.contains('@') {
            return Err(
                "an @ stands behind its ?: in a password they are written %40 and %3F".to_owned(),
            );
        }
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for parameter in parameters
            .split('&')
            .filter(|parameter| !parameter.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let place = match name {
                "sslmode" => &mut mode,
                "sslrootcert" => &mut roots,
                _ => {
                    others.push(parameter);
                    continue;
                }
            };
            let value = percent_decode_str(value).decode_utf8();
            *place = Some(
                value
                    .map_err(|_| format!("{name} is not UTF-8"))?
                    .into_owned(),
            );
        }
        let rest = format!("{address}?{}", others.join("&"));
        let mut config: Config = rest
            .parse()
            .map_err(|reason| super::chain(&reason as &tokio_postgres::Error).to_string())?;
        let roots = roots.filter(|roots| !roots.is_empty());
        let roots = roots.map(|roots| match roots.as_str() {
            "system" => Roots::System,
            path => Roots::File(path.into()),
        });
        let mode = mode.unwrap_or_else(|| {
            // Who names authorities wants them asked.
            let is_asked = roots.is_some() || !is_here(&config);
            if is_asked { "verify-full" } else { "disable" }.to_owned()
        });
        if roots == Some(Roots::System) && mode != "verify-full" {
            return Err("sslrootcert=system goes with sslmode=verify-full only".to_owned());
        }
        let (mode, trust) = match mode.as_str() {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" => match roots {
                Some(roots) => (SslMode::Require, Trust::Authority(roots)),
                None => (SslMode::Require, Trust::Anyone),
            },
            "verify-ca" => {
                let roots = roots.ok_or("sslmode=verify-ca needs sslrootcert")?;
                (SslMode::Require, Trust::Authority(roots))
            }
            "verify-full" => {
                let roots = roots.unwrap_or(Roots::System);
                (SslMode::Require, Trust::Host(roots))
            }
            _ => {
                return Err(
                    "sslmode is not one of disable, prefer, require, verify-ca, verify-full"
                        .to_owned(),
                );
            }
        };
        config.ssl_mode(mode);
        // Files that cannot be read are found at the start.
        let client = trust.client(PROTOCOL);
        client.map_err(|reason| format!("sslrootcert: {reason}"))?;
        Ok(Self { config, trust })
    }
}

/// Whether every server of the string is on this machine.
fn is_here(config: &Config) -> bool {
    let is_here = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address: Result<IpAddr, _> = name.parse();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    };
    config.get_hosts().iter().all(is_here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parameters: &str, expected: Result<(SslMode, Trust), &str>) {
        check_at("db.example:5432", parameters, expected);
    }

    fn check_at(host: &str, parameters: &str, expected: Result<(SslMode, Trust), &str>) {
        let url = format!("postgres://role:hunter2@{host}/payments{parameters}");
        let read: Result<Database, String> = url.parse();
        let read = read.map(|database| (database.config.get_ssl_mode(), database.trust));
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{host} {parameters}"),
            (Err(said), Err(expected)) => {
                assert!(said.contains(expected), "{said}");
                assert!(!said.contains("hunter2"), "{said}");
            }
            (read, expected) => panic!("{host} {parameters}: {read:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_server_elsewhere_shows_that_it_is_the_one_unless_the_string_says_less() {
        let full = || Ok((SslMode::Require, Trust::Host(Roots::System)));
        check("", full());
        check("?target_session_attrs=read-write", full());
        check("?sslmode=verify-full", full());
        check("?sslmode=verify-full&sslrootcert=system", full());
        check("?sslmode=disable", Ok((SslMode::Disable, Trust::Anyone)));
        check("?sslmode=prefer", Ok((SslMode::Prefer, Trust::Anyone)));
        check("?sslmode=require", Ok((SslMode::Require, Trust::Anyone)));
        check("?sslmode=allow", Err("sslmode is not one of"));
        check("?sslmode=verify-ca", Err("needs sslrootcert"));
        check(
            "?sslmode=require&sslrootcert=system",
            Err("goes with sslmode=verify-full only"),
        );
        check(
            "?sslrootcert=/no/hunter2",
            Err("sslrootcert: the file of the authorities cannot be read: "),
        );
        check("?sslmode=disable&sslcert=mine", Err("unknown option"));
        let unquoted = "?hunter2=a@db.example/payments";
        check(unquoted, Err("written %40 and %3F"));
        check_at("@db.example", unquoted, Err("written %40 and %3F"));
        check(
            "?sslmode=disable&application_name=a%40b",
            Ok((SslMode::Disable, Trust::Anyone)),
        );
        let here = || Ok((SslMode::Disable, Trust::Anyone));
        check_at("127.0.0.1:1", "", here());
        check_at("localhost,[::1]:2", "", here());
        check_at("127.0.0.1:1,db.example:2", "", full());
        check_at("localhost.example", "", full());
        check_at("127.0.0.1:1", "?sslrootcert=system", full());
        check_at("127.0.0.1:1", "?hostaddr=10.0.0.1", full());
        check_at("127.0.0.1:1", "?sslmode=verify-full", full());
    }

    #[test]
    fn authorities_of_a_file_are_those_that_are_asked() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        check(&format!("?sslrootcert={file}"), Err("holds none in PEM"));
        check(
            &format!("?sslmode=require&sslrootcert={file}"),
            Err("holds none in PEM"),
        );
    }
}
