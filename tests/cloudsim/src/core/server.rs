//! The server: two loopback listeners, one pipeline for every request, start and stop.
//!
//! A request passes: host check, journal, faults before receipt, body, faults before effect, the
//! cloud's answer under the world's lock, faults after effect, the answer, faults after it.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

use super::{
    Answer, Api, Call, Clock, Faults, Place, Store, Throttle, World, control,
    fault::{Action, Garbage, Release, Rule, Site},
    journal::{Entry, Journal, redact_query},
    layout, terraform, tls,
};
use crate::Options;

/// Everything a request needs.
pub(super) struct Server {
    world: Mutex<World>,
    pub(super) apis: Vec<Box<dyn Api>>,
    simulator_file: PathBuf,
    ca: PathBuf,
    card: Mutex<Map<String, Value>>,
    hosts: [u16; 2],
}

/// The connection is to be cut.
#[derive(Debug)]
struct Severed;

impl std::fmt::Display for Severed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Severed {}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options, apis: Vec<Box<dyn Api>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(serve(options, apis))
}

async fn serve(options: &Options, apis: Vec<Box<dyn Api>>) -> Result<(), String> {
    let state_dir = match &options.state_dir {
        Some(dir) => std::path::absolute(dir).map_err(|error| error.to_string())?,
        None => layout::state_home()?.join("simulator"),
    };
    let simulator_file = match &options.simulator_file {
        Some(file) => std::path::absolute(file).map_err(|error| error.to_string())?,
        None => layout::state_home()?.join("simulator.json"),
    };
    for dir in [Some(state_dir.as_path()), simulator_file.parent()]
        .into_iter()
        .flatten()
    {
        layout::make_private_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let _lock = lock(&state_dir)?;
    let acceptor = tls::acceptor(&state_dir)?;
    let before = last_ports(&state_dir);
    let azure = bind(options.port, before[0], "--port").await?;
    let google = bind(options.google_port, before[1], "--google-port").await?;
    let ports = [port_of(&azure)?, port_of(&google)?];
    layout::write_privately(
        &state_dir.join("ports.json"),
        json!(ports).to_string().as_bytes(),
    )
    .map_err(|error| format!("{}: {error}", state_dir.display()))?;

    let unreadable = |error| format!("{}: {error}", state_dir.display());
    let store = Store::open(&state_dir).map_err(unreadable)?;
    let world = World {
        clock: Clock::new(store.last_at, options.clock_rate),
        store,
        throttle: Throttle::default(),
        faults: Faults::default(),
        place: Place {
            azure: format!("https://127.0.0.1:{}", ports[0]),
            google: format!("http://127.0.0.1:{}", ports[1]),
            state_dir: state_dir.clone(),
        },
        operation_polls: options.operation_polls,
        ending: None,
        last_operation: None,
        principal: None,
        expired_before: None,
        journal: Journal::open(&state_dir).map_err(unreadable)?,
    };
    let server = Arc::new(Server {
        world: Mutex::new(world),
        apis,
        simulator_file,
        ca: state_dir.join("ca.pem"),
        card: Mutex::default(),
        hosts: ports,
    });
    server.seed()?;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let secure = tokio::spawn({
        let (server, stopped) = (Arc::clone(&server), stopped.clone());
        async move { accept(server, azure, Some(acceptor), stopped).await }
    });
    let plain = tokio::spawn({
        let server = Arc::clone(&server);
        async move { accept(server, google, None, stopped).await }
    });
    server.publish();
    let place = server.world().place.clone();
    println!(
        "simulated cloud: azure {}  google {}",
        place.azure, place.google
    );
    wait_for_signal().await?;
    let _ = std::fs::remove_file(&server.simulator_file);
    stop.send_replace(true);
    let both = async { (secure.await.is_ok(), plain.await.is_ok()) };
    let _ = tokio::time::timeout(Duration::from_secs(2), both).await;
    let mut world = server.world();
    let now = world.clock.now();
    world
        .store
        .compact(now)
        .map_err(|error| format!("the state cannot be written: {error}"))
}

async fn wait_for_signal() -> Result<(), String> {
    let wrong = |error| format!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

fn lock(dir: &Path) -> Result<std::fs::File, String> {
    let path = dir.join("lock");
    let file =
        std::fs::File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        format!(
            "another simulator runs on {}; stop it with `paymesh sim down`, or choose another --state-dir",
            dir.display()
        )
    })?;
    Ok(file)
}

fn last_ports(dir: &Path) -> [u16; 2] {
    std::fs::read_to_string(dir.join("ports.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or([0, 0])
}

async fn bind(wanted: u16, before: u16, option: &str) -> Result<TcpListener, String> {
    let port = if wanted == 0 { before } else { wanted };
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        format!(
            "port {port} on 127.0.0.1 cannot be used ({error}); stop what holds it, or choose another with {option}"
        )
    })
}

