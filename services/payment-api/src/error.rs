//! Errors as callers see them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use paymesh_contracts::{Code, http::Unreadable};
use uuid::Uuid;

/// An error of the catalogue, with what this case adds.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    param: Option<String>,
    detail: Option<String>,
}

impl Problem {
    /// One about a field or a header.
    pub(crate) fn about(code: Code, param: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..code.into()
        }
    }

    /// Says more about the case. Never what the caller sent.
    pub(crate) fn because(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// What a failed read or write of db-controller means to the caller.
    pub(crate) fn from_read(status: &tonic::Status) -> Self {
        match status.code() {
            tonic::Code::NotFound => Code::NotFound.into(),
            tonic::Code::ResourceExhausted => Code::Overloaded.into(),
            // Unknown: the connection broke before an answer came.
            tonic::Code::Unavailable
            | tonic::Code::DeadlineExceeded
            | tonic::Code::Cancelled
            | tonic::Code::Unknown => Code::OutcomeUnknown.into(),
            other => {
                tracing::error!(code = ?other, message = status.message(), "db-controller refuses");
                Code::Internal.into()
            }
        }
    }

    /// The same of a method that db-controller of the version before does not know. There it is
    /// nobody's, so it is refused before anybody looks whether it exists. 503 and not 501, because it
    /// passes with the upgrade; who exchanges db-controller first has none of it.
    pub(crate) fn from_new_method(status: &tonic::Status) -> Self {
        match status.code() {
            tonic::Code::Unimplemented | tonic::Code::PermissionDenied => {
                tracing::warn!(
                    message = status.message(),
                    "db-controller does not know a method; is it of an earlier version?"
                );
                Code::Upgrading.into()
            }
            _ => Self::from_read(status),
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self {
            code,
            param: None,
            detail: None,
        }
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Self::from_read(&status)
    }
}

impl From<Unreadable> for Problem {
    fn from(reason: Unreadable) -> Self {
        tracing::error!(%reason, "db-controller cannot be understood");
        Code::Internal.into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request_id =
            format!("req_{}", paymesh_contracts::EventId(Uuid::now_v7())).replace("evt_", "");
        tracing::info!(request_id, code = self.code.code(), "a request was refused");
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = self.code.body(&request_id, self.param, self.detail);
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert("paymesh-request-id", value);
        }
        let passes_soon = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::CONFLICT,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if passes_soon.contains(&status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn what_the_version_before_does_not_know_is_to_be_asked_again_and_everything_else_is_as_ever() {
        let code = |status: &Status| Problem::from_new_method(status).code;
        for unknown in [
            Status::unimplemented("unknown"),
            Status::permission_denied("called a method that nobody may call"),
        ] {
            assert_eq!(code(&unknown), Code::Upgrading);
            let answer = Problem::from_new_method(&unknown).into_response();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key(header::RETRY_AFTER));
            // Of a method that has been there for long it is a mistake of ours.
            assert_eq!(Problem::from_read(&unknown).code, Code::Internal);
        }
        assert_eq!(code(&Status::not_found("no event")), Code::NotFound);
        let away = Status::unavailable("the database does not answer");
        assert_eq!(code(&away), Code::OutcomeUnknown);
    }
}
