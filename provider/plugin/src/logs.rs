//! Logs the way go-plugin reads them: one JSON object per line on standard error, with `@level`,
//! `@message`, `@module` and `@timestamp`; all other keys become fields.
//!
//! The level comes from `TF_LOG_PROVIDER_<NAME>`, else `TF_LOG_PROVIDER`, else `TF_LOG`. Without any
//! of them nothing is logged: Terraform would throw it away.

use std::{
    fmt::Debug,
    io::{self, Write},
    time::SystemTime,
};

use serde_json::{Map, Value as Json, json};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// The longest line that go-plugin reads as one; a longer message is cut.
const MESSAGE_BYTES_MAX: usize = 32 << 10;

/// Logs from now on, at the level that the environment says.
pub(crate) fn install(name: &str, debug: bool) {
    let wanted = level(name, |variable| std::env::var(variable).ok());
    let level = match wanted {
        LevelFilter::OFF if debug => LevelFilter::INFO,
        level => level,
    };
    let module = format!("provider.{name}");
    let subscriber = Registry::default().with(Lines { module }.with_filter(level).with_filter(
        tracing_subscriber::filter::filter_fn(|metadata| {
            ours(metadata.target(), *metadata.level())
        }),
    ));
    // A host that logs already keeps its own way.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The libraries below speak only of what is wrong: their traces would drown ours.
fn ours(target: &str, level: Level) -> bool {
    level <= Level::WARN || target.starts_with("paymesh")
}

fn level(name: &str, variable: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let own = format!("TF_LOG_PROVIDER_{}", name.to_uppercase().replace('-', "_"));
    let wanted = [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    match wanted.map(|wanted| wanted.to_uppercase()).as_deref() {
        None | Some("OFF") => LevelFilter::OFF,
        Some("ERROR") => LevelFilter::ERROR,
        Some("WARN") => LevelFilter::WARN,
        Some("INFO") => LevelFilter::INFO,
        Some("DEBUG") => LevelFilter::DEBUG,
        // TF_LOG=JSON means trace; so does any other word, as in Terraform.
        Some(_) => LevelFilter::TRACE,
    }
}

struct Lines {
    module: String,
}

/// The fields of a span, kept with it.
struct Fields(Map<String, Json>);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        attributes.record(&mut fields);
        if let Some(span) = cx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        for span in cx.event_scope(event).into_iter().flatten() {
            if let Some(span_fields) = span.extensions().get::<Fields>() {
                let values = span_fields
                    .0
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()));
                fields.0.extend(values);
            }
        }
        event.record(&mut fields);
        let line = line(
            &self.module,
            *event.metadata().level(),
            fields.0,
            SystemTime::now(),
        );
        // There is nowhere to report a failure to write a log.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0
            .insert(field.name().to_owned(), json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !value.is_empty() {
            self.0.insert(field.name().to_owned(), json!(value));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }
}

fn line(module: &str, level: Level, mut fields: Map<String, Json>, now: SystemTime) -> Json {
    let message = fields
        .remove("message")
        .and_then(|text| text.as_str().map(str::to_owned));
    let mut message = message.unwrap_or_default();
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX)
            .rev()
            .find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or(0));
    }
    fields.insert("@level".to_owned(), json!(level.as_str().to_lowercase()));
    fields.insert("@message".to_owned(), json!(message));
    fields.insert("@module".to_owned(), json!(module));
    fields.insert("@timestamp".to_owned(), json!(timestamp(now)));
    Json::Object(fields)
}

/// RFC 3339 in UTC with exactly six digits of fraction, the only form that go-plugin parses.
fn timestamp(now: SystemTime) -> String {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The civil date of a day since 1970-01-01, counting years from March so that leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year_of_era + era * 400 + carry, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_what_go_plugin_parses() {
        let fields = Map::from_iter([
            ("message".to_owned(), json!("ready")),
            ("tf_rpc".to_owned(), json!("ReadResource")),
        ]);
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_208_000_000_042);
        assert_eq!(
            line("provider.x", Level::INFO, fields, now),
            json!({
                "@level": "info",
                "@message": "ready",
                "@module": "provider.x",
                "@timestamp": "2024-02-29T12:00:00.000042Z",
                "tf_rpc": "ReadResource",
            })
        );
    }

    #[test]
    fn the_most_specific_variable_sets_the_level() {
        let of = |variables: &[(&str, &str)]| {
            level("my-cloud", |name| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), LevelFilter::OFF);
        assert_eq!(of(&[("TF_LOG", "JSON")]), LevelFilter::TRACE);
        assert_eq!(
            of(&[("TF_LOG", "trace"), ("TF_LOG_PROVIDER", "Warn")]),
            LevelFilter::WARN
        );
        let own = ("TF_LOG_PROVIDER_MY_CLOUD", "error");
        assert_eq!(of(&[own, ("TF_LOG_PROVIDER", "WARN")]), LevelFilter::ERROR);
    }
}
