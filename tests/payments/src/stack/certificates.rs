//! Who the services of a stack are to each other.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::PathBuf};

use paymesh_beds::{Authority, Subject, write_private};

use super::{Member, Stack, Wire, Wires};

/// The services that speak gRPC.
const SPEAKERS: [Member; 3] = [Member::Api, Member::Processor, Member::Controller];

/// How a service of a stack is called.
pub fn identity(service: &str) -> String {
    format!("spiffe://paymesh.test/{service}")
}

fn name(member: Member) -> &'static str {
    member.program().trim_start_matches("paymesh-")
}

impl Stack {
    /// Gives each service a new certificate of the first of these authorities, and has all of them
    /// believed, in the place of what was before.
    pub fn certify(&self, authorities: &[&Authority]) -> io::Result<()> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(self.tls())?;
        let bundle: String = authorities.iter().map(|one| one.pem()).collect();
        write_private(&self.tls().join("ca.pem"), &bundle)?;
        for member in SPEAKERS {
            let uri = identity(name(member));
            let subject = Subject {
                uris: &[&uri],
                ..Subject::default()
            };
            let issued = authorities[0].issue(subject)?;
            write_private(&self.file(member, "pem"), &issued.certificate)?;
            write_private(&self.file(member, "key"), &issued.key)?;
        }
        Ok(())
    }

    /// The folder of certificates and keys.
    pub fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    fn file(&self, member: Member, kind: &str) -> PathBuf {
        self.tls().join(format!("{}.{kind}", name(member)))
    }

    /// Steps of a conversation are counted in what can be read.
    fn has_tls(&self) -> bool {
        !matches!(self.wishes.wires, Wires::Plain | Wires::Counted)
    }

    /// The settings that say who a service is.
    pub(super) fn certificates(&self, member: Member) -> Vec<(&'static str, PathBuf)> {
        if !SPEAKERS.contains(&member) {
            return Vec::new();
        }
        let has_tls = self.has_tls();
        let mut settings = if has_tls {
            vec![
                ("PAYMESH_TLS_CERTIFICATE", self.file(member, "pem")),
                ("PAYMESH_TLS_KEY", self.file(member, "key")),
                ("PAYMESH_TLS_CA", self.tls().join("ca.pem")),
            ]
        } else {
            vec![("PAYMESH_GRPC_PLAINTEXT", "true".into())]
        };
        match self.kafka.as_ref().filter(|_| member != Member::Api) {
            Some(kafka) if has_tls => settings.extend([
                ("PAYMESH_KAFKA_SERVERS", kafka.encrypted_servers().into()),
                ("PAYMESH_KAFKA_CERTIFICATE", self.file(member, "pem")),
                ("PAYMESH_KAFKA_KEY", self.file(member, "key")),
                ("PAYMESH_KAFKA_CA", self.tls().join("ca.pem")),
            ]),
            Some(kafka) => settings.push(("PAYMESH_KAFKA_SERVERS", kafka.plain_servers().into())),
            None => {}
        }
        settings
    }

    /// db-controller at the end of a wire.
    pub(super) fn controller(&self, wire: Wire) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.over(wire))
    }

    /// Parts of every key that a service was given, to be found nowhere else.
    pub fn keys(&self) -> io::Result<Vec<String>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(self.tls())? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "key") {
                let text = fs::read_to_string(path)?;
                let lines = text.lines().filter(|line| !line.starts_with("-----"));
                parts.extend(lines.map(|line| line.chars().take(24).collect()));
            }
        }
        Ok(parts)
    }
}
