//! The settings of the probe.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use paymesh_contracts::{Currency, Money};
use paymesh_operations::{Secret, Settings, SettingsError};
use paymesh_transport::{Roots, Trust};
use rustls::ClientConfig;
use url::{Host, Url};

const URL: &str = "PAYMESH_PROBE_API_URL";
const KEY: &str = "PAYMESH_PROBE_API_KEY";
const CA: &str = "PAYMESH_PROBE_CA";
const EVERY: &str = "PAYMESH_PROBE_EVERY_MS";
const STEP_MAX: &str = "PAYMESH_PROBE_MS_MAX";
/// The same word as payment-api's own: TLS ends before it.
const PLAINTEXT: &str = "PAYMESH_HTTP_PLAINTEXT";

/// Beyond a day nothing is watched any more.
const LONGEST: Duration = Duration::from_hours(24);

/// What the probe needs to run.
pub struct Probe {
    /// payment-api, as merchants reach it; its path ends in a slash.
    pub api: Url,
    /// How its certificate is looked at, if it has one.
    pub tls: Option<ClientConfig>,
    /// The key of a merchant that nobody else is.
    pub api_key: Secret,
    /// The token that is charged.
    pub payment_method: String,
    /// How much is charged: one unit of a currency.
    pub amount: Money,
    /// How long it is from one run to the next.
    pub every: Duration,
    /// How long one step may take.
    pub step_max: Duration,
    /// Where health and metrics are served.
    pub health: SocketAddr,
}

