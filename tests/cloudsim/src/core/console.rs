//! The console: the simulated cloud as pages for a browser, on the plain listener under `/console`.
//!
//! Every page is drawn here, from one locked look at the world; it needs no network, and no script
//! to be read (one short script keeps it live). With `?format=json` the same address answers what
//! the page shows as JSON. Filters live in the address. What a page leaves out it counts.

mod frame;
mod look;
mod object;
mod operations;
mod overview;
mod requests;
mod settings;
mod topology;
mod trouble;

use std::time::Duration;

use askama::Template;
use serde::Serialize;
use serde_json::json;

use self::{frame::Frame, look::Look};
use super::{Answer, Call, server::Server};

/// Answers everything under `/console`, and `/` with the way there.
pub(super) async fn answer(server: &Server, call: &Call) -> Answer {
    let path: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", []) if call.segments.is_empty() => see("/console"),
        ("GET", ["console.css"]) => asset("text/css", include_str!("../../assets/console.css")),
        ("GET", ["icon.svg"]) => asset("image/svg+xml", include_str!("../../assets/icon.svg")),
        ("GET", ["console.js"]) => {
            asset("text/javascript", include_str!("../../assets/console.js"))
        }
        ("GET", ["changes"]) => changes(server, call).await,
        ("GET", page) => draw(server, call, page, None),
        ("POST", ["settings", act]) => match settings::act(server, act, &call.form()).await {
            Ok(()) => see(&settings::back(&call.form())),
            Err(error) => draw(server, call, &["settings"], Some(error)),
        },
        _ => lost(server, call),
    }
}

fn draw(server: &Server, call: &Call, page: &[&str], error: Option<String>) -> Answer {
    let mut world = server.world();
    world.settle(&server.apis);
    world.commit();
    let look = Look::at(&world, &server.apis);
    match page {
        [] => send(call, 200, &overview::page(&look, call)),
        ["operations"] => send(call, 200, &operations::page(&look, call)),
        ["requests"] => send(call, 200, &requests::page(&look, call)),
        ["requests", number] => match requests::one(&look, call, number) {
            Some(page) => send(call, 200, &page),
            None => send(call, 404, &Lost::page(&look, call)),
        },
        ["object"] => match object::page(&look, call) {
            Some(page) => send(call, 200, &page),
            None => send(call, 404, &Lost::page(&look, call)),
        },
        ["settings"] => {
            let status = if error.is_some() { 400 } else { 200 };
            send(call, status, &settings::page(&look, call, error))
        }
        _ => send(call, 404, &Lost::page(&look, call)),
    }
}

/// A page that is not there.
#[derive(Template, Serialize)]
#[template(path = "console/lost.html")]
struct Lost {
    #[serde(skip)]
    frame: Frame,
    path: String,
}

impl Lost {
    fn page(look: &Look, call: &Call) -> Self {
        Self {
            frame: Frame::new(look, call, "Not found"),
            path: call.path.clone(),
        }
    }
}

fn lost(server: &Server, call: &Call) -> Answer {
    draw(server, call, &["lost"], None)
}

/// The page as a person or a program wants it.
fn send<P: Template + Serialize>(call: &Call, status: u16, page: &P) -> Answer {
    if call.query("format") == Some("json") {
        return Answer::json(status, &json!(page));
    }
    match page.render() {
        Ok(text) => html(status, text),
        Err(error) => html(500, format!("the page cannot be drawn: {error}")),
    }
}

fn html(status: u16, text: String) -> Answer {
    let answer = Answer {
        body: text.into(),
        ..Answer::empty(status)
    };
    answer
        .with("content-type", "text/html; charset=utf-8")
        .with(
            "content-security-policy",
            "default-src 'self'; frame-ancestors 'none'",
        )
        .with("referrer-policy", "same-origin")
        .with("cache-control", "no-store")
}

fn asset(kind: &str, text: &'static str) -> Answer {
    let answer = Answer {
        body: text.into(),
        ..Answer::empty(200)
    };
    answer
        .with("content-type", format!("{kind}; charset=utf-8"))
        .with("cache-control", "no-store")
}

fn see(address: &str) -> Answer {
    Answer::empty(303).with("location", address)
}

/// Waits until something differs from what the asking page shows, at most 20 seconds.
async fn changes(server: &Server, call: &Call) -> Answer {
    const STEP: Duration = Duration::from_millis(250);
    let seen = call.query("seen").unwrap_or_default();
    for _ in 0..80 {
        if version(server) != seen {
            return Answer::json(200, &json!({ "changed": true }));
        }
        tokio::time::sleep(STEP).await;
    }
    Answer::json(200, &json!({ "changed": false }))
}

fn version(server: &Server) -> String {
    let mut world = server.world();
    world.settle(&server.apis);
    world.commit();
    frame::version(&world)
}
