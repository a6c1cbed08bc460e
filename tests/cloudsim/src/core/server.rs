//! The server: two loopback listeners, one pipeline for every request, start and stop.
//!
//! A request passes: host check, journal, faults before receipt, body, faults before effect, the
//! cloud's answer under the world's lock, faults after effect, the answer, faults after it.

mod outgoing;
mod pipeline;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};

use super::{
    Api, Clock, Faults, Place, Store, Throttle, World, clock, journal::Journal, layout, tls,
};
use crate::Options;
use outgoing::Severed;

/// The version of what [`Server::export`] writes.
const EXPORT: u32 = 1;

/// Everything a request needs.
pub(super) struct Server {
    world: Mutex<World>,
    pub(super) apis: Vec<Box<dyn Api>>,
    simulator_file: PathBuf,
    ca: PathBuf,
    card: Mutex<Map<String, Value>>,
    hosts: [u16; 2],
}

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
    let about = |dir: &Path, error| format!("{}: {error}", dir.display());
    if let Some(dir) = simulator_file.parent() {
        layout::make_private_dir(dir).map_err(|error| about(dir, error))?;
    }
    layout::take_private_dir(&state_dir).map_err(|error| about(&state_dir, error))?;
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

    let rate = clock::checked_rate(options.clock_rate)?;
    let unreadable = |error| format!("{}: {error}", state_dir.display());
    let store = Store::open(&state_dir).map_err(unreadable)?;
    let world = World {
        clock: Clock::new(store.last_at, rate),
        store,
        throttle: Throttle::default(),
        faults: Faults::default(),
        place: Place {
            azure: format!("https://127.0.0.1:{}", ports[0]),
            google: format!("http://127.0.0.1:{}", ports[1]),
            state_dir: state_dir.clone(),
        },
        operation_polls: options.operation_polls,
        drifts: true,
        ending: None,
        last_operation: None,
        principal: None,
        session: None,
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
        layout::open_privately(&path).map_err(|error| format!("{}: {error}", path.display()))?;
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

/// A port that was asked for is used or refused; the port of the last run is only a preference.
async fn bind(wanted: u16, before: u16, option: &str) -> Result<TcpListener, String> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if wanted == 0 {
        match at(before).await {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                tracing::warn!(%error, before, "the port of the last run is taken; another is used");
            }
        }
    }
    at(wanted).await.map_err(|error| {
        format!(
            "port {wanted} on 127.0.0.1 cannot be used ({error}); stop what holds it, or choose another with {option}"
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
            "console": format!("{}/console", world.place.google),
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

    /// Everything the clouds hold, as one document: objects, operations, states of Terraform. The
    /// journal and the faults are no part of it.
    pub(super) fn export(&self) -> Value {
        let mut world = self.world();
        world.settle(&self.apis);
        world.commit();
        json!({ "version": EXPORT, "at": world.clock.now(), "tables": world.store.export() })
    }

    /// Puts an exported document in the place of everything the clouds hold. Faults end, budgets
    /// are full again, the journal goes on, and time never goes back.
    pub(super) fn import(&self, exported: &Value) -> Result<(), String> {
        if exported["version"] != EXPORT {
            return Err(format!(
                "this is no export of version {EXPORT}; `paymesh sim export` writes one"
            ));
        }
        let mut world = self.world();
        world.store.import(&exported["tables"])?;
        world.faults.remove(None);
        world.throttle.clear();
        world.expired_before = None;
        let ahead = exported["at"].as_i64().unwrap_or(0) - world.clock.now();
        if let Ok(milliseconds @ 1..) = u32::try_from(ahead) {
            let seconds = f64::from(milliseconds) / 1000.0;
            world.clock.obey(&json!({ "step_seconds": seconds }))?;
        }
        let now = world.clock.now();
        world
            .store
            .compact(now)
            .map_err(|error| error.to_string())?;
        drop(world);
        // The credentials are this simulator's own, also when the export is another's.
        self.seed()
    }

    /// Forgets everything but the certificate authority and the credentials; the clock shows the
    /// machine's time again.
    pub(super) fn reset(&self) -> Result<(), String> {
        let mut world = self.world();
        world.store.clear();
        world.faults.remove(None);
        world.throttle.clear();
        world.journal.clear().map_err(|error| error.to_string())?;
        world.clock = Clock::new(0, world.clock.rate());
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
}
