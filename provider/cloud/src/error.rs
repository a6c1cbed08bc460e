//! What a cloud answered instead of what was asked, in one type for every cloud.

use std::{fmt, ops::Deref, time::Duration};

use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A request or an operation that failed. Read its parts through [`ErrorDetail`].
#[derive(Clone, Debug)]
pub struct Error(Box<ErrorDetail>);

/// The parts of an [`Error`].
#[derive(Clone, Debug)]
pub struct ErrorDetail {
    /// Who failed.
    pub kind: ErrorKind,
    /// Verb and address of the request, without anything signed.
    pub request: String,
    /// Number of the request within this process; the log carries it too.
    pub number: u64,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The cloud's error code, like `OperationNotAllowed` or `ALREADY_EXISTS`.
    pub code: Option<String>,
    /// The cloud's message.
    pub message: String,
    /// The property or object the cloud names as the culprit.
    pub target: Option<String>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// The cloud's id of the operation that failed.
    pub operation_id: Option<String>,
    /// How long the cloud asked to wait.
    pub retry_after: Option<Duration>,
    /// An earlier try of this write, or this one, may have reached the cloud although no answer
    /// came back: a 409 or 412 may then be the echo of our own write. Read before judging.
    pub may_have_been_received: bool,
}

/// Codes of a 404 that is about what the object lies in, not about the object: an identity that
/// has lost its subscription is answered so.
const SURROUNDINGS: [&str; 5] = [
    "SubscriptionNotFound",
    "MissingSubscription",
    "TenantNotFound",
    "InvalidResourceType",
    "InvalidResourceNamespace",
];

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The client is set up in a way that cannot work; nothing was sent.
    Setup,
    /// No token could be had.
    Token,
    /// The connection failed or broke, in every try.
    Connection,
    /// The cloud answered with an error status.
    Answer,
    /// The cloud's answer made no sense, in every try.
    Malformed,
    /// A long-running operation ended as failed or canceled.
    Operation,
    /// A wait has passed its limit.
    OutOfTime,
}

impl Error {
    /// An error of `kind` with nothing but a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorDetail {
            kind,
            request: String::new(),
            number: 0,
            status: None,
            code: None,
            message: message.into(),
            target: None,
            request_id: None,
            operation_id: None,
            retry_after: None,
            may_have_been_received: false,
        }))
    }

    /// The error an answer with an error status stands for.
    pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut error = Self::new(ErrorKind::Answer, "");
        error.read_body(&json);
        error.0.status = Some(status.as_u16());
        error.0.request_id = request_id(headers);
        if error.0.message.is_empty() {
            let reason = status.canonical_reason().unwrap_or("an unknown status");
            error.0.message = format!("the cloud answered {status} without a message ({reason})");
        }
        error
    }

    /// The error that the body of a finished operation (or any error body) stands for.
    pub(crate) fn operation(body: &Value) -> Self {
        let mut error = Self::new(ErrorKind::Operation, "");
        error.read_body(body);
        error
    }

    /// Reads every error shape met so far: ARM's `{"error":{code,message}}`, the flat one of
    /// AKS, Google's `{"error":{code:409,status,message}}` and compute's `{"error":{"errors":[]}}`.
    fn read_body(&mut self, body: &Value) {
        let inner = match body.get("error") {
            Some(Value::Object(_)) => &body["error"],
            _ => body,
        };
        let first = inner.pointer("/errors/0").unwrap_or(&Value::Null);
        let text = |key: &str| {
            [inner, first]
                .iter()
                .find_map(|it| it.get(key).and_then(Value::as_str))
                .map(str::to_owned)
        };
        self.0.code = text("status")
            .filter(|_| inner.get("code").is_some_and(Value::is_number))
            .or_else(|| text("code"))
            .or_else(|| text("reason"))
            .or_else(|| google_rpc_name(inner.get("code")?.as_i64()?).map(str::to_owned))
            .map(|code| plain(&code));
        self.0.target = text("target")
            .or_else(|| text("location"))
            .map(|target| plain(&target));
        let mut message = text("message").unwrap_or_default();
        // ARM wraps the real reason: ResourceOperationFailure -> details[0].
        let mut details = inner.get("details");
        for _ in 0..4 {
            let Some(next) = details.and_then(|it| it.get(0)) else {
                break;
            };
            if let Some(more) = next.get("message").and_then(Value::as_str)
                && !more.is_empty()
                && !message.contains(more)
            {
                let code = next.get("code").and_then(Value::as_str).unwrap_or("detail");
                message = format!("{message} [{code}: {more}]");
            }
            details = next.get("details");
        }
        self.0.message = plain(&message);
    }

    /// The parts, to be filled in where more is known.
    pub(crate) fn detail(&mut self) -> &mut ErrorDetail {
        &mut self.0
    }

    /// The same error, belonging to the operation `id`.
    #[must_use]
    pub fn of_operation(mut self, id: Option<String>) -> Self {
        self.0.operation_id = id;
        self
    }

    /// The cloud's own word that what was asked for does not exist. A 404 without the cloud's
    /// error body comes from a proxy, and one about what everything lies in says nothing about
    /// the object.
    pub fn is_not_found(&self) -> bool {
        let is_about_the_object = |code: &str| {
            !SURROUNDINGS
                .iter()
                .any(|other| code.eq_ignore_ascii_case(other))
        };
        match self.status {
            Some(410) => true,
            Some(404) => self.code.as_deref().is_some_and(is_about_the_object),
            _ => false,
        }
    }

    /// 404, or 410, from whomever: nothing answers at this address.
    pub fn is_dead_address(&self) -> bool {
        matches!(self.status, Some(404 | 410))
    }

    /// 409: something is in the way, a running operation or an object of that name.
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }

    /// 412: the object has changed since it was read, or exists although it must not.
    pub fn is_precondition_failed(&self) -> bool {
        self.status == Some(412)
    }

    /// 401 or 403: these credentials may not do this.
    pub fn is_forbidden(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }

    /// Whether the cloud's code is `code`, ignoring case.
    pub fn has_code(&self, code: &str) -> bool {
        self.code
            .as_deref()
            .is_some_and(|it| it.eq_ignore_ascii_case(code))
    }
}

