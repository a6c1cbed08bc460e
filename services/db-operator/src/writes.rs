//! Every write that this process makes, in order: what tests count, and kill the process before.
//!
//! There is no other way to write: requests to the API server pass [`note_request`], statements to
//! PostgreSQL `Session::write`. The lease and events are not counted: the one is renewed by the
//! clock, and the others change nothing.

use std::{
    env,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Method, Request};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The write before which this process kills itself; in debug builds only.
static CRASH_BEFORE: LazyLock<Option<usize>> = LazyLock::new(|| {
    let number = || env::var("PAYMESH_CRASH_BEFORE_WRITE").ok()?.parse().ok();
    cfg!(debug_assertions).then(number).flatten()
});

/// Counts the write that comes next.
pub(crate) fn note(what: &str) {
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    tracing::debug!(number, write = what, "writes");
    if *CRASH_BEFORE == Some(number) {
        tracing::debug!(number, "crashes as it was told to");
        std::process::abort();
    }
}

/// Counts a request to the API server if it is a write.
pub(crate) fn note_request<B>(request: Request<B>) -> Request<B> {
    let path = request.uri().path();
    let is_counted = request.method() != Method::GET
        && !["/leases", "/events"]
            .iter()
            .any(|kind| path.contains(kind));
    if is_counted {
        // /apis/GROUP/VERSION/namespaces/NAMESPACE/KIND/NAME: the last words say what.
        let what = path.split('/').skip_while(|word| *word != "namespaces");
        let what: Vec<&str> = what.skip(2).collect();
        note(&format!("{} {}", request.method(), what.join("/")));
    }
    request
}
