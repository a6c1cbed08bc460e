//! A small core: does with the provider what Terraform does, as the golden tables tell, and keeps
//! the state in the simulator like any `http` backend.
//!
//! It can die like Terraform: once [`Life::end`] was called, it saves nothing and unlocks nothing.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use paymesh_acceptance::Cloud;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    calls::{Call, Calls, Kind, Private},
    plugin::{Ask, Planned, Provider, Said, Stated, is_nothing, nothing},
    state::{Kept, State},
};

/// The owner in the provider block.
pub const OWNER: &str = "crash/one";

/// The name of the state.
const STATE: &str = "inside";

/// The condition that the documentation recommends: the encoded status of a resource that is done.
const READY: &[u8] = b"\xa6status\xa5Ready";

/// The processes of a run: the core itself, and its provider.
#[derive(Debug, Default)]
pub struct Life {
    is_over: AtomicBool,
    provider: Mutex<Option<Pid>>,
}

impl Life {
    /// SIGKILL to the core and its provider.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.end_provider();
    }

    /// SIGKILL to the provider; whether one ran.
    pub fn end_provider(&self) -> bool {
        let provider = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *provider {
            let _ = kill_process(pid, Signal::KILL);
        }
        provider.is_some()
    }

    fn set(&self, pid: Option<Pid>) {
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner) = pid;
    }

    fn check(&self) -> Result<(), End> {
        if self.is_over.load(Ordering::SeqCst) {
            return Err(End::Killed);
        }
        Ok(())
    }
}

/// How a run ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was killed.
    Killed,
    /// It says what is wrong, and has saved what it knows.
    Failed(String),
}

/// A core with one resource.
#[derive(Debug)]
pub struct Core<'a> {
    cloud: &'a Cloud,
    simulator: PathBuf,
    calls: Calls,
}

/// What a run knows.
struct Run<'r> {
    config: &'r Value,
    state: State,
    planned: Planned,
    doomed: Planned,
    errors: Vec<String>,
    /// Warnings: what a user reads beside the errors.
    warnings: Vec<String>,
    /// A call found that there is nothing to do, or that something else is.
    turn: Option<Turn>,
    /// The replacement is ordered, whatever the plan says.
    is_forced: bool,
}

/// What a plan finds in the place of what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Nothing,
    Gone,
    Replace,
}

impl<'a> Core<'a> {
    /// A core whose providers find the cloud in the file `simulator`.
    pub fn new(cloud: &'a Cloud, simulator: PathBuf) -> Self {
        Self {
            cloud,
            simulator,
            calls: Calls::golden(),
        }
    }

    /// The file that tells its providers where the cloud is.
    pub fn simulator(&self) -> &Path {
        &self.simulator
    }

    /// `apply`: brings the resource to `config`; whether there was anything to do.
    pub fn apply(&self, life: &Life, config: &Value) -> Result<bool, End> {
        self.locked(life, config, |run| {
            self.clear_deposed(life, run)?;
            let title = match &run.state.current {
                None => "create",
                Some(kept) if kept.tainted => "apply a tainted note",
                Some(_) => "update",
            };
            self.replay(life, run, self.calls.of(title))?;
            let again = match run.turn.take() {
                None => return Ok(true),
                Some(Turn::Nothing) => return Ok(false),
                Some(Turn::Gone) => "create",
                Some(Turn::Replace) => "replace, destroying first",
            };
            run.is_forced = true;
            self.replay(life, run, self.calls.of(again))?;
            Ok(true)
        })
    }

    /// `apply -replace`, creating before destroying or the other way round.
    pub fn replace(&self, life: &Life, config: &Value, creates_first: bool) -> Result<bool, End> {
        self.locked(life, config, |run| {
            let title = if creates_first {
                "replace, creating first"
            } else {
                "-replace"
            };
            run.is_forced = true;
            self.replay(life, run, self.calls.of(title))?;
            Ok(true)
        })
    }

    /// `plan`: whether there is anything to do.
    pub fn plan(&self, life: &Life, config: &Value) -> Result<bool, End> {
        self.locked(life, config, |run| {
            if run.state.deposed.is_some() {
                return Ok(true);
            }
            let title = match &run.state.current {
                None => return Ok(true),
                Some(_) => "plan without a change",
            };
            self.replay(life, run, self.calls.of(title))?;
            Ok(run.turn.take() != Some(Turn::Nothing))
        })
    }

    /// `destroy`.
    pub fn destroy(&self, life: &Life, config: &Value) -> Result<bool, End> {
        self.locked(life, config, |run| {
            self.clear_deposed(life, run)?;
            if run.state.current.is_none() {
                return Ok(false);
            }
            run.is_forced = true;
            self.replay(life, run, self.calls.of("destroy"))?;
            Ok(true)
        })
    }

