//! Connections: one crypto provider, an optional extra authority, plain http on loopback only.

use std::{net::IpAddr, time::Duration};

use url::Url;

use crate::{Error, ErrorKind};

/// Limits on one connection. They guard against dead peers, so they count the machine's time and
/// not the clock's: a simulated cloud answers no faster because its clock runs faster.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// Whether `url` is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(url::Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

/// Parses an endpoint and refuses plain http beyond this machine.
pub(crate) fn endpoint(base: &str) -> Result<Url, Error> {
    let url = Url::parse(base)
        .map_err(|fault| Error::new(ErrorKind::Setup, format!("endpoint {base:?}: {fault}")))?;
    let allowed = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if allowed {
        Ok(url)
    } else {
        Err(Error::new(
            ErrorKind::Setup,
            format!(
                "endpoint {base:?} would carry credentials without encryption; use an https URL \
                 (plain http is accepted on this machine only)"
            ),
        ))
    }
}

/// An HTTP client that trusts the machine's authorities and those in `extra_ca` (PEM), follows
/// no redirect, and uses no proxy when `local`.
pub fn transport(extra_ca: Option<&[u8]>, local: bool) -> Result<reqwest::Client, Error> {
    let setup = |what: &str, fault: reqwest::Error| {
        Error::new(ErrorKind::Setup, format!("{what}: {fault}"))
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("paymesh/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .timeout(ANSWER_LIMIT);
    if local {
        builder = builder.no_proxy();
    }
    if let Some(pem) = extra_ca {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|fault| setup("the extra certificate authority is not PEM", fault))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .build()
        .map_err(|fault| setup("no HTTP client could be made", fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_refused_beyond_this_machine() {
        for good in [
            "https://management.azure.com",
            "http://127.0.0.1:80",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "http://management.azure.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "nonsense",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
