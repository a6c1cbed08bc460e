//! go-plugin's handshake: what Terraform says in the environment, and the one line that answers.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use super::listener::Listener;

/// Terraform sets this variable to this value, to tell itself from a human.
pub(super) const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// The one major version of the protocol that is served.
const PROTOCOL: &str = "6";

/// What the environment says.
#[derive(Debug)]
pub(super) struct Handshake {
    /// Terraform's certificate; without one the connection is not encrypted.
    pub(super) client_certificate: Option<String>,
    /// Where Terraform wants the socket.
    pub(super) socket_dir: Option<PathBuf>,
    multiplex: bool,
}

/// Why there is no handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A human started the process.
    NoTerraform,
    /// The other side does not speak protocol 6.
    Protocol(String),
}

impl Handshake {
    pub(super) fn from_environment() -> Result<Self, Refusal> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// What these variables say.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set(COOKIE.0).as_deref() != Some(COOKIE.1) {
            return Err(Refusal::NoTerraform);
        }
        if let Some(versions) = set("PLUGIN_PROTOCOL_VERSIONS")
            && !versions
                .split(',')
                .any(|version| version.trim() == PROTOCOL)
        {
            return Err(Refusal::Protocol(versions));
        }
        Ok(Self {
            client_certificate: set("PLUGIN_CLIENT_CERT"),
            socket_dir: set("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
            multiplex: set("PLUGIN_MULTIPLEX_GRPC").is_some(),
        })
    }

    /// Prints the answer, the only line that ever goes to standard output.
    pub(super) fn answer(&self, listener: &Listener, certificate: Option<&[u8]>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{}",
            self.line(listener.network(), &listener.address(), certificate)
        )?;
        out.flush()
    }

    fn line(&self, network: &str, address: &str, certificate: Option<&[u8]>) -> String {
        let certificate = certificate
            .map(|der| STANDARD_NO_PAD.encode(der))
            .unwrap_or_default();
        // A seventh field only for those who ask: older clients refuse it.
        let multiplex = if self.multiplex { "|false" } else { "" };
        format!("1|{PROTOCOL}|{network}|{address}|grpc|{certificate}{multiplex}")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerraform => f.write_str(
                "This is a Terraform provider: Terraform starts it, it does nothing by itself.\n\
                 Put it where Terraform finds it and run `terraform init`. To debug it, start it \
                 with -debug\nand export the TF_REATTACH_PROVIDERS line that it prints.",
            ),
            Self::Protocol(versions) => write!(
                f,
                "This provider speaks Terraform's plugin protocol 6, but the caller offers {versions}. \
                 Use Terraform 1.11 or later, or OpenTofu 1.11 or later."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Handshake, Refusal> {
        Handshake::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_human_is_told_what_this_is() {
        assert_eq!(read(&[]).unwrap_err(), Refusal::NoTerraform);
        assert_eq!(
            read(&[(COOKIE.0, "biscuit")]).unwrap_err(),
            Refusal::NoTerraform
        );
    }

    #[test]
    fn protocols_are_offered_in_any_order() {
        for versions in ["5,6", "6,5", "6"] {
            assert!(read(&[COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", versions)]).is_ok());
        }
        let refusal = read(&[COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", "5,16")]).unwrap_err();
        assert!(refusal.to_string().contains("5,16"), "{refusal}");
    }

    #[test]
    fn the_answer_has_a_seventh_field_only_on_demand() {
        let plain = read(&[COOKIE]).unwrap();
        assert_eq!(plain.line("unix", "/run/p", None), "1|6|unix|/run/p|grpc|");
        let multiplex = read(&[COOKIE, ("PLUGIN_MULTIPLEX_GRPC", "true")]).unwrap();
        assert_eq!(
            multiplex.line("unix", "/run/p", Some(b"ab")),
            "1|6|unix|/run/p|grpc|YWI|false"
        );
    }
}
