//! What stands before several replicas of a program and sends callers to those that say that they are
//! ready, in turn. A connection stays where it was sent, as it does behind a Service of Kubernetes.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{link::pipe, process::http_is_ready};

/// How often replicas are asked whether they are ready.
const PROBE: Duration = Duration::from_millis(50);

/// A replica.
#[derive(Clone, Copy, Debug)]
struct Place {
    port: u16,
    health: u16,
    is_ready: bool,
    /// Whether callers are sent elsewhere whatever it says.
    is_out: bool,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    /// How many callers were sent somewhere.
    sent: usize,
}

impl Places {
    fn next(&mut self) -> Option<u16> {
        let ready = self
            .all
            .iter()
            .filter(|place| place.is_ready && !place.is_out);
        let ready: Vec<u16> = ready.map(|place| place.port).collect();
        self.sent += 1;
        (!ready.is_empty()).then(|| ready[self.sent % ready.len()])
    }
}

/// Sends callers to replicas. It ends when dropped; connections that are open live on.
pub struct Balancer {
    port: u16,
    places: Arc<Mutex<Places>>,
    is_gone: Arc<AtomicBool>,
}

impl Balancer {
    /// A balancer without replicas.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let balancer = Self {
            port: listener.local_addr()?.port(),
            places: Arc::default(),
            is_gone: Arc::default(),
        };
        let (places, is_gone) = (balancer.places.clone(), balancer.is_gone.clone());
        std::thread::spawn(move || probe(&places, &is_gone));
        let (places, is_gone) = (balancer.places.clone(), balancer.is_gone.clone());
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if is_gone.load(Ordering::Relaxed) {
                    return;
                }
                // Nobody is ready, or nobody there: the caller sees its connection closed.
                let Some(port) = lock(&places).next() else {
                    continue;
                };
                if let Ok(called) = TcpStream::connect(at(port)) {
                    pipe(caller, called);
                }
            }
        });
        Ok(balancer)
    }

    /// Where callers connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// One more replica that serves on `port`, and says on `health` whether it is ready.
    pub fn add(&self, port: u16, health: u16) {
        lock(&self.places).all.push(Place {
            port,
            health,
            is_ready: false,
            is_out: false,
        });
    }

    /// Sends nobody to a replica any more, whatever it says, or as it says again.
    pub fn take_out(&self, port: u16, is_out: bool) {
        for place in &mut lock(&self.places).all {
            if place.port == port {
                place.is_out = is_out;
            }
        }
    }

    /// Whether callers are sent to a replica.
    pub fn sends_to(&self, port: u16) -> bool {
        let places = lock(&self.places);
        let sent = |place: &Place| place.port == port && place.is_ready && !place.is_out;
        places.all.iter().any(sent)
    }

    /// Where the next caller is sent.
    pub fn next(&self) -> Option<u16> {
        lock(&self.places).next()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(at(self.port));
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

fn probe(places: &Mutex<Places>, is_gone: &AtomicBool) {
    while !is_gone.load(Ordering::Relaxed) {
        let asked: Vec<u16> = lock(places).all.iter().map(|place| place.health).collect();
        for health in asked {
            let is_ready = http_is_ready(health).is_ok();
            for place in &mut lock(places).all {
                if place.health == health {
                    place.is_ready = is_ready;
                }
            }
        }
        std::thread::sleep(PROBE);
    }
}
