//! The error bodies of Google's APIs, in the words that real services were seen to use.

use serde_json::{Value, json};

/// A request that Google answers with an error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) code: u16,
    /// The canonical code, such as `FAILED_PRECONDITION`.
    pub(crate) status: &'static str,
    /// The older machine-readable reason.
    pub(crate) reason: &'static str,
    /// The words.
    pub(crate) message: String,
    /// What follows `RequestInfo` in `details`.
    pub(crate) details: Vec<Value>,
    /// Seconds for a Retry-After header.
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    fn new(
        code: u16,
        status: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            status,
            reason,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// 400: the request itself is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", "badRequest", message)
    }

    /// 400: a JSON body that does not fit the published schema.
    pub(crate) fn payload(field: &str, description: &str) -> Self {
        let mut refusal = Self::invalid(description);
        refusal.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": description }],
        }));
        refusal
    }

    /// 400: not now; the object is in a state that does not allow it.
    pub(crate) fn precondition(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", "failedPrecondition", message)
    }

    /// 401: no token, or one that is not valid any more.
    pub(crate) fn unauthenticated() -> Self {
        let mut refusal = Self::new(
            401,
            "UNAUTHENTICATED",
            "authError",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
             valid authentication credential. See \
             https://developers.google.com/identity/sign-in/web/devconsole-project.",
        );
        refusal.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_EXPIRED",
            "domain": "googleapis.com",
        }));
        refusal
    }

    /// 403: the caller lacks a permission.
    pub(crate) fn denied(permission: &str, resource: &str) -> Self {
        let mut refusal = Self::new(
            403,
            "PERMISSION_DENIED",
            "forbidden",
            format!("Required \"{permission}\" permission(s) for \"{resource}\"."),
        );
        refusal.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "iam.googleapis.com",
            "metadata": { "permission": permission, "resource": resource },
        }));
        refusal
    }

    /// 403 with words of its own: quota, disabled services, accounts that may not be used.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "PERMISSION_DENIED", "forbidden", message)
    }

    /// 404 in the usual words.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "NOT_FOUND", "notFound", format!("Not found: {what}."))
    }

    /// 404 in the words of compute and IAM.
    pub(crate) fn no_such(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", "notFound", message)
    }

    /// 409: the name is taken.
    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(409, "ALREADY_EXISTS", "alreadyExists", message)
    }

    /// 409: an etag that is not the current one.
    pub(crate) fn aborted(message: impl Into<String>) -> Self {
        Self::new(409, "ABORTED", "aborted", message)
    }

    /// 429: too many requests.
    pub(crate) fn exhausted(
        metric: &str,
        limit: &str,
        service: &str,
        project: u64,
        seconds: u32,
    ) -> Self {
        let mut refusal = Self::new(
            429,
            "RESOURCE_EXHAUSTED",
            "rateLimitExceeded",
            format!(
                "Quota exceeded for quota metric '{metric}' and limit '{limit}' of service '{service}' for consumer \
                 'project_number:{project}'."
            ),
        );
        refusal.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED",
            "domain": "googleapis.com",
            "metadata": { "service": service, "quota_metric": metric, "quota_limit": limit },
        }));
        refusal.retry_after = Some(seconds);
        refusal
    }

    /// 503: the region does not answer.
    pub(crate) fn unavailable() -> Self {
        Self::new(
            503,
            "UNAVAILABLE",
            "backendError",
            "The service is currently unavailable.",
        )
    }

    /// The body, with the request id that support would ask for.
    pub(crate) fn body(&self, request: &str) -> Value {
        let mut details = vec![
            json!({ "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request }),
        ];
        details.extend(self.details.iter().cloned());
        json!({ "error": {
            "code": self.code,
            "message": self.message,
            "errors": [{ "message": self.message, "domain": "global", "reason": self.reason }],
            "status": self.status,
            "details": details,
        }})
    }
}
