//! One run of the client: while it runs, and what came of it.

use std::{
    fmt,
    fs::File,
    os::unix::{fs::FileExt, process::ExitStatusExt},
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::family;

/// The longest that one run may take.
const RUN_SECONDS_MAX: u64 = 240;

/// A client that runs, in a process group of its own.
#[derive(Debug)]
pub struct Running {
    pub(crate) words: String,
    pub(crate) child: Child,
    pub(crate) output: File,
    pub(crate) started: Instant,
}

/// A run that ended.
#[derive(Debug)]
pub struct Run {
    words: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, both streams.
    pub output: String,
    /// How long it took.
    pub duration: Duration,
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ctrl-C: SIGINT to the client and to everything it started, as a terminal does.
    pub fn interrupt(&self) {
        let _ = kill_process_group(self.pid(), Signal::INT);
    }

    /// Waits until it has printed `words`.
    #[track_caller]
    pub fn wait_for(&self, words: &str) {
        let limit = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
        while !self.printed().contains(words) {
            assert!(
                Instant::now() < limit,
                "{words:?} is not said: {}",
                self.printed()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it prints `words` within `limit`.
    pub fn says_within(&self, words: &str, limit: Duration) -> bool {
        let limit = Instant::now() + limit;
        while !self.printed().contains(words) {
            if Instant::now() > limit {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Whether a provider runs for it.
    pub fn has_provider(&self) -> bool {
        !family::children(self.pid()).is_empty()
    }

    /// SIGKILL to the client and to everything it started.
    pub fn kill(self) -> Run {
        let _ = kill_process_group(self.pid(), Signal::KILL);
        self.end()
    }

    /// SIGKILL to the provider alone, then `meanwhile`; the client ends by itself.
    pub fn kill_provider(self, meanwhile: impl FnOnce()) -> Run {
        for provider in family::children(self.pid()) {
            let _ = kill_process(provider, Signal::KILL);
        }
        meanwhile();
        self.end()
    }

    /// SIGKILL to the client alone, then `meanwhile`; the provider has to notice and end by itself.
    pub fn kill_client(self, meanwhile: impl FnOnce()) -> Run {
        let providers = family::children(self.pid());
        let _ = kill_process(self.pid(), Signal::KILL);
        let run = self.end();
        meanwhile();
        family::wait_for_the_end_of(&providers);
        run
    }

    /// Waits for the end.
    pub fn end(mut self) -> Run {
        let limit = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            if Instant::now() > limit {
                let _ = kill_process_group(self.pid(), Signal::KILL);
                let _ = self.child.wait();
                let printed = self.printed();
                panic!(
                    "{} did not end within {RUN_SECONDS_MAX} s:\n{printed}",
                    self.words
                );
            }
            thread::sleep(Duration::from_millis(5));
        };
        Run {
            status,
            output: self.printed(),
            duration: self.started.elapsed(),
            words: self.words,
        }
    }

    /// What it has printed so far. The client writes through the same file description, so its
    /// place must not be moved.
    fn printed(&self) -> String {
        let length = self.output.metadata().map_or(0, |about| about.len());
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.output.read_at(&mut bytes, 0).unwrap_or(0);
        bytes.truncate(read);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[allow(
    clippy::return_self_not_must_use,
    reason = "a check is often the last word of a test"
)]
impl Run {
    /// Whether SIGKILL ended the client.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// It must have exit code 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert!(self.status.success(), "{self}");
        self
    }

    /// It must have exit code 1, and its output (spaces and frames aside) must hold `words`.
    #[track_caller]
    pub fn fails_with(self, words: &str) -> Self {
        assert_eq!(self.status.code(), Some(1), "{self}");
        self.says(words)
    }

    /// Its output (spaces and frames aside) must hold `words`.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.text().contains(words),
            "{words:?} is not said by {self}"
        );
        self
    }

    /// Its output as one line, without the frames that the client draws around messages.
    pub fn text(&self) -> String {
        let plain = self.output.replace(['│', '╷', '╵'], " ");
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}):\n{}", self.words, self.status, self.output)
    }
}
