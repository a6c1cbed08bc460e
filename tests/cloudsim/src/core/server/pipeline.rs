//! The way of one request past every site where a fault can strike.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Server,
    outgoing::{Outgoing, Severed, respond},
};
use crate::core::{
    Answer, Call, console, control,
    fault::{Action, Release, Rule, Site},
    journal::{Entry, redact_query},
    terraform,
};

impl Server {
    fn refuse(&self, headers: &HeaderMap) -> Option<Answer> {
        let ours = |authority: &str| {
            self.hosts.iter().any(|port| {
                ["127.0.0.1", "localhost", "[::1]"]
                    .iter()
                    .any(|host| authority == format!("{host}:{port}"))
            })
        };
        let text =
            |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if !text(header::HOST).is_some_and(ours) {
            return Some(Answer::json(
                421,
                &json!({ "error": "the host is not this simulator" }),
            ));
        }
        let foreign = text(header::ORIGIN).is_some_and(|origin| {
            !origin
                .split_once("://")
                .is_some_and(|(_, authority)| ours(authority))
        });
        foreign.then(|| {
            Answer::json(
                403,
                &json!({ "error": "a page of another origin may not ask" }),
            )
        })
    }

    /// Takes a request from the wire to its answer, or to the cut.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        secure: bool,
    ) -> Result<Response<Outgoing>, Severed> {
        let (parts, body) = request.into_parts();
        if let Some(refusal) = self.refuse(&parts.headers) {
            return Ok(respond(refusal, None));
        }
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let mut call = Call {
            method: parts.method.as_str().to_ascii_uppercase(),
            segments: path
                .split('/')
                .filter(|part| !part.is_empty())
                .map(|part| {
                    percent_encoding::percent_decode_str(part)
                        .decode_utf8_lossy()
                        .into_owned()
                })
                .collect(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: parts.headers,
            body: Bytes::new(),
            correlation: uuid::Uuid::new_v4().to_string(),
            path,
        };
        let api = match (
            secure,
            call.segments.first().map(String::as_str),
            call.segments.get(1).map(String::as_str),
        ) {
            (true, Some("_sim"), Some("terraform")) => "terraform",
            (true, Some("_sim"), _) => {
                call.body = read(body).await?;
                return Ok(respond(control::answer(self, &call).await, None));
            }
            (false, None | Some("console"), _) => {
                call.body = read(body).await?;
                return Ok(respond(console::answer(self, &call).await, None));
            }
            (true, ..) => "azure",
            (false, ..) => "google",
        };
        let (number, rules) = {
            let mut world = self.world();
            let rules = world.faults.strike(api, &call.method, &call.path);
            let entry = Entry {
                at: world.clock.text(),
                api: api.into(),
                method: call.method.clone(),
                path: call.path.clone(),
                query: redact_query(&query),
                correlation: call.correlation.clone(),
                faults: rules.iter().map(|rule| rule.id.clone()).collect(),
                ..Entry::default()
            };
            (world.journal.begin(entry).0, rules)
        };
        let began = Instant::now();
        let outcome = self.pass(api, &mut call, body, number, &rules).await;
        let mut world = self.world();
        world.journal.end(number, |entry| {
            entry.duration_ms = u64::try_from(began.elapsed().as_millis()).ok();
            entry.status = outcome.as_ref().ok().map(Sent::status);
        });
        outcome.map(|mut answer| {
            let after: Vec<Rule> = rules
                .into_iter()
                .filter(|rule| rule.site == Site::AfterAnswer)
                .collect();
            if after.iter().any(|rule| rule.action == Action::Cut) {
                answer.0.headers_mut().insert(
                    header::CONNECTION,
                    header::HeaderValue::from_static("close"),
                );
            }
            for rule in after.iter().filter(|rule| rule.action == Action::Hold) {
                // Nothing waits any more: the mark tells the harness that the answer is out.
                let _ = world.faults.hold(&rule.id, number);
            }
            answer.0
        })
    }

    /// Takes a request past every site.
    async fn pass(
        &self,
        api: &'static str,
        call: &mut Call,
        body: Incoming,
        number: u64,
        rules: &[Rule],
    ) -> Result<Sent, Severed> {
        let at = |site: Site| rules.iter().filter(move |rule| rule.site == site);
        if let Some(answer) = self
            .suffer(api, at(Site::BeforeReceipt), number, None)
            .await?
        {
            return Ok(answer);
        }
        call.body = read(body).await?;
        if let Some(answer) = self
            .suffer(api, at(Site::BeforeEffect), number, None)
            .await?
        {
            return Ok(answer);
        }
        let answer = self.effect(api, call, number, rules);
        match self
            .suffer(api, at(Site::AfterEffect), number, Some(&answer))
            .await?
        {
            Some(answer) => Ok(answer),
            None => Ok(Sent(respond(answer, None))),
        }
    }

    /// Asks the cloud, and makes its writes durable.
    fn effect(&self, api: &'static str, call: &Call, number: u64, rules: &[Rule]) -> Answer {
        let mut world = self.world();
        world.principal = None;
        world.last_operation = None;
        world.settle(&self.apis);
        let cloud = self.apis.iter().find(|one| one.name() == api);
        // The states of Terraform are in no cloud.
        let is_read = cloud.map_or(call.method == "GET", |one| one.is_read(call));
        world.session = session_of(call);
        let stale = rules
            .iter()
            .find(|rule| rule.action == Action::Stale && is_read);
        world.ending = rules.iter().find_map(|rule| rule.action.ending());
        world.expired_before = rules
            .iter()
            .any(|rule| rule.action == Action::ExpireTokens)
            .then(|| world.clock.client_now())
            .or(world.expired_before);
        let mut past = stale.and_then(|rule| world.faults.past(&rule.id).cloned());
        if let Some(past) = &mut past {
            world.commit();
            world.store.swap(past);
        }
        let answer = if api == "terraform" {
            terraform::answer(&mut world, call)
        } else {
            match cloud {
                Some(one) => one.answer(&mut world, call),
                None => Answer::json(404, &json!({ "error": format!("no {api} here") })),
            }
        };
        if let Some(past) = &mut past {
            world.store.swap(past);
            world.store.forget_writes();
        }
        world.ending = None;
        // A poll may have been the last one an operation waited for.
        world.commit();
        let (principal, operation) = (world.principal.take(), world.last_operation.take());
        // What a cloud begins by itself later is nobody's.
        world.session = None;
        world.journal.end(number, |entry| {
            entry.principal = principal;
            entry.operation = operation;
            entry.refusal = refusal_of(&answer);
        });
        answer
    }

    /// Lets the rules of one site act; an answer, if one of them answers.
    async fn suffer<'a>(
        &self,
        api: &str,
        rules: impl Iterator<Item = &'a Rule>,
        number: u64,
        truth: Option<&Answer>,
    ) -> Result<Option<Sent>, Severed> {
        for rule in rules {
            match &rule.action {
                Action::Cut => return Err(Severed),
                Action::Delay { seconds } => {
                    let rate = self.world().clock.rate();
                    tokio::time::sleep(Duration::from_secs_f64(
                        (seconds / rate).clamp(0.0, 3600.0),
                    ))
                    .await;
                }
                Action::Hold => {
                    let held = self.world().faults.hold(&rule.id, number);
                    let Some(mut held) = held else { continue };
                    let release = held.wait_for(|release| *release != Release::Wait).await;
                    let cut = release.is_ok_and(|release| *release == Release::Cut);
                    self.world().faults.unhold(&rule.id, number);
                    if cut {
                        return Err(Severed);
                    }
                }
                Action::Throttle { retry_after } => {
                    const TEXT: &str = "The request was throttled.";
                    let body = match api {
                        "google" => json!({ "error": {
                            "code": 429, "message": TEXT, "status": "RESOURCE_EXHAUSTED",
                            "errors": [{ "message": TEXT, "domain": "global", "reason": "rateLimitExceeded" }],
                        }}),
                        _ => json!({ "error": { "code": "TooManyRequests", "message": TEXT } }),
                    };
                    let mut answer = Answer::json(429, &body);
                    if let Some(seconds) = retry_after {
                        answer = answer.with("retry-after", seconds.to_string());
                    }
                    return Ok(Some(Sent(respond(answer, None))));
                }
                Action::Answer {
                    status,
                    body,
                    garbage,
                    headers,
                    without_headers,
                } => {
                    let mut answer = truth.cloned().unwrap_or_else(|| Answer::empty(500));
                    answer.status = status.unwrap_or(answer.status);
                    if let Some(body) = body {
                        answer.body = body.to_string().into();
                    }
                    answer.headers.retain(|(name, _)| {
                        !without_headers
                            .iter()
                            .any(|gone| gone.eq_ignore_ascii_case(name))
                    });
                    for (name, value) in headers {
                        answer = answer.with(name, value);
                    }
                    return Ok(Some(Sent(respond(answer, *garbage))));
                }
                Action::Operation { .. }
                | Action::Stale
                | Action::ExpireTokens
                | Action::LoseRegion { .. }
                | Action::LoseZone { .. }
                | Action::PendingPods { .. } => {}
            }
        }
        Ok(None)
    }
}

/// Whose token a request bears, without the token.
fn session_of(call: &Call) -> Option<String> {
    let digest = Sha256::digest(call.header("authorization")?);
    Some(STANDARD.encode(&digest[..]))
}

/// The most characters of a refusal that the journal keeps.
const REFUSAL_MAX: usize = 200;

/// What a cloud says in `answer`, if that refuses.
fn refusal_of(answer: &Answer) -> Option<String> {
    if answer.status < 400 {
        return None;
    }
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let message = body
        .pointer("/error/message")
        .or_else(|| body.get("message"))?;
    Some(message.as_str()?.chars().take(REFUSAL_MAX).collect())
}

/// The longest body of a request, in bytes. The clouds take less.
const BODY_MAX: usize = 16 << 20;

async fn read(body: Incoming) -> Result<Bytes, Severed> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            tracing::debug!(%error, "a request ended early");
            Err(Severed)
        }
    }
}

/// A response on its way.
struct Sent(Response<Outgoing>);

impl Sent {
    fn status(&self) -> u16 {
        self.0.status().as_u16()
    }
}
