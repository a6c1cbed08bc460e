//! Logs the way go-plugin reads them: one JSON object per line on standard error, with `@level`,
//! `@message`, `@module` and `@timestamp`; all other keys become fields.
//!
//! The level comes from `TF_LOG_PROVIDER_<NAME>`, else `TF_LOG_PROVIDER`, else `TF_LOG`. Without any
//! of them nothing is logged: Terraform would throw it away.

use std::{
    fmt::Debug,
    io::{self, Write},
};

use jiff::Timestamp;
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
    registry::{self, LookupSpan},
};

/// The longest line that go-plugin reads as one; a longer message is cut.
const MESSAGE_BYTES_MAX: usize = 32 << 10;

/// Logs from now on, at the level that the environment says.
pub(crate) fn install(name: &str, debug: bool) {
    let level = level(name, debug, |variable| std::env::var(variable).ok());
    // There is nowhere to report a failure to write a log.
    let subscriber = lines(name, level, |line| {
        let _ = writeln!(io::stderr().lock(), "{line}");
    });
    // A host that logs already keeps its own way.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn lines(
    name: &str,
    level: LevelFilter,
    out: impl Fn(&Json) + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let module = format!("provider.{name}");
    let lines = Lines { module, out };
    Registry::default().with(lines.with_filter(level).with_filter(
        tracing_subscriber::filter::filter_fn(|metadata| {
            ours(metadata.target(), *metadata.level())
        }),
    ))
}

/// The libraries below speak only of what is wrong: their traces would drown ours.
fn ours(target: &str, level: Level) -> bool {
    level <= Level::WARN || target.starts_with("paymesh")
}

fn level(name: &str, debug: bool, variable: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let own = format!("TF_LOG_PROVIDER_{}", name.to_uppercase().replace('-', "_"));
    let wanted = [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    match wanted.map(|wanted| wanted.to_uppercase()).as_deref() {
        // Nobody throws away what a provider logs that was started by hand.
        None | Some("OFF") if debug => LevelFilter::INFO,
        None | Some("OFF") => LevelFilter::OFF,
        Some("ERROR") => LevelFilter::ERROR,
        Some("WARN") => LevelFilter::WARN,
        Some("INFO") => LevelFilter::INFO,
        Some("DEBUG") => LevelFilter::DEBUG,
        // TF_LOG=JSON means trace; so does any other word, as in Terraform.
        Some(_) => LevelFilter::TRACE,
    }
}

struct Lines<F> {
    module: String,
    out: F,
}

/// The fields of a span, kept with it.
struct Fields(Map<String, Json>);

impl<S, F> Layer<S> for Lines<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    F: Fn(&Json) + Send + Sync + 'static,
{
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
        let spans = cx.event_scope(event).into_iter();
        for span in spans.flat_map(registry::Scope::from_root) {
            if let Some(span_fields) = span.extensions().get::<Fields>() {
                let values = span_fields
                    .0
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()));
                fields.0.extend(values);
            }
        }
        event.record(&mut fields);
        let level = *event.metadata().level();
        (self.out)(&line(&self.module, level, fields.0, Timestamp::now()));
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

fn line(module: &str, level: Level, mut fields: Map<String, Json>, now: Timestamp) -> Json {
    let message = fields
        .remove("message")
        .and_then(|text| text.as_str().map(str::to_owned));
    let mut message = message.unwrap_or_default();
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    fields.insert("@level".to_owned(), json!(level.as_str().to_lowercase()));
    fields.insert("@message".to_owned(), json!(message));
    fields.insert("@module".to_owned(), json!(module));
    // Six digits of fraction: the only form that go-plugin parses.
    fields.insert("@timestamp".to_owned(), json!(format!("{now:.6}")));
    Json::Object(fields)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_line_is_what_go_plugin_parses() {
        let fields = Map::from_iter([
            ("message".to_owned(), json!("ready")),
            ("tf_rpc".to_owned(), json!("ReadResource")),
        ]);
        let now = Timestamp::from_microsecond(1_709_208_000_000_042).unwrap();
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
            [false, true].map(|debug| {
                level("my-cloud", debug, |name| {
                    let found = variables.iter().find(|(key, _)| *key == name);
                    found.map(|(_, value)| (*value).to_owned())
                })
            })
        };
        let off = [LevelFilter::OFF, LevelFilter::INFO];
        assert_eq!(of(&[]), off);
        assert_eq!(of(&[("TF_LOG", "off")]), off);
        for (word, meant) in [
            ("JSON", LevelFilter::TRACE),
            ("debug", LevelFilter::DEBUG),
            ("INFO", LevelFilter::INFO),
        ] {
            assert_eq!(of(&[("TF_LOG", word)]), [meant; 2]);
        }
        let less = [("TF_LOG", "trace"), ("TF_LOG_PROVIDER", "Warn")];
        assert_eq!(of(&less), [LevelFilter::WARN; 2]);
        let own = [("TF_LOG_PROVIDER_MY_CLOUD", "error"), less[1]];
        assert_eq!(of(&own), [LevelFilter::ERROR; 2]);
        let none = [("TF_LOG_PROVIDER", ""), less[0]];
        assert_eq!(of(&none), [LevelFilter::TRACE; 2]);
    }

    #[test]
    fn a_message_that_go_plugin_would_read_as_two_is_cut_between_letters() {
        for (letter, kept) in [("a", MESSAGE_BYTES_MAX), ("\u{20ac}", 32_766)] {
            let fields = Map::from_iter([("message".to_owned(), json!(letter.repeat(40_000)))]);
            let line = line("provider.x", Level::INFO, fields, Timestamp::UNIX_EPOCH);
            assert_eq!(line["@message"].as_str().map(str::len), Some(kept));
        }
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_and_libraries_say_what_is_wrong_only() {
        let logged = Arc::new(Mutex::new(Vec::new()));
        let kept = logged.clone();
        let subscriber = lines("x", LevelFilter::DEBUG, move |line| {
            kept.lock().unwrap().push(line.clone());
        });
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("call", tf_rpc = "Plan", rest = tracing::field::Empty);
            let _in = outer.enter();
            outer.record("rest", 3.5);
            let inner = tracing::info_span!("object", tf_rpc = "Read", empty = "");
            let _within = inner.enter();
            tracing::info!(count = -1, left = 2_u64, fine = true, of = ?[1], "seen");
            tracing::trace!("never seen");
            tracing::info!(target: "h2", "frame");
            tracing::warn!(target: "h2", "reset");
        });
        let logged = logged.lock().unwrap();
        let [seen, reset] = logged.as_slice() else {
            panic!("{logged:?}");
        };
        let mut seen = seen.clone();
        seen.as_object_mut().unwrap().remove("@timestamp").unwrap();
        assert_eq!(
            seen,
            json!({
                "@level": "info",
                "@message": "seen",
                "@module": "provider.x",
                "tf_rpc": "Read",
                "rest": 3.5,
                "count": -1,
                "left": 2,
                "fine": true,
                "of": "[1]",
            })
        );
        assert_eq!(reset["@message"], "reset");
    }
}
