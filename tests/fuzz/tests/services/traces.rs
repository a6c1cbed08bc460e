//! Places in traces, as merchants and services send them.

use bolero::check;
use paymesh_fuzz::{Choices, text};
use paymesh_operations::{Place, Span};

use crate::samples;

/// A place that is read is written with the numbers it came with, and stays the same.
#[test]
fn a_trace() {
    let runtime = samples::runtime();
    samples::follow_traces(&runtime);
    assert!(Place::read(samples::TRACE).text().is_some());
    let words = [
        samples::TRACE,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more",
        "00-00000000000000000000000000000000-0000000000000000-01",
    ];
    check!().for_each(|input: &[u8]| {
        let given = text(&mut Choices::new(input), &words);
        if let Some(written) = Place::read(&given).text() {
            let numbers = |text: &str| text.trim().get(3..52).map(ToOwned::to_owned);
            assert_eq!(numbers(&written), numbers(&given), "{given:?}");
            assert_eq!(Place::read(&written).text(), Some(written));
        }
        // What comes in begins a trace of its own, or goes on with its caller's.
        let span = Span::first("request", &given);
        let place = span.place().text();
        assert!(place.is_none_or(|place| place.len() == samples::TRACE.len()));
    });
}
