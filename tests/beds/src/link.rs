//! A wire between two programs that can be cut, one way or both, or made slow.
//!
//! What is sent while the wire is cut waits and arrives when it heals, as TCP would deliver it:
//! nobody is told that anything is wrong.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How one direction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// As it comes.
    Open,
    /// Not at all.
    Cut,
    /// Each piece so much later.
    Slow(Duration),
}

struct Direction {
    flow: Mutex<Flow>,
    changed: Condvar,
}

impl Direction {
    fn open() -> Self {
        Self {
            flow: Mutex::new(Flow::Open),
            changed: Condvar::new(),
        }
    }

    fn set(&self, flow: Flow) {
        *lock(&self.flow) = flow;
        self.changed.notify_all();
    }

    /// Waits until a piece may go on.
    fn pass(&self) {
        let flow = self
            .changed
            .wait_while(lock(&self.flow), |flow| *flow == Flow::Cut)
            .unwrap_or_else(PoisonError::into_inner);
        if let Flow::Slow(by) = *flow {
            drop(flow);
            std::thread::sleep(by);
        }
    }
}

/// A wire to a loopback port. It is cut for good when dropped.
pub struct Link {
    port: u16,
    there: Arc<Direction>,
    back: Arc<Direction>,
    is_gone: Arc<AtomicBool>,
    /// Both ends of every connection.
    open: Arc<Mutex<Vec<Weak<TcpStream>>>>,
}

impl Link {
    /// A wire to `target`.
    pub fn to(target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let link = Self {
            port: listener.local_addr()?.port(),
            there: Arc::new(Direction::open()),
            back: Arc::new(Direction::open()),
            is_gone: Arc::default(),
            open: Arc::default(),
        };
        let (there, back) = (link.there.clone(), link.back.clone());
        let (is_gone, open) = (link.is_gone.clone(), link.open.clone());
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if is_gone.load(Ordering::Relaxed) {
                    return;
                }
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
                // Nobody there: the caller sees its connection closed.
                let Ok(called) = TcpStream::connect(address) else {
                    continue;
                };
                let _ = (caller.set_nodelay(true), called.set_nodelay(true));
                let ends = [Arc::new(caller), Arc::new(called)];
                {
                    let mut open = lock(&open);
                    open.retain(|end| end.strong_count() > 0);
                    open.extend(ends.iter().map(Arc::downgrade));
                }
                let (ends_too, there, back) = (ends.clone(), there.clone(), back.clone());
                std::thread::spawn(move || carry(&ends[0], &ends[1], &there));
                std::thread::spawn(move || carry(&ends_too[1], &ends_too[0], &back));
            }
        });
        Ok(link)
    }

    /// Where callers connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How it carries from now on: from the caller, and back to the caller.
    pub fn set(&self, there: Flow, back: Flow) {
        self.there.set(there);
        self.back.set(back);
    }

    /// Ends every connection that is open; those that are opened afterwards are carried.
    pub fn sever(&self) {
        for end in lock(&self.open).drain(..) {
            if let Some(end) = end.upgrade() {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
        self.set(Flow::Open, Flow::Open);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, direction: &Direction) {
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        direction.pass();
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    direction.pass();
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Carries between two programs until one of them ends.
pub(crate) fn pipe(from: TcpStream, to: TcpStream) {
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let (ends, open) = (Arc::new((from, to)), Arc::new(Direction::open()));
    let (ends_too, open_too) = (ends.clone(), open.clone());
    std::thread::spawn(move || carry(&ends.0, &ends.1, &open));
    std::thread::spawn(move || carry(&ends_too.1, &ends_too.0, &open_too));
}