struct Address(Url);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url: Url = text.parse().map_err(|_| "it is no URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it does not begin with http:// or https://");
        }
        let has_password = !url.username().is_empty() || url.password().is_some();
        if has_password || url.query().is_some() || url.fragment().is_some() {
            return Err("a password, a query or a fragment is no part of it");
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// One unit of a currency, in its minor units.
fn unit(currency: Currency) -> Money {
    let exponent = u32::try_from(currency.exponent()).expect("at most 3");
    Money::new(10_i64.pow(exponent), currency)
}

fn duration(settings: &mut Settings, name: &str, meaning: &str, default_ms: u64) -> Duration {
    let read = settings.milliseconds(name, meaning, default_ms);
    if read.is_zero() || read > LONGEST {
        settings.mistake(format!("{name} is between 1 and {}", LONGEST.as_millis()));
    }
    read
}

/// How the certificate of `api` is looked at. None too after a mistake, which is noted.
fn tls(settings: &mut Settings, api: &Url) -> Option<ClientConfig> {
    let roots = if settings.has(CA) {
        let meaning = "the authorities of the API's certificate, as a file in PEM; without it those of \
                       the machine";
        Roots::File(settings.required(CA, meaning)?)
    } else {
        Roots::System
    };
    if api.scheme() != "https" {
        return None;
    }
    let client = Trust::Host(roots).client("http/1.1");
    client
        .map_err(|reason| settings.mistake(format!("{CA}: {reason}")))
        .ok()
}

impl Probe {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let api: Option<Address> =
            settings.required(URL, "payment-api as merchants reach it, as a URL");
        let api = api.map(|Address(url)| url);
        let is_plain = settings.optional(
            PLAINTEXT,
            "`true` lets the API key travel without TLS, because something else encrypts the way",
            false,
        );
        if let Some(api) = &api
            && api.scheme() == "http"
            && !is_plain
            && !is_loopback(api)
        {
            settings.mistake(format!(
                "{URL} is neither https nor loopback: the API key travels with each request, so give \
                 https, or {PLAINTEXT}=true if something else encrypts the way"
            ));
        }
        let tls = api.as_ref().and_then(|api| tls(&mut settings, api));
        let api_key: Option<Secret> =
            settings.required(KEY, "the API key of a merchant that nobody else is");
        let is_header = |key: &Secret| key.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !api_key.as_ref().is_none_or(is_header) {
            settings.mistake(format!(
                "{KEY} holds what no key does: a space, a line end or worse"
            ));
        }
        let payment_method = settings.required(
            "PAYMESH_PROBE_PAYMENT_METHOD",
            "the token that is charged and refunded",
        );
        let currency = settings.optional(
            "PAYMESH_PROBE_CURRENCY",
            "the currency of which one unit is charged",
            Currency::Usd,
        );
        let every = duration(
            &mut settings,
            EVERY,
            "how long it is from one run to the next, in milliseconds",
            60_000,
        );
        let step_max = duration(
            &mut settings,
            STEP_MAX,
            "how long one step of a run may take, in milliseconds",
            10_000,
        );
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let probe = (|| {
            Some(Self {
                api: api?,
                tls,
                api_key: api_key?,
                payment_method: payment_method?,
                amount: unit(currency),
                every,
                step_max,
                health: health?,
            })
        })();
        settings.done(probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: [(&str, &str); 4] = [
        (URL, "http://127.0.0.1:1"),
        (KEY, "sk_0"),
        ("PAYMESH_PROBE_PAYMENT_METHOD", "tok_approve"),
        ("PAYMESH_HEALTH_LISTEN", "127.0.0.1:2"),
    ];

    /// The usual settings and these, which count where both say something.
    fn read(others: &[(&'static str, &'static str)]) -> Result<Probe, SettingsError> {
        let pairs = [others, &USUAL[..]].concat();
        Probe::read(Settings::new(move |name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        }))
    }

    fn check_mistake(others: &[(&'static str, &'static str)], start: &str) {
        let SettingsError(mistakes) = read(others).err().expect("a mistake");
        assert!(
            mistakes.len() == 1 && mistakes[0].starts_with(start),
            "{mistakes:?}"
        );
    }

    #[test]
    fn one_unit_is_charged_whatever_its_minor_units_are() {
        for (code, amount_minor) in [("USD", 100), ("JPY", 1), ("KWD", 1_000)] {
            let probe = read(&[("PAYMESH_PROBE_CURRENCY", code)]).unwrap();
            assert_eq!(
                probe.amount,
                Money::new(amount_minor, code.parse().unwrap())
            );
        }
        assert_eq!(read(&[]).unwrap().amount.to_string(), "USD 1.00");
        check_mistake(
            &[("PAYMESH_PROBE_CURRENCY", "usd")],
            "PAYMESH_PROBE_CURRENCY cannot be read",
        );
    }

    #[test]
    fn the_key_travels_under_tls_on_loopback_or_where_somebody_said_so() {
        assert!(read(&[(URL, "http://[::1]:1/shop")]).is_ok());
        let outside = (URL, "http://pay.example/");
        check_mistake(&[outside], "PAYMESH_PROBE_API_URL is neither https nor");
        assert!(read(&[outside, (PLAINTEXT, "true")]).is_ok());
        check_mistake(
            &[(URL, "https://pay.example/"), (CA, "/nowhere/ca.pem")],
            "PAYMESH_PROBE_CA: the file of the authorities cannot be read",
        );
    }

    #[test]
    fn an_address_is_a_place_and_nothing_more() {
        let shown = |url| read(&[(URL, url)]).map(|probe| probe.api.to_string());
        assert_eq!(
            shown("http://127.0.0.1:1/pay").as_deref(),
            Ok("http://127.0.0.1:1/pay/")
        );
        for url in [
            "pay.example",
            "ftp://127.0.0.1/",
            "http://me:secret@127.0.0.1/",
            "http://127.0.0.1/?key=1",
        ] {
            check_mistake(&[(URL, url)], "PAYMESH_PROBE_API_URL cannot be read");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_at_once() {
        check_mistake(&[(EVERY, "0")], "PAYMESH_PROBE_EVERY_MS is between 1 and");
        check_mistake(
            &[(STEP_MAX, "86400001")],
            "PAYMESH_PROBE_MS_MAX is between 1 and",
        );
        check_mistake(&[(KEY, "sk_0\n")], "PAYMESH_PROBE_API_KEY holds");
        let SettingsError(mistakes) = Probe::read(Settings::new(|_| None)).err().unwrap();
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    }
}
