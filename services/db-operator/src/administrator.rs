//! The administrator's Secret: where a server is, how it is known, and who makes databases on it.
//!
//! Who writes `Database` objects says only which Secret; all of this is of whoever writes Secrets. A
//! Secret that is no server's says so by its lack of a label, and is not read further.

use std::{net::IpAddr, time::Duration};

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::Api;
use paymesh_operations::Secret;

use crate::{
    credentials::value,
    failure::Failure,
    problem::{Kind, Problem},
    server::Server,
    tls::Tls,
};

/// The label of a Secret that is a server's.
const LABEL: (&str, &str) = ("paymesh.dev/database-server", "true");

/// The server of a Secret, or what is wrong with it.
pub(crate) async fn find(
    secrets: &Api<KubeSecret>,
    named: &str,
    statement_max: Duration,
) -> Result<Result<Server, Problem>, Failure> {
    let found = secrets.get_opt(named).await;
    let found = found.map_err(Failure::kubernetes("the administrator's Secret"))?;
    let Some(secret) = found else {
        let what = format!("the Secret {named} with the server and its administrator is missing");
        return Ok(Err(Problem::new(Kind::Connection, "SecretMissing", what)));
    };
    Ok(read(&secret, statement_max).map_err(|(reason, what)| {
        let what = format!("the Secret {named} {what}");
        Problem::new(Kind::Connection, reason, what)
    }))
}

/// What a Secret says; else a word and what is wrong with it, without a value of it.
pub fn read(
    secret: &KubeSecret,
    statement_max: Duration,
) -> Result<Server, (&'static str, String)> {
    let labels = secret.metadata.labels.as_ref();
    let label = labels.and_then(|labels| labels.get(LABEL.0));
    if label.map(String::as_str) != Some(LABEL.1) {
        let (key, value) = LABEL;
        let what = format!("is not a server's: it lacks the label {key}={value}");
        return Err(("NotAServer", what));
    }
    let given = |key: &str| value(secret, key).filter(|it| !it.is_empty());
    let mut wrong = Vec::new();
    let mut required = |key: &str| {
        let found = given(key);
        if found.is_none() {
            wrong.push(format!("lacks {key}"));
        }
        found.unwrap_or_default()
    };
    let (username, password) = (required("username"), required("password"));
    let host = required("host");
    let mode = given("sslmode").unwrap_or_else(|| "verify-full".to_owned());
    let authority = (mode == "verify-full").then(|| required("ca.crt"));
    let tls = authority.as_ref().map(|it| Tls::of(it.as_bytes()));
    let port: Result<u16, _> = given("port").map_or(Ok(5432), |text| text.parse());
    if !host.is_empty() && !is_host(&host) {
        wrong.push("says no name and no address in host".to_owned());
    }
    match mode.as_str() {
        "verify-full" if matches!(tls, Some(None)) && authority.as_deref() != Some("") => {
            wrong.push("holds no certificate in PEM in ca.crt".to_owned());
        }
        "verify-full" => {}
        "disable" if host.is_empty() || is_here(&host) => {}
        "disable" => wrong.push("says sslmode=disable of a host that is not this one".to_owned()),
        _ => wrong.push("says another sslmode than verify-full and disable".to_owned()),
    }
    if port.is_err() || port == Ok(0) {
        wrong.push("says no number of a port in port".to_owned());
    }
    if !wrong.is_empty() {
        return Err(("SecretIncomplete", wrong.join(", and ")));
    }
    Ok(Server {
        host,
        port: port.unwrap_or_default(),
        tls: tls.flatten(),
        authority,
        username,
        password: Secret::from(password),
        database: given("database").unwrap_or_else(|| "postgres".to_owned()),
        statement_max,
    })
}

/// Whether it is a name or an address as it can stand in a URI.
fn is_host(host: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    host.len() <= 253 && host.chars().all(letters) && !host.starts_with(['.', '-'])
}

/// Whether it is this machine.
fn is_here(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    use super::*;

    /// What is wrong with a Secret of these values beside a user, a password and the label.
    fn wrong(values: &[(&str, &str)]) -> Option<String> {
        let whole = [("username", "installer"), ("password", "p")];
        let data = whole.iter().chain(values);
        let data = data.map(|(key, it)| ((*key).to_owned(), ByteString(it.as_bytes().to_vec())));
        let secret = KubeSecret {
            metadata: ObjectMeta {
                labels: Some(
                    [LABEL]
                        .map(|(key, it)| (key.to_owned(), it.to_owned()))
                        .into(),
                ),
                ..ObjectMeta::default()
            },
            data: Some(data.collect()),
            ..KubeSecret::default()
        };
        read(&secret, Duration::ZERO).err().map(|(_, what)| what)
    }

    #[test]
    fn only_a_server_on_this_machine_is_used_without_tls() {
        for host in ["127.0.0.1", "127.9.9.9", "localhost"] {
            assert_eq!(wrong(&[("host", host), ("sslmode", "disable")]), None);
        }
        for host in ["10.0.0.1", "localhost.example", "db"] {
            let said = wrong(&[("host", host), ("sslmode", "disable")]).unwrap();
            assert!(said.contains("sslmode=disable"), "{host}: {said}");
        }
        for mode in ["require", "prefer", "Disable"] {
            let said = wrong(&[("host", "127.0.0.1"), ("sslmode", mode)]).unwrap();
            assert!(said.contains("another sslmode"), "{mode}: {said}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        assert_eq!(wrong(&[]).unwrap(), "lacks host, and lacks ca.crt");
        let values = [
            ("host", "/run/postgresql"),
            ("ca.crt", "x"),
            ("port", "70000"),
        ];
        assert_eq!(
            wrong(&values).unwrap(),
            "says no name and no address in host, and holds no certificate in PEM in ca.crt, and says no number of a port in port"
        );
    }

    #[test]
    fn a_secret_without_the_label_is_not_read() {
        let (reason, said) = read(&KubeSecret::default(), Duration::ZERO).err().unwrap();
        assert_eq!(reason, "NotAServer");
        assert!(said.contains("paymesh.dev/database-server=true"), "{said}");
    }
}
