//! Spans, and the place of each in its trace.

use std::{borrow::Cow, fmt};

use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{FutureExt as _, Status, TraceContextExt as _, Tracer as _, WithContext},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

pub use opentelemetry::trace::SpanKind;

use super::TRACER;

/// The name under which a place travels, in W3C's Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// A future that runs at a place.
pub type Within<F> = WithContext<F>;

/// A place in a trace that is seen; or none, where there is no such trace.
#[derive(Clone, Default)]
pub struct Place(Option<Context>);

impl Place {
    /// Where this task is.
    pub fn current() -> Self {
        if TRACER.get().is_none() {
            return Self(None);
        }
        let context = Context::current();
        let is_seen = context.span().span_context().is_sampled();
        Self(is_seen.then_some(context))
    }

    /// The place that a text of [`Self::text`] means, or that somebody else sends like that.
    pub fn read(text: &str) -> Self {
        if text.is_empty() || TRACER.get().is_none() {
            return Self(None);
        }
        Self(Some(context_of(text))).if_seen()
    }

    fn if_seen(self) -> Self {
        Self(
            self.0
                .filter(|context| context.span().span_context().is_sampled()),
        )
    }

    /// It in 55 letters; nothing if it is none.
    pub fn text(&self) -> Option<String> {
        let context = self.0.as_ref()?;
        let span = context.span();
        let span = span.span_context();
        Some(format!("00-{}-{}-01", span.trace_id(), span.span_id()))
    }

    /// Has a future run here: what it begins belongs to this place.
    pub fn within<F: Future>(self, future: F) -> Within<F> {
        future.with_context(self.0.unwrap_or_default())
    }
}

/// What a caller says of its trace; empty if that cannot be read.
fn context_of(text: &str) -> Context {
    if !has_form(text) {
        return Context::new();
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &One(text))
}

/// The lengths of the parts of a place: version, trace, span and flags.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// Whether a text has the form that W3C gives a place. `OpenTelemetry` also takes numbers of other
/// lengths, and with a sign: written as a place they would not be what was looked at.
fn has_form(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = text.trim().split('-');
    PARTS.iter().all(|length| {
        let part = parts.next().unwrap_or_default();
        part.len() == *length && part.bytes().all(is_digit)
    })
}

/// The one header that is read: what others keep beside it is not ours to carry.
struct One<'a>(&'a str);

impl Extractor for One<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// Something that takes time, until it is dropped; or nothing, where nobody looks.
///
/// What it tells cannot come from outside: words are of the program, ids are ours. No card, key, token,
/// address, body or text of anybody is told.
pub struct Span(Place);

impl Span {
    /// Where a request comes in, with what its caller says of a trace. Who says nothing begins one,
    /// which is seen or not by chance; who says that theirs is not seen is heard.
    pub fn first(name: impl Into<Cow<'static, str>>, traceparent: &str) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(Place(None));
        };
        let caller = context_of(traceparent);
        let builder = tracer.span_builder(name).with_kind(SpanKind::Server);
        let span = tracer.build_with_context(builder, &caller);
        Self(Place(Some(caller.with_span(span))).if_seen())
    }

    /// Within another one, of this process or of another; nothing if that is nothing.
    pub fn of(place: &Place, kind: SpanKind, name: &'static str) -> Self {
        let (Some(tracer), Some(context)) = (TRACER.get(), &place.0) else {
            return Self(Place(None));
        };
        let builder = tracer.span_builder(name).with_kind(kind);
        let span = tracer.build_with_context(builder, context);
        Self(Place(Some(context.with_span(span))))
    }

    /// Where what belongs to it is.
    pub fn place(&self) -> Place {
        self.0.clone()
    }

    /// Tells a word.
    pub fn word(&self, name: &'static str, word: &'static str) {
        if let Some(context) = &self.0.0 {
            context.span().set_attribute(KeyValue::new(name, word));
        }
    }

    /// Tells a number.
    pub fn number(&self, name: &'static str, number: i64) {
        if let Some(context) = &self.0.0 {
            context.span().set_attribute(KeyValue::new(name, number));
        }
    }

    /// Tells an id of ours.
    pub fn id(&self, name: &'static str, id: &impl fmt::Display) {
        if let Some(context) = &self.0.0 {
            context
                .span()
                .set_attribute(KeyValue::new(name, id.to_string()));
        }
    }

    /// Tells that it did not do what it is there for; the log says why.
    pub fn failed(&self) {
        if let Some(context) = &self.0.0 {
            context.span().set_status(Status::error(""));
        }
    }
}

impl Drop for Span {
    /// Others may have its place for longer.
    fn drop(&mut self) {
        if let Some(context) = &self.0.0 {
            context.span().end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, is_seen: bool) {
        let place = Place(Some(context_of(text))).if_seen();
        assert_eq!(place.text(), is_seen.then(|| text.to_owned()), "{text}");
    }

    #[test]
    fn a_place_is_the_same_after_its_way_as_text_and_none_if_it_is_not_seen() {
        check(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            true,
        );
        check(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            false,
        );
        check(
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            false,
        );
        check(
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            false,
        );
        for text in [
            "0-af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-+b7ad6b716920333-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            check(text, false);
        }
        check("4111111111111111", false);
        check("", false);
    }

    #[test]
    fn without_a_collector_there_is_nothing() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(Place::read(text).text(), None);
        let span = Span::first("request", text);
        span.word("outcome", "approved");
        assert_eq!(span.place().text(), None);
        let inner = Span::of(&span.place(), SpanKind::Internal, "inner");
        assert_eq!(inner.place().text(), None);
    }
}
