//! Where Kafka is, and how its brokers and we are known to each other.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf};

use paymesh_operations::Settings;
use paymesh_transport::{Renewed, Texts};

const SERVERS: &str = "PAYMESH_KAFKA_SERVERS";
const AUTHORITIES: &str = "PAYMESH_KAFKA_CA";
const CERTIFICATE: &str = "PAYMESH_KAFKA_CERTIFICATE";
const KEY: &str = "PAYMESH_KAFKA_KEY";

/// The brokers to begin with, and how they are spoken to.
#[derive(Clone)]
pub struct Kafka {
    pub(crate) servers: String,
    protection: Option<Renewed<Texts>>,
}

impl Kafka {
    /// Kafka if it is to be used; none is a choice, the embedded queue. From within a runtime: the
    /// files are looked at from now on.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let servers = settings.optional(
            SERVERS,
            "brokers of Kafka, if messages go over Kafka and not over gRPC",
            String::new(),
        );
        let names = [AUTHORITIES, CERTIFICATE, KEY];
        let is_protected = names.iter().any(|name| settings.has(name));
        if servers.is_empty() {
            if is_protected {
                settings.mistake(format!("{SERVERS} is missing: where the brokers are"));
            }
            return None;
        }
        if let Some(mistake) = mistake(&servers, is_protected) {
            settings.mistake(format!("{SERVERS}: {mistake}"));
        }
        let protection = if is_protected {
            Some(protection(settings)?)
        } else {
            None
        };
        Some(Self {
            servers,
            protection,
        })
    }

    /// The settings of a client, these among them, and what tells when it has to be made anew.
    pub(crate) fn settings(&self, pairs: &[(&str, &str)]) -> (HashMap<String, String>, Current) {
        let current = Current(self.protection.as_ref().map(Renewed::from_now));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let servers = [("bootstrap.servers", self.servers.as_str())];
        let all = servers.into_iter().chain(pairs.iter().copied());
        let mut all: HashMap<String, String> = all.map(owned).collect();
        if let Some(texts) = &self.protection {
            let texts = texts.now();
            let protection = [
                ("security.protocol", "SSL"),
                ("ssl.truststore.certificates", texts.authorities.as_str()),
                ("ssl.keystore.certificate.chain", texts.certificate.as_str()),
                ("ssl.keystore.key", texts.key.as_str()),
            ];
            all.extend(protection.map(owned));
        }
        (all, current)
    }
}

fn protection(settings: &mut Settings) -> Option<Renewed<Texts>> {
    let mut file = |name, meaning: &str| -> Option<PathBuf> { settings.required(name, meaning) };
    let authorities = file(
        AUTHORITIES,
        "the authorities whose brokers are believed, as a file in PEM",
    );
    let certificate = file(
        CERTIFICATE,
        "the certificate by which brokers know us, as a file in PEM",
    );
    let key = file(KEY, "its key, as a file in PEM");
    match Texts::files("kafka", certificate?, key?, authorities?) {
        Ok(files) => Some(files.follow()),
        Err(mistakes) => {
            for mistake in mistakes {
                settings.mistake(format!("{CERTIFICATE}, {KEY}, {AUTHORITIES}: {mistake}"));
            }
            None
        }
    }
}

/// Whether a client has the certificates that are in the files.
pub(crate) struct Current(Option<Renewed<Texts>>);

impl Current {
    /// Whether it has others.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(Renewed::is_other)
    }

    /// Returns once it has others.
    pub(crate) async fn over(&self) {
        match &self.0 {
            Some(texts) => texts.other().await,
            None => std::future::pending().await,
        }
    }
}

/// What is wrong with a list of brokers.
fn mistake(servers: &str, is_protected: bool) -> Option<&'static str> {
    let is_place = |server: &str| {
        let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    let is_here = |server: &str| {
        let address: Result<SocketAddr, _> = server.parse();
        address.is_ok_and(|address| address.ip().is_loopback())
    };
    if !servers.split(',').all(is_place) {
        return Some("it is not HOST:PORT,HOST:PORT,...");
    }
    if !is_protected && !servers.split(',').all(is_here) {
        return Some(
            "without TLS Kafka is spoken to at loopback addresses only; give PAYMESH_KAFKA_CA, \
             PAYMESH_KAFKA_CERTIFICATE and PAYMESH_KAFKA_KEY",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &'static str)], expected: Result<Option<&str>, &[&str]>) {
        let known: HashMap<_, _> = pairs.iter().copied().collect();
        let mut settings = Settings::new(move |name| known.get(name).map(|&text| text.to_owned()));
        let kafka = Kafka::read(&mut settings);
        match (settings.done(Some(kafka)), expected) {
            (Ok(kafka), Ok(servers)) => {
                assert_eq!(kafka.map(|kafka| kafka.servers).as_deref(), servers);
            }
            (Err(said), Err(starts)) => {
                let begins = |(said, start): (&String, &&str)| said.starts_with(start);
                let (said, count) = (said.0, starts.len());
                assert!(
                    said.len() == count && said.iter().zip(starts).all(begins),
                    "{said:?}"
                );
            }
            (Ok(_), Err(starts)) => panic!("{pairs:?}: not {starts:?}"),
            (Err(said), Ok(_)) => panic!("{pairs:?}: {said}"),
        }
    }

    #[test]
    fn brokers_are_on_this_machine_unless_they_are_under_tls() {
        check(&[], Ok(None));
        check(&[(SERVERS, "127.0.0.1:9092")], Ok(Some("127.0.0.1:9092")));
        check(
            &[(SERVERS, "127.0.0.1:1,[::1]:2")],
            Ok(Some("127.0.0.1:1,[::1]:2")),
        );
        let elsewhere: &[&str] = &["PAYMESH_KAFKA_SERVERS: without TLS"];
        check(&[(SERVERS, "127.0.0.1:1,10.0.0.1:2")], Err(elsewhere));
        check(&[(SERVERS, "kafka:1")], Err(elsewhere));
        check(
            &[(SERVERS, "kafka")],
            Err(&["PAYMESH_KAFKA_SERVERS: it is not HOST:PORT"]),
        );
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let files = [(AUTHORITIES, file), (CERTIFICATE, file), (KEY, file)];
        check(
            &[&files[..], &[(SERVERS, "kafka:1")]].concat(),
            Err(&[
                "PAYMESH_KAFKA_CERTIFICATE, PAYMESH_KAFKA_KEY, PAYMESH_KAFKA_CA: the file of the certificate",
                "PAYMESH_KAFKA_CERTIFICATE, PAYMESH_KAFKA_KEY, PAYMESH_KAFKA_CA: the file of the key",
                "PAYMESH_KAFKA_CERTIFICATE, PAYMESH_KAFKA_KEY, PAYMESH_KAFKA_CA: the file of the authorities",
            ]),
        );
        check(&files, Err(&["PAYMESH_KAFKA_SERVERS is missing"]));
        check(
            &[(SERVERS, "kafka:1"), (AUTHORITIES, "/no/such")],
            Err(&[
                "PAYMESH_KAFKA_CERTIFICATE is missing",
                "PAYMESH_KAFKA_KEY is missing",
            ]),
        );
    }
}