    /// `destroy -refresh=false`: nothing is read and nothing planned but the destruction.
    pub fn destroy_unread(&self, life: &Life, config: &Value) -> Result<bool, End> {
        self.locked(life, config, |run| {
            let calls: Vec<Call> = self
                .calls
                .of("destroy")
                .iter()
                .filter(|call| matches!(call.kind, Kind::PlanDestroy | Kind::ApplyDelete))
                .cloned()
                .collect();
            let mut has_any = false;
            // What is deposed goes first, and with calls of its own.
            while run.state.deposed.is_some() || run.state.current.is_some() {
                has_any = true;
                let before = run.state.count();
                self.replay(life, run, &calls)?;
                if run.state.count() == before {
                    return Err(End::Failed("destroyed, and still in the state".to_owned()));
                }
            }
            Ok(has_any)
        })
    }

    /// Destroys the deposed object, if there is one: the calls are those of a destruction, beside a
    /// plan of the current one.
    fn clear_deposed(&self, life: &Life, run: &mut Run<'_>) -> Result<(), End> {
        if run.state.current.is_none() {
            run.state.current = run.state.deposed.take();
        }
        if run.state.deposed.is_some() {
            run.is_forced = true;
            self.replay(life, run, self.calls.of("destroy"))?;
            run.is_forced = false;
            run.turn = None;
        }
        Ok(())
    }

    /// `taint`.
    pub fn taint(&self) {
        self.edit(|state| {
            if let Some(kept) = &mut state.current {
                kept.tainted = true;
            }
        });
    }

    /// `import`: the state has what bears this id, and nothing else.
    pub fn import(&self, id: &str, config: &Value) {
        let mut provider = Provider::start(&self.simulator);
        let imported = provider.configure(config).and_then(|_| {
            let found = provider.import(id)?;
            provider.read(&found.state, &found.private)
        });
        let Stated {
            state,
            private,
            said,
        } = imported.expect("the provider lives");
        assert!(!is_nothing(&state), "{id} is not imported: {said:?}");
        provider.end();
        let kept = Kept {
            state,
            private,
            tainted: false,
        };
        self.edit(|state| {
            *state = State {
                current: Some(kept),
                deposed: None,
            };
        });
    }

    /// `state rm`.
    pub fn forget(&self) {
        self.edit(|state| *state = State::default());
    }

    fn edit(&self, edit: impl FnOnce(&mut State)) {
        let path = format!("terraform/{STATE}");
        let text = self.cloud.ask(Method::GET, &path, None);
        let mut state = State::read(&text);
        edit(&mut state);
        self.cloud.ask(Method::POST, &path, Some(&state.write()));
    }

    /// Whether the state holds nothing, or was never saved.
    pub fn is_empty(&self) -> bool {
        let path = format!("terraform/{STATE}");
        let state = self.cloud.try_ask(Method::GET, &path, None);
        let state = state.expect("the cloud shows the state");
        state["current"].is_null() && state["deposed"].is_null()
    }

    /// Removes the lock that a killed run left.
    pub fn unlock(&self) -> bool {
        let is_locked = self.cloud.lock_of(STATE).is_some();
        if is_locked {
            self.cloud
                .ask(word("UNLOCK"), &format!("terraform/{STATE}"), None);
        }
        is_locked
    }

    /// Runs `work` with the state locked and read; saves it and unlocks, unless killed.
    fn locked(
        &self,
        life: &Life,
        config: &Value,
        work: impl FnOnce(&mut Run<'_>) -> Result<bool, End>,
    ) -> Result<bool, End> {
        let path = format!("terraform/{STATE}");
        let lock = json!({ "ID": "inside" });
        self.send(life, word("LOCK"), &path, Some(&lock))?;
        let before = self.send(life, Method::GET, &path, None)?;
        let mut run = Run {
            config,
            state: State::read(&before),
            planned: Planned::default(),
            doomed: Planned::default(),
            errors: Vec::new(),
            warnings: Vec::new(),
            turn: None,
            is_forced: false,
        };
        let outcome = work(&mut run);
        life.set(None);
        life.check()?;
        let after = run.state.write();
        if after != before {
            let path = format!("{path}?ID=inside");
            self.send(life, Method::POST, &path, Some(&after))?;
        }
        self.send(life, word("UNLOCK"), &path, Some(&lock))?;
        outcome
    }

    fn send(
        &self,
        life: &Life,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, End> {
        life.check()?;
        let answer = self.cloud.try_ask(method, path, body);
        life.check()?;
        answer.map_err(|why| End::Failed(format!("the state: {why}")))
    }

    /// Makes these calls, each process in its turn.
    fn replay(&self, life: &Life, run: &mut Run<'_>, calls: &[Call]) -> Result<(), End> {
        let mut processes = calls.chunk_by(|a, b| a.process == b.process);
        processes.try_for_each(|calls| {
            if run.turn.is_some() {
                return Ok(());
            }
            life.check()?;
            let mut provider = Provider::start(&self.simulator);
            life.set(Some(provider.pid()));
            life.check()?;
            let outcome = provider
                .configure(run.config)
                .map_err(|status| lost(&status))
                .and_then(Said::check)
                .and_then(|()| {
                    calls
                        .iter()
                        .try_for_each(|call| run.make(&mut provider, call))
                });
            life.set(None);
            life.check()?;
            provider.end();
            life.check()?;
            outcome?;
            match run.errors.as_slice() {
                [] => Ok(()),
                errors => Err(End::Failed([errors, &run.warnings].concat().join("\n"))),
            }
        })
    }
}

fn word(method: &str) -> Method {
    Method::from_bytes(method.as_bytes()).expect("it is a word")
}

fn lost(status: &Status) -> End {
    End::Failed(format!("the provider is gone: {status}"))
}

impl Said {
    fn check(self) -> Result<(), End> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(End::Failed(self.errors.join("\n")))
        }
    }
}

