//! Panics, shown the way Terraform shows a provider's crash: it collects what follows a line of
//! standard error that begins with `panic: `.

use std::{backtrace::Backtrace, panic};

/// Installs the hook for the whole process.
pub(crate) fn install() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let trace = Backtrace::force_capture();
        eprintln!("panic: {message}\n\nat {place}\n{trace}");
    }));
}
