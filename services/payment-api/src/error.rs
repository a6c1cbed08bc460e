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
