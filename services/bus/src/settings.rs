//! Where Kafka is.

use std::{net::SocketAddr, str::FromStr};

use paymesh_operations::Settings;

/// The brokers to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    pub(crate) servers: String,
}

/// None is a choice: the embedded queue.
struct Choice(Option<Kafka>);

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for server in text.split(',') {
            match server.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => {}
                Ok(_) => return Err("Kafka is spoken to without TLS, so on loopback only"),
                Err(_) => return Err("it is not IP:PORT,IP:PORT,..."),
            }
        }
        Ok(Self(Some(Kafka {
            servers: text.to_owned(),
        })))
    }
}

impl Kafka {
    /// Kafka if it is to be used, from `PAYMESH_KAFKA_SERVERS`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        settings
            .optional(
                "PAYMESH_KAFKA_SERVERS",
                "brokers of Kafka, if messages go over Kafka and not over gRPC",
                Choice(None),
            )
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_servers(text: &'static str, expected: Result<Option<&str>, ()>) {
        let mut settings = Settings::new(move |_| Some(text.to_owned()));
        let kafka = Kafka::read(&mut settings);
        let done = settings.done(Some(kafka)).map_err(|_| ());
        let expected = expected.map(|servers| {
            servers.map(|servers| Kafka {
                servers: servers.to_owned(),
            })
        });
        assert_eq!(done, expected, "{text}");
    }

    #[test]
    fn brokers_are_on_this_machine_since_nothing_is_encrypted() {
        check_servers("", Ok(None));
        check_servers("127.0.0.1:9092", Ok(Some("127.0.0.1:9092")));
        check_servers("127.0.0.1:1,[::1]:2", Ok(Some("127.0.0.1:1,[::1]:2")));
        check_servers("127.0.0.1:1,10.0.0.1:2", Err(()));
        check_servers("kafka", Err(()));
    }
}
