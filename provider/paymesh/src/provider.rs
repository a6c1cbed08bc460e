//! The provider: its block, and what it serves.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use paymesh_clock::Clock;
use paymesh_engine::Engine;
use paymesh_plugin::{
    findings::Findings,
    path::Path,
    provider::{Client, Parts, Provider},
    spec::{Attribute, Attributes, Draft},
};

use crate::{
    cluster::{Cluster, credentials::Credentials, lookup::Lookup},
    codes::{self, refuse, warn},
    converge::Resource,
    progress,
    session::Session,
    settings::Settings,
    simulator::Simulator,
};

/// The provider `paymesh`.
#[derive(Default)]
pub struct Paymesh {
    /// The engine of this process, with its locks and claims, once the block is known.
    engine: Mutex<Option<Engine>>,
}

impl Paymesh {
    /// Begins a walk: earlier claims end, and a second, different configuration is refused.
    fn engine(&self, clock: Clock, fingerprint: &str) -> Result<Engine, String> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = engine
            .get_or_insert_with(|| Engine::new(clock).reporting_to(progress::of_this_process()));
        engine.claims().configure(fingerprint)?;
        Ok(engine.clone())
    }
}

#[async_trait]
impl Provider for Paymesh {
    type Config = Settings;
    type Session = Session;

    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/paymesh";

    fn parts(&self) -> Parts<Session> {
        Parts::new()
            .resource(Resource(Cluster))
            .data_source(Lookup)
            .ephemeral(Credentials)
    }

    async fn configure(
        &self,
        config: Draft<Settings>,
        _: Client,
        found: &mut Findings,
    ) -> Option<Session> {
        let value = Settings::draft_value(&config);
        if !value.is_wholly_known() {
            warn(
                found,
                Path::root(),
                &codes::SETTINGS_NOT_KNOWN,
                "part of the provider block depends on something that does not exist yet; until it does, nothing is asked of the cloud and plans show what is in state",
            );
            return Some(Session::new(None, None, Engine::new(Clock::real())));
        }
        let settings = Settings::recall(&value, found)?;
        let simulator = match settings.simulator {
            Some(true) => match Simulator::running() {
                Ok(simulator) => Some(simulator),
                Err(missing) => {
                    let path = Path::root().attribute("simulator");
                    refuse(found, path, &codes::NO_SIMULATED_CLOUD, missing.to_string());
                    return None;
                }
            },
            _ => None,
        };
        let rate = simulator
            .as_ref()
            .map_or(1.0, |simulator| simulator.clock_rate);
        let clock = match Clock::scaled(rate) {
            Ok(clock) => clock,
            Err(bad) => {
                let path = Path::root().attribute("simulator");
                refuse(found, path, &codes::SIMULATORS_CLOCK_WRONG, bad.to_string());
                return None;
            }
        };
        match self.engine(clock, &value.to_string()) {
            Ok(engine) => Some(Session::new(Some(settings), simulator, engine)),
            Err(why) => {
                let row = &codes::ONE_PROCESS_TWO_CONFIGURATIONS;
                refuse(found, Path::root(), row, why);
                None
            }
        }
    }
}
