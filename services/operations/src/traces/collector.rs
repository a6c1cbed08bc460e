//! Where spans go, if anywhere, and of how many traces.

use std::str::FromStr;

use reqwest::Url;

use crate::Settings;

const URL: &str = "PAYMESH_TRACES_URL";
/// The name that every program with `OpenTelemetry` knows.
const STANDARD: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// What the standard puts behind its address.
const PATH: &str = "v1/traces";
const RATIO: &str = "PAYMESH_TRACES_RATIO";

/// A collector of spans, which speaks OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Collector {
    pub(super) url: Url,
    /// The share of traces that are seen of those that a merchant's request begins here.
    pub(super) ratio: f64,
}

struct Address(Url);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Url = text.parse().map_err(|_| "it is no URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it does not begin with http:// or https://");
        }
        // An address is told when something is wrong with it.
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a password is no part of it: give OTEL_EXPORTER_OTLP_HEADERS");
        }
        if url.query().is_some() {
            return Err("a query is no part of it: give OTEL_EXPORTER_OTLP_HEADERS");
        }
        Ok(Self(url))
    }
}

struct Ratio(f64);

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio: Option<f64> = text.parse().ok();
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or("it is not a number from 0 to 1")
    }
}

impl Collector {
    /// The collector if there is one; none is a choice.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let Ratio(ratio) = settings.optional(
            RATIO,
            "the share of requests that are traced when their caller says nothing of it",
            Ratio(1.0),
        );
        let meaning = "the collector of spans, which speaks OTLP over HTTP, as a URL";
        if settings.has(URL) {
            let Address(url) = settings.required(URL, meaning)?;
            return Some(Self { url, ratio });
        }
        if settings.has(STANDARD) {
            let Address(mut url) = settings.required(STANDARD, meaning)?;
            let path = format!("{}/{PATH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
            return Some(Self { url, ratio });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &'static str)], expected: Result<Option<(&str, f64)>, &str>) {
        let pairs = pairs.to_vec();
        let mut settings = Settings::new(move |name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        });
        let collector = Collector::read(&mut settings);
        match settings.done(Some(collector)) {
            Ok(read) => {
                let read = read.map(|one| (one.url.to_string(), one.ratio));
                let read = read.as_ref().map(|(url, ratio)| (url.as_str(), *ratio));
                assert_eq!(Ok(read), expected);
            }
            Err(said) => {
                let expected = expected.unwrap_err();
                assert!(
                    said.0.len() == 1 && said.0[0].starts_with(expected),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn spans_go_where_either_name_says_and_nowhere_without() {
        check(&[], Ok(None));
        check(&[(RATIO, "0.5")], Ok(None));
        check(
            &[(URL, "http://127.0.0.1:4318/spans"), (RATIO, "0.25")],
            Ok(Some(("http://127.0.0.1:4318/spans", 0.25))),
        );
        check(
            &[(STANDARD, "https://collector:4318")],
            Ok(Some(("https://collector:4318/v1/traces", 1.0))),
        );
        check(
            &[(STANDARD, "http://collector/tenant/")],
            Ok(Some(("http://collector/tenant/v1/traces", 1.0))),
        );
        let own = (URL, "http://127.0.0.1:1/");
        check(
            &[own, (STANDARD, "nonsense")],
            Ok(Some(("http://127.0.0.1:1/", 1.0))),
        );
    }

    #[test]
    fn what_cannot_be_meant_is_a_mistake() {
        for url in [
            "collector",
            "grpc://collector:4317",
            "http://me:secret@collector/",
            "https://collector/v1/traces?api_key=secret",
        ] {
            check(&[(URL, url)], Err("PAYMESH_TRACES_URL cannot be read"));
        }
        for ratio in ["-1", "1.5", "all", "NaN"] {
            check(
                &[(RATIO, ratio)],
                Err("PAYMESH_TRACES_RATIO cannot be read"),
            );
        }
    }
}
