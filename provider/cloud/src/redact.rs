//! What of a URL, and of a variable that should name a file, may be printed.

use std::path::Path;

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

/// The longest file name of a path that is taken for one unseen.
const NAME_MAX: usize = 64;

/// Whether `text` is so plainly the path of a file that it may be printed. People write the secret
/// itself into the variable that should name its file.
pub fn is_plainly_a_path(text: &str) -> bool {
    let looks_so = ["/", "./", "../", "~/"]
        .iter()
        .any(|it| text.starts_with(it))
        || Path::new(text)
            .extension()
            .is_some_and(|kind| kind == "json");
    let has_short_names = text.split('/').all(|name| name.len() <= NAME_MAX);
    let odd = |letter: char| letter.is_control() || "{}\"'".contains(letter);
    Path::new(text).is_file() || looks_so && has_short_names && !text.contains(odd)
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

    #[test]
    fn a_secret_in_the_place_of_a_path_is_none() {
        let key = format!("/{}", "aB3+".repeat(50));
        for secret in [
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkIn0.c2ln",
            "1//0gCanaryOfARefreshToken",
            "ya29.canary",
            "{\"private_key\": \"canary\"}.json",
            "/a\n/b",
            &key,
        ] {
            assert!(!is_plainly_a_path(secret), "{secret}");
        }
        for path in [
            "/var/run/secrets/azure/tokens/azure-identity-token",
            "keys/pay.json",
            "~/key",
            "Cargo.toml",
        ] {
            assert!(is_plainly_a_path(path), "{path}");
        }
    }
}
