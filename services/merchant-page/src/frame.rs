//! What every page has around its own part, and how a page is sent.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use crate::api::Outcome;

/// The frame of a page.
pub(crate) struct Frame {
    /// The page's name.
    pub(crate) title: String,
    /// The place in the navigation, if it is one of those.
    at: &'static str,
    /// Whether it is drawn anew by itself.
    pub(crate) is_live: bool,
    /// Whether its main part could not be had, so that what was shown before is kept.
    pub(crate) is_away: bool,
}

impl Frame {
    /// The frame of a page that is kept live.
    pub(crate) fn live(title: impl Into<String>, at: &'static str, status: StatusCode) -> Self {
        Self {
            title: title.into(),
            at,
            is_live: true,
            is_away: !matches!(status, StatusCode::OK | StatusCode::NOT_FOUND),
        }
    }

    /// The frame of a page that stays as it is.
    pub(crate) fn still(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            at: "",
            is_live: false,
            is_away: false,
        }
    }

    /// Whether this page belongs to that place of the navigation.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.at == path
    }
}

/// A page as an answer.
pub(crate) fn show(outcome: impl Into<Outcome>, page: &impl Template) -> Response {
    let Outcome {
        status,
        again_seconds,
    } = outcome.into();
    let text = match page.render() {
        Ok(text) => text,
        Err(reason) => {
            tracing::error!(%reason, "a page cannot be drawn");
            return (StatusCode::INTERNAL_SERVER_ERROR, "We made a mistake.\n").into_response();
        }
    };
    let mut response = (status, Html(text)).into_response();
    if let Some(seconds) = again_seconds {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A page that is not there.
#[derive(Template)]
#[template(path = "lost.html")]
struct Lost {
    frame: Frame,
}

/// Says that there is nothing at an address.
pub(crate) fn lost() -> Response {
    let page = Lost {
        frame: Frame::still("Not found"),
    };
    show(StatusCode::NOT_FOUND, &page)
}
