//! A wire that understands what it carries: it counts the steps of a conversation, and can hold
//! one of them back for ever, so that a program can be killed exactly there.

mod kafka;

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::wait::{Late, wait_for};

/// What is spoken on the wire.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// Statements sent, and what was committed answered, on connections that prepare a statement which
    /// starts with this text.
    Postgres(&'static str),
    /// Frames of HTTP/2 that carry headers or data, both ways.
    Http2,
    /// Kafka's: records that are put, records that are fetched, offsets that are committed.
    Kafka,
}

/// The step that is held back.
#[derive(Clone, Copy, Debug)]
pub enum Trap {
    /// With this number, the first being 0.
    Number(usize),
    /// The first whose name starts so.
    Name(&'static str),
    /// Of those with this name the one behind so many others.
    Behind(&'static str, usize),
}

impl Trap {
    /// Whether it holds back a step that comes behind these.
    fn holds(self, steps: &[String], name: &str) -> bool {
        match self {
            Self::Number(wanted) => steps.len() == wanted,
            Self::Name(start) => name.starts_with(start),
            Self::Behind(wanted, others) => {
                name == wanted && steps.iter().filter(|step| *step == name).count() == others
            }
        }
    }
}

#[derive(Default)]
struct Counted {
    steps: Vec<String>,
    trap: Option<Trap>,
    sprung: Option<String>,
    /// Grows with every reset: what was held back before is dropped then.
    round: u64,
}

#[derive(Default)]
struct State {
    counted: Mutex<Counted>,
    changed: Condvar,
    is_gone: AtomicBool,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a step; false, much later, if it must not go on.
    fn step(&self, name: String) -> bool {
        let mut counted = self.lock();
        let trap = counted.trap.filter(|_| counted.sprung.is_none());
        let is_trapped = trap.is_some_and(|trap| trap.holds(&counted.steps, &name));
        counted.steps.push(name.clone());
        if !is_trapped {
            return true;
        }
        counted.sprung = Some(name);
        let round = counted.round;
        drop(
            self.changed
                .wait_while(counted, |counted| counted.round == round),
        );
        false
    }
}

/// A wire to a loopback port whose steps are counted.
pub struct Tap {
    port: u16,
    state: Arc<State>,
}

impl Tap {
    /// A wire to `target`.
    pub fn to(target: u16, protocol: Protocol) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tap = Self {
            port: listener.local_addr()?.port(),
            state: Arc::default(),
        };
        let state = tap.state.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if state.is_gone.load(Ordering::Relaxed) {
                    return;
                }
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
                let Ok(called) = TcpStream::connect(address) else {
                    continue;
                };
                let _ = (caller.set_nodelay(true), called.set_nodelay(true));
                if let (Ok(caller_too), Ok(called_too)) = (caller.try_clone(), called.try_clone()) {
                    let there = Ear::new(&protocol);
                    let back = there.other();
                    let (state, state_too) = (state.clone(), state.clone());
                    std::thread::spawn(move || carry(caller, called, there, &state));
                    std::thread::spawn(move || carry(called_too, caller_too, back, &state_too));
                }
            }
        });
        Ok(tap)
    }

    /// Where callers connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Counts from the beginning; holds one step back, if asked to.
    pub fn reset(&self, trap: Option<Trap>) {
        let mut counted = self.state.lock();
        counted.steps.clear();
        counted.trap = trap;
        counted.sprung = None;
        counted.round += 1;
        self.state.changed.notify_all();
    }

    /// The steps since the last reset.
    pub fn steps(&self) -> Vec<String> {
        self.state.lock().steps.clone()
    }

    /// Waits until a step is held back; says which.
    pub fn wait_until_sprung(&self, limit: Duration) -> Result<String, Late> {
        wait_for("a step to hold back", limit, || {
            let counted = self.state.lock();
            counted
                .sprung
                .clone()
                .ok_or_else(|| format!("{} steps", counted.steps.len()))
        })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.state.is_gone.store(true, Ordering::Relaxed);
        self.reset(None);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut ear: Ear, state: &State) {
    let (mut piece, mut waiting) = ([0; 16 * 1024], Vec::new());
    'open: while let Ok(length @ 1..) = from.read(&mut piece) {
        waiting.extend_from_slice(&piece[..length]);
        while let Some(length) = ear.length(&waiting) {
            let message: Vec<u8> = waiting.drain(..length).collect();
            let goes_on = ear.hear(&message).is_none_or(|step| state.step(step));
            if !goes_on || to.write_all(&message).is_err() {
                break 'open;
            }
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Takes one direction of a connection apart.
struct Ear {
    protocol: Protocol,
    is_caller: bool,
    has_greeted: bool,
    /// Whether this connection is one whose steps count; both directions know.
    is_counted: Arc<AtomicBool>,
    /// PostgreSQL: texts by the name they were prepared under, the one bound last, and what a write was
    /// called that was done last.
    statements: HashMap<Vec<u8>, String>,
    bound: String,
    written: Option<String>,
    /// Kafka: what was asked for.
    asked: kafka::Open,
}

/// What a client of HTTP/2 says first.
const PREFACE_BYTES: usize = 24;

impl Ear {
    /// For what the caller of a connection sends.
    fn new(protocol: &Protocol) -> Self {
        Self {
            protocol: protocol.clone(),
            is_caller: true,
            has_greeted: matches!(protocol, Protocol::Kafka),
            is_counted: Arc::default(),
            statements: HashMap::new(),
            bound: String::new(),
            written: None,
            asked: kafka::Open::default(),
        }
    }

    /// For what is sent back.
    fn other(&self) -> Self {
        Self {
            is_caller: false,
            has_greeted: true,
            is_counted: self.is_counted.clone(),
            asked: self.asked.clone(),
            ..Self::new(&self.protocol)
        }
    }

    /// How long the first message in `bytes` is, if it is there as a whole.
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let number = |at: usize, count: usize| {
            let digits = bytes.get(at..at + count)?;
            Some(
                digits
                    .iter()
                    .fold(0, |number, byte| number << 8 | usize::from(*byte)),
            )
        };
        let length = match (&self.protocol, self.has_greeted) {
            (Protocol::Postgres(_), false) => number(0, 4)?,
            (Protocol::Postgres(_), true) => 1 + number(1, 4)?,
            (Protocol::Http2, false) => PREFACE_BYTES,
            (Protocol::Http2, true) => 9 + number(0, 3)?,
            (Protocol::Kafka, _) => 4 + number(0, 4)?,
        };
        (bytes.len() >= length).then_some(length)
    }

    /// The step that a message is, if it counts.
    fn hear(&mut self, message: &[u8]) -> Option<String> {
        if !self.has_greeted {
            self.has_greeted = true;
            return None;
        }
        match self.protocol {
            Protocol::Postgres(mark) => self.hear_postgres(message, mark),
            Protocol::Http2 => {
                let arrow = if self.is_caller { '>' } else { '<' };
                match (message[3], message.len() > 9) {
                    (0, true) => Some(format!("{arrow} data")),
                    (1, _) => Some(format!("{arrow} headers")),
                    _ => None,
                }
            }
            Protocol::Kafka => {
                let step = if self.is_caller {
                    self.asked.request(message)
                } else {
                    self.asked.answer(message)
                };
                step.map(str::to_owned)
            }
        }
    }

    fn hear_postgres(&mut self, message: &[u8], mark: &str) -> Option<String> {
        let body = &message[5..];
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
        let step = match (self.is_caller, message[0]) {
            (true, b'P') => {
                let (name, statement) = (text(), text());
                if statement.starts_with(mark) {
                    self.is_counted.store(true, Ordering::Relaxed);
                }
                self.statements.insert(name.into_bytes(), statement);
                return None;
            }
            (true, b'B') => {
                let (_, name) = (text(), text());
                let known = self.statements.get(name.as_bytes());
                self.bound = known.cloned().unwrap_or_default();
                return None;
            }
            (true, b'E') => short(&self.bound),
            (true, b'Q') => text(),
            (false, b'C') if body.starts_with(b"COMMIT") => {
                self.written = None;
                "COMMIT is answered".to_owned()
            }
            (false, b'C') => {
                let writes = ["INSERT", "UPDATE", "DELETE"];
                let done = writes.iter().find(|word| body.starts_with(word.as_bytes()));
                self.written = done.map(|word| format!("{word} is answered"));
                return None;
            }
            // In no transaction: what was written was one by itself.
            (false, b'Z') if body == b"I" => self.written.take()?,
            _ => return None,
        };
        self.is_counted.load(Ordering::Relaxed).then_some(step)
    }
}

/// The beginning of a statement, enough to know it by; of one that writes to several tables, which.
fn short(statement: &str) -> String {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let written: Vec<(&str, &str)> = words.windows(3).filter_map(|three| write(three)).collect();
    if written.len() < 2 {
        let start = words.join(" ");
        return start.chars().take(36).collect();
    }
    let same_verb = |one: &(&str, &str), other: &(&str, &str)| one.0 == other.0;
    let parts = written.chunk_by(same_verb).map(|part| {
        let tables: Vec<&str> = part.iter().map(|(_, table)| *table).collect();
        format!("{} {}", part[0].0, tables.join(", "))
    });
    parts.collect::<Vec<String>>().join("; ")
}

/// Whether a word, the first in brackets perhaps, begins to write.
fn verb(word: &str) -> Option<&str> {
    let word = word.trim_start_matches('(');
    ["insert", "update"].contains(&word).then_some(word)
}

/// How three words write, and to which table. `on conflict do update set` names none.
fn write<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    match (verb(words[0])?, words) {
        ("update", [_, "set", _]) => None,
        (verb @ "insert", [_, "into", table]) | (verb @ "update", [_, table, _]) => {
            Some((verb, table))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_its_beginning_or_by_what_it_writes_to() {
        assert_eq!(
            short("select o.id,\n  o.consumer"),
            "select o.id, o.consumer"
        );
        let one = "insert into dispute (id) select $1 on conflict (id) do update set status = 1";
        assert_eq!(short(one), "insert into dispute (id) select $1 o");
        let two = format!(
            "with part_0 as ({one}), part_1 as (insert into event (id) select $2) update outbox o set a = 1"
        );
        assert_eq!(short(&two), "insert dispute, event; update outbox");
    }
}