fn port_of(listener: &TcpListener) -> Result<u16, String> {
    listener
        .local_addr()
        .map(|at| at.port())
        .map_err(|error| error.to_string())
}

async fn accept(
    server: Arc<Server>,
    listener: TcpListener,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            _ = stopped.changed() => return,
        };
        let (server, acceptor) = (Arc::clone(&server), acceptor.clone());
        tokio::spawn(async move { connection(server, stream, acceptor).await });
    }
}

async fn connection(
    server: Arc<Server>,
    stream: TcpStream,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => speak(server, stream, true).await,
            Err(error) => tracing::debug!(%error, "no TLS"),
        },
        None => speak(server, stream, false).await,
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    server: Arc<Server>,
    stream: S,
    secure: bool,
) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        // A task of its own: what a client began is finished even if it hangs up.
        async move {
            let task = tokio::spawn(async move { server.handle(request, secure).await });
            task.await.unwrap_or(Err(Severed))
        }
    });
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Server {
    /// The world, locked.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seed(&self) -> Result<(), String> {
        let mut world = self.world();
        let mut card = Map::new();
        for api in &self.apis {
            card.extend(api.seed(&mut world)?);
        }
        world.commit();
        *self.card.lock().unwrap_or_else(PoisonError::into_inner) = card;
        Ok(())
    }

    /// What the simulator file says.
    pub(super) fn card(&self, world: &World) -> Value {
        let mut card = json!({
            "version": 1,
            "pid": std::process::id(),
            "azure": world.place.azure,
            "google": world.place.google,
            "control": format!("{}/_sim", world.place.azure),
            "ca": self.ca,
            "clock_rate": world.clock.rate(),
            "state_dir": world.place.state_dir,
        });
        let more = self.card.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in more.iter() {
            card[key] = value.clone();
        }
        card
    }

    /// Writes the simulator file.
    pub(super) fn publish(&self) {
        let card = self.card(&self.world());
        let text = serde_json::to_string_pretty(&card).unwrap_or_default();
        if let Err(error) = layout::write_privately(&self.simulator_file, text.as_bytes()) {
            tracing::error!(%error, file = %self.simulator_file.display(), "the simulator file cannot be written");
        }
    }

    /// Forgets everything but the certificate authority and the credentials.
    pub(super) fn reset(&self) -> Result<(), String> {
        let mut world = self.world();
        world.store.clear();
        world.faults.remove(None);
        world.throttle.clear();
        world.journal.clear().map_err(|error| error.to_string())?;
        let now = world.clock.now();
        world
            .store
            .compact(now)
            .map_err(|error| error.to_string())?;
        drop(world);
        self.seed()?;
        self.publish();
        Ok(())
    }

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

    async fn handle(
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
        let stale = rules
            .iter()
            .find(|rule| rule.action == Action::Stale && call.method == "GET");
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
            match self.apis.iter().find(|one| one.name() == api) {
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
        world.journal.end(number, |entry| {
            entry.principal = principal;
            entry.operation = operation;
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
                | Action::LoseZone { .. } => {}
            }
        }
        Ok(None)
    }
}

async fn read(body: Incoming) -> Result<Bytes, Severed> {
    match body.collect().await {
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

fn respond(answer: Answer, garbage: Option<Garbage>) -> Response<Outgoing> {
    const PAGE: &[u8] = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    let mut content_type = "application/json; charset=utf-8";
    let (data, length) = match garbage {
        None => (answer.body.clone(), answer.body.len()),
        Some(Garbage::Empty) => (Bytes::new(), 0),
        Some(Garbage::Html) => {
            content_type = "text/html";
            (Bytes::from_static(PAGE), PAGE.len())
        }
        Some(Garbage::Truncated) => (
            answer.body.slice(..answer.body.len() / 2),
            answer.body.len().max(1),
        ),
    };
    let mut response = Response::new(Outgoing {
        data: Some(data),
        left: length as u64,
        pause: None,
    });
    *response.status_mut() = http::StatusCode::from_u16(answer.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (
            header::HeaderName::try_from(name),
            header::HeaderValue::try_from(value),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    if length > 0 && !response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(content_type),
        );
    }
    response
}

/// A body of announced length; if its data is shorter, the connection breaks at its end.
struct Outgoing {
    data: Option<Bytes>,
    left: u64,
    /// Lets the first half reach the client before the connection breaks.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Severed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Severed>>> {
        const PAUSE: Duration = Duration::from_millis(20);
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            self.left -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(PAUSE)));
        pause.as_mut().poll(cx).map(|()| Some(Err(Severed)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
