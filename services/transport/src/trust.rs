//! Whom to believe of servers that are not ours, such as a database.

use std::{fs, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::{
    pem,
    verify::{Asked, Servers},
};

/// Authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the machine.
    System,
    /// Those of a file.
    File(PathBuf),
}

/// What is asked of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: who listens cannot read, and who stands in between can.
    Anyone,
    /// One of these authorities gave it, to whomever.
    Authority(Roots),
    /// One of these authorities gave it to the host that was called.
    Host(Roots),
}

impl Roots {
    fn read(&self) -> Result<RootCertStore, String> {
        match self {
            Self::File(path) => {
                // Not where it is: what is given in place of a path may be a key.
                let text = fs::read(path).map_err(|reason| {
                    format!("the file of the authorities cannot be read: {reason}")
                })?;
                pem::roots(&text)
            }
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err("this machine has no certificate authorities".to_owned());
                }
                Ok(roots)
            }
        }
    }
}

impl Trust {
    /// A client that asks this much, with the files as they are now.
    pub fn client(&self, protocol: &str) -> Result<ClientConfig, String> {
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(crypto.clone())
            .with_safe_default_protocol_versions()
            .map_err(|reason| reason.to_string())?;
        let asking = |asked| Arc::new(Servers { asked, crypto });
        let builder = match self {
            Self::Host(roots) => builder.with_root_certificates(roots.read()?),
            Self::Authority(roots) => builder
                .dangerous()
                .with_custom_certificate_verifier(asking(Asked::Authority(roots.read()?))),
            Self::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(asking(Asked::Nothing)),
        };
        let mut client = builder.with_no_client_auth();
        client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(client)
    }
}