/// The longest message of a cloud that is shown, in characters.
const MESSAGE_MAX: usize = 2000;

/// A message that can do nothing to the terminal it is shown on.
fn plain(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for letter in message.chars().take(MESSAGE_MAX) {
        match letter {
            '\n' | '\r' | '\t' => text.push(' '),
            _ if letter.is_control() => text.extend(letter.escape_unicode()),
            _ => text.push(letter),
        }
    }
    text
}

/// The name of a `google.rpc.Code`, which operations carry as a number only.
fn google_rpc_name(code: i64) -> Option<&'static str> {
    Some(match code {
        1 => "CANCELLED",
        2 => "UNKNOWN",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => return None,
    })
}

/// The cloud's id of a request, from the headers of its answer.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    [
        "x-ms-request-id",
        "x-ms-correlation-request-id",
        "x-goog-request-id",
        "x-request-id",
    ]
    .iter()
    .find_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
}

impl Deref for Error {
    type Target = ErrorDetail;

    fn deref(&self) -> &ErrorDetail {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.request.is_empty() {
            write!(f, "{}: ", self.request)?;
        }
        match (&self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, "{status} {code}: ")?,
            (Some(status), None) => write!(f, "{status}: ")?,
            (None, Some(code)) => write!(f, "{code}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.operation_id {
            write!(f, " (operation {id})")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check_error(status: u16, body: &Value, expected: &Expect) {
        let status = StatusCode::from_u16(status).unwrap();
        let error = Error::answer(status, &HeaderMap::new(), body.to_string().as_bytes());
        expected.assert_eq(&format!("{error} target={:?}", error.target));
    }

    #[test]
    fn only_the_clouds_own_word_about_the_object_is_an_absence() {
        let cases: [(u16, &[u8], bool); 6] = [
            (404, br#"{"error": {"code": "ResourceNotFound"}}"#, true),
            (
                404,
                br#"{"error": {"code": 404, "status": "NOT_FOUND"}}"#,
                true,
            ),
            (410, b"", true),
            (
                404,
                br#"{"error": {"code": "SubscriptionNotFound"}}"#,
                false,
            ),
            (404, b"<html>no such page</html>", false),
            (404, b"", false),
        ];
        for (status, body, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let error = Error::answer(status, &HeaderMap::new(), body);
            assert_eq!(error.is_not_found(), expected, "{error}");
        }
    }

    #[test]
    fn a_message_can_do_nothing_to_a_terminal() {
        check_error(
            403,
            &json!({"error": {"code": "No\u{7}", "message": "a\u{1b}[2J\nApply complete!"}}),
            &expect![r"403 No\u{7}: a\u{1b}[2J Apply complete! target=None"],
        );
    }

    #[test]
    fn every_error_shape_is_read() {
        check_error(
            404,
            &json!({"error": {"code": "ResourceNotFound", "message": "no such cluster"}}),
            &expect!["404 ResourceNotFound: no such cluster target=None"],
        );
        check_error(
            400,
            &json!({"code": "PropertyChangeNotAllowed", "message": "cannot change", "target": "vmSize"}),
            &expect![[r#"400 PropertyChangeNotAllowed: cannot change target=Some("vmSize")"#]],
        );
        check_error(
            409,
            &json!({"error": {"code": 409, "status": "ALREADY_EXISTS", "message": "exists"}}),
            &expect!["409 ALREADY_EXISTS: exists target=None"],
        );
        check_error(
            403,
            &json!({"error": {"errors": [{"code": "QUOTA_EXCEEDED", "message": "CPUS"}]}}),
            &expect!["403 QUOTA_EXCEEDED: CPUS target=None"],
        );
        check_error(
            409,
            &json!({"code": "EtagMismatch", "message": "lost",
                    "details": [{"code": "Unspecified", "message": "somebody else wrote"}]}),
            &expect!["409 EtagMismatch: lost [Unspecified: somebody else wrote] target=None"],
        );
    }

    #[test]
    fn an_answer_that_is_not_json_still_says_its_status() {
        let error = Error::answer(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>");
        assert!(
            error.to_string().starts_with("502: the cloud answered 502"),
            "{error}"
        );
    }
}
