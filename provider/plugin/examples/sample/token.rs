//! An ephemeral resource that must be renewed.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use paymesh_plugin::{
    call::Call,
    ephemeral::{EphemeralResource, Lease, Opened},
    findings::Findings,
    spec::{Sensitive, Spec, Status},
};

use crate::{Session, journal};

/// A token that lasts for a moment.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sample_token", status = TokenStatus)]
pub(crate) struct TokenSpec {
    /// Who gets it.
    pub(crate) subject: String,
    /// How many seconds it lasts; it is renewed in time.
    #[attr(default = 3600, check = range(1..=86400))]
    pub(crate) seconds: u32,
}

/// The token.
#[derive(Clone, Debug, PartialEq, Status)]
pub(crate) struct TokenStatus {
    /// The token itself.
    pub(crate) value: Sensitive<String>,
}

pub(crate) struct Token;

#[async_trait]
impl EphemeralResource for Token {
    type Spec = TokenSpec;
    type Session = Session;

    async fn open(
        &self,
        _: Call<Session>,
        spec: TokenSpec,
        _: &mut Findings,
    ) -> Option<Opened<TokenStatus>> {
        let lease = lease(&spec.seconds.to_string());
        journal::record("open", &spec.subject, false, &[], &lease.private);
        Some(Opened {
            status: TokenStatus {
                value: Sensitive(format!("token-of-{}", spec.subject)),
            },
            lease,
        })
    }

    async fn renew(&self, _: Call<Session>, private: Vec<u8>, _: &mut Findings) -> Lease {
        let lease = lease(&String::from_utf8_lossy(&private));
        journal::record("renew", "", false, &private, &lease.private);
        lease
    }

    async fn close(&self, _: Call<Session>, private: Vec<u8>, _: &mut Findings) {
        journal::record("close", "", false, &private, &[]);
    }
}

fn lease(seconds: &str) -> Lease {
    let lasts = Duration::from_secs(seconds.parse().unwrap_or(1));
    Lease {
        renew_at: SystemTime::now().checked_add(lasts),
        private: seconds.as_bytes().to_vec(),
    }
}
