//! Reading a body of Azure's.

use serde_json::Value;

/// The text at `path`, unless it is empty.
pub(crate) fn text<'a>(body: &'a Value, path: &str) -> Option<&'a str> {
    body.pointer(path)?.as_str().filter(|it| !it.is_empty())
}

/// The etag: at the top of a cluster, among the properties of a pool.
pub(crate) fn etag(body: &Value) -> Option<&str> {
    ["/eTag", "/etag", "/properties/eTag"]
        .iter()
        .find_map(|path| text(body, path))
}
