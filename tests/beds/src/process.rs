//! A program with a log.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_for;

/// How long a program may take to end by itself.
const END_MAX: Duration = Duration::from_secs(15);

/// A running program. It is killed when dropped.
pub struct Process {
    name: String,
    child: Option<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts a program that writes to `log`, added to what is there.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|reason| {
                let program = command.get_program().to_string_lossy().into_owned();
                io::Error::new(reason.kind(), format!("{program}: {reason}"))
            })?;
        Ok(Self {
            name: name.to_owned(),
            child: Some(child),
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it wrote, for a message.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.as_mut()?.try_wait() {
            Ok(Some(status)) => Some(format!("{} ended: {status}\n{}", self.name, self.log_end())),
            Ok(None) => None,
            Err(reason) => Some(reason.to_string()),
        }
    }

    /// Sends a signal to it, and to nobody else.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self
            .child
            .as_ref()
            .and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?))
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end with `signal`, and kills it if it does not; says whether it ended by itself.
    pub fn stop(&mut self, signal: Signal) -> bool {
        self.signal(signal);
        let ended = wait_for("the end of a process", END_MAX, || {
            self.ended().ok_or_else(|| "it runs".to_owned())
        });
        self.kill();
        ended.is_ok()
    }

    /// Lets it run on when this handle is dropped; gives its process id.
    pub fn leave(mut self) -> u32 {
        let id = self.id();
        self.child = None;
        id
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether `GET /readyz` on a loopback port answers 200.
pub fn http_is_ready(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = (|| -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })()
    .map_err(|reason| format!("port {port}: {reason}"))?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        let line = answer.lines().next().unwrap_or("nothing");
        Err(format!("port {port}: {line}"))
    }
}