impl Run<'_> {
    /// Makes one call and keeps what it says.
    fn make(&mut self, provider: &mut Provider, call: &Call) -> Result<(), End> {
        if self.turn.is_some() {
            return Ok(());
        }
        // What a destruction works on: a deposed object before the current one.
        let target = self.state.deposed.clone().or(self.state.current.clone());
        let object = match call.kind {
            Kind::PlanDestroy | Kind::ApplyDelete => target,
            Kind::Read | Kind::Plan | Kind::Apply => self.state.current.clone(),
        };
        let ask = Ask {
            prior: match &object {
                Some(kept) if call.prior => kept.state.clone(),
                _ => nothing(),
            },
            private: match call.private {
                Private::Nothing => Vec::new(),
                Private::Planned => self.planned.private.clone(),
                Private::Applied => object.map(|kept| kept.private).unwrap_or_default(),
                Private::Doomed => self.doomed.private.clone(),
            },
            config: self.config.clone(),
            planned: self.planned.state.clone(),
        };
        match call.kind {
            Kind::Read => {
                let read = provider
                    .read(&ask.prior, &ask.private)
                    .map_err(|status| lost(&status))?;
                read.said.clone().check()?;
                if is_nothing(&read.state) {
                    self.state.current = None;
                    self.turn = Some(Turn::Gone);
                } else if let Some(kept) = &mut self.state.current {
                    kept.state = read.state;
                    kept.private = read.private;
                }
                Ok(())
            }
            Kind::Plan => {
                self.planned = provider.plan(&ask).map_err(|status| lost(&status))?;
                self.planned.said.clone().check()?;
                if call.prior && !self.is_forced {
                    if self.planned.replaces {
                        self.turn = Some(Turn::Replace);
                    } else if self.planned.state == ask.prior {
                        self.turn = Some(Turn::Nothing);
                    }
                }
                Ok(())
            }
            Kind::PlanDestroy => {
                let ask = Ask {
                    config: Value::Null,
                    ..ask
                };
                self.doomed = provider.plan(&ask).map_err(|status| lost(&status))?;
                self.doomed.said.clone().check()
            }
            Kind::Apply => self.apply(provider, &ask),
            Kind::ApplyDelete => self.delete(provider, ask),
        }
    }

    fn apply(&mut self, provider: &mut Provider, ask: &Ask) -> Result<(), End> {
        let answer = self.answered(provider.apply(ask))?;
        let Stated {
            state,
            private,
            said,
        } = answer;
        let is_new = is_nothing(&ask.prior);
        if !is_nothing(&state) {
            let is_ready = state.windows(READY.len()).any(|bytes| bytes == READY);
            if !is_ready && said.errors.is_empty() {
                self.errors.push("the cluster is not ready yet".to_owned());
            }
            let kept = Kept {
                state,
                private,
                tainted: is_new && !said.errors.is_empty(),
            };
            if is_new && self.state.current.is_some() {
                self.state.deposed = self.state.current.take();
            }
            self.state.current = Some(kept);
        }
        self.errors.extend(said.errors);
        self.warnings.extend(said.warnings);
        Ok(())
    }

    /// What the provider answered. Of one that died while it changed an object, Terraform keeps the
    /// state before, without its private data.
    fn answered(&mut self, answer: Result<Stated, Status>) -> Result<Stated, End> {
        if answer.is_err() {
            let State { current, deposed } = &mut self.state;
            if let Some(kept) = deposed.as_mut().or(current.as_mut()) {
                kept.private.clear();
            }
        }
        answer.map_err(|status| lost(&status))
    }

    fn delete(&mut self, provider: &mut Provider, ask: Ask) -> Result<(), End> {
        let ask = Ask {
            config: Value::Null,
            planned: nothing(),
            ..ask
        };
        let answer = self.answered(provider.apply(&ask))?;
        let left = (!is_nothing(&answer.state)).then(|| Kept {
            state: answer.state,
            private: answer.private,
            tainted: self.state.current.as_ref().is_some_and(|kept| kept.tainted),
        });
        if self.state.deposed.is_some() {
            self.state.deposed = left;
        } else {
            self.state.current = left;
        }
        answer.said.check()
    }
}
