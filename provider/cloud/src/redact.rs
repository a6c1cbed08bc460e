//! What of a URL may be printed.

/// Query keys whose values are harmless and useful in a log.
const PRINTED: [&str; 8] = [
    "api-version",
    "$filter",
    "$expand",
    "$top",
    "filter",
    "pageSize",
    "format",
    "updateMask",
];

/// `url` without the values of query parts that may be signatures or tokens.
pub fn redacted(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let parts: Vec<_> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((key, _)) if !PRINTED.contains(&key) => format!("{key}=(hidden)"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{path}?{}", parts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_parts_of_a_poll_url_are_hidden() {
        assert_eq!(
            redacted("/operations/1?api-version=2025-03-01&t=12&c=MII&s=sig&h=h"),
            "/operations/1?api-version=2025-03-01&t=(hidden)&c=(hidden)&s=(hidden)&h=(hidden)"
        );
    }
}
