//! The settings of merchant-page.

use std::{fs, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use paymesh_operations::{Settings, SettingsError, drain};
use paymesh_transport::Https;
use reqwest::Certificate;
use url::{Host, Url};

const AUTHORITIES: &str = "PAYMESH_PAGE_API_CA";

/// What merchant-page needs to run.
pub struct Page {
    /// How and where the page is served.
    pub https: Https,
    /// payment-api.
    pub api: Url,
    /// Whom to believe of payment-api; those of the machine, if there are none.
    pub authorities: Vec<Certificate>,
    /// Where health and metrics are served.
    pub health: SocketAddr,
    /// How long it takes callers in after it was asked to end.
    pub drain: Duration,
}

struct ApiUrl(Url);

impl FromStr for ApiUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| "it is no URL")?;
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => {
                return Err(
                    "API keys travel with each request, so beyond loopback it has to be https",
                );
            }
            _ => return Err("it is neither https nor http"),
        }
        let has_password = !url.username().is_empty() || url.password().is_some();
        if has_password || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than host, port and path");
        }
        Ok(Self(url))
    }
}

impl Page {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let https = Https::read(&mut settings, "PAYMESH_PAGE_LISTEN");
        let api: Option<ApiUrl> =
            settings.required("PAYMESH_PAGE_API_URL", "payment-api, as a URL");
        let authorities = authorities(&mut settings);
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let drain = drain(&mut settings);
        let page = (|| {
            Some(Self {
                https: https?,
                api: api?.0,
                authorities: authorities?,
                health: health?,
                drain,
            })
        })();
        settings.done(page)
    }
}

/// Whom to believe of payment-api. `None` after a mistake.
fn authorities(settings: &mut Settings) -> Option<Vec<Certificate>> {
    if !settings.has(AUTHORITIES) {
        return Some(Vec::new());
    }
    let path: PathBuf = settings.required(
        AUTHORITIES,
        "the authorities of payment-api's certificate, as a file in PEM",
    )?;
    let found = fs::read(&path).map_err(|reason| format!("the file cannot be read: {reason}"));
    let found = found.and_then(|text| {
        let found = Certificate::from_pem_bundle(&text).unwrap_or_default();
        // Without one it would be the machine's authorities that are believed.
        (!found.is_empty())
            .then_some(found)
            .ok_or_else(|| "it holds no certificate in PEM".to_owned())
    });
    // Not where it is: what is given in place of a path may be a key.
    found
        .map_err(|reason| settings.mistake(format!("{AUTHORITIES}: {reason}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const LISTEN: (&str, &str) = ("PAYMESH_PAGE_LISTEN", "127.0.0.1:1");
    const API: (&str, &str) = ("PAYMESH_PAGE_API_URL", "https://api.example/");
    const HEALTH: (&str, &str) = ("PAYMESH_HEALTH_LISTEN", "127.0.0.1:2");

    fn check(pairs: &[(&str, &str)], expected: &[&str]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let known: HashMap<String, String> = pairs.iter().map(owned).collect();
        let settings = Settings::new(move |name| known.get(name).cloned());
        let said = Page::read(settings).err().map(|said| said.0);
        let said = said.unwrap_or_default();
        assert_eq!(said.len(), expected.len(), "{pairs:?}: {said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{pairs:?}: {said}");
            assert!(!said.contains("hunter2"), "{pairs:?}: {said}");
        }
    }

    #[test]
    fn keys_go_over_tls_or_stay_on_this_machine() {
        check(&[LISTEN, API, HEALTH], &[]);
        let api = |url| [LISTEN, ("PAYMESH_PAGE_API_URL", url), HEALTH];
        check(&api("http://127.0.0.1:8080"), &[]);
        check(&api("http://[::1]:8080"), &[]);
        for url in [
            "http://10.0.0.1:8080",
            "http://api.example",
            "http://localhost",
        ] {
            check(&api(url), &["it has to be https"]);
        }
        check(&api("ftp://127.0.0.1"), &["neither https nor http"]);
        check(&api("api.example"), &["it is no URL"]);
        for url in ["https://me:hunter2@api.example", "https://api.example/?a=b"] {
            check(&api(url), &["more than host, port and path"]);
        }
        let wide = [("PAYMESH_PAGE_LISTEN", "0.0.0.0:1"), API, HEALTH];
        check(&wide, &["PAYMESH_PAGE_LISTEN is not loopback"]);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let missing = [
            "PAYMESH_PAGE_LISTEN is missing",
            "PAYMESH_PAGE_API_URL is missing",
            "PAYMESH_HEALTH_LISTEN is missing",
        ];
        check(&[], &missing);
    }

    #[test]
    fn authorities_are_in_a_file_and_what_is_given_for_its_path_is_not_told() {
        let text = "PAYMESH_PAGE_API_CA: the file cannot be read: ";
        for given in [
            "/nowhere/hunter2",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n",
        ] {
            check(&[LISTEN, API, HEALTH, (AUTHORITIES, given)], &[text]);
        }
        // A file that is there and holds something else.
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let text = "it holds no certificate in PEM";
        check(&[LISTEN, API, HEALTH, (AUTHORITIES, other)], &[text]);
    }
}
