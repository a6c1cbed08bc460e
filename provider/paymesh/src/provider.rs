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
    codes,
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
            found
                .warning(Path::root(), "The provider's settings are not known yet")
                .code(codes::SETTINGS_NOT_KNOWN)
                .detail("part of the provider block depends on something that does not exist yet; until it does, nothing is asked of the cloud and plans show what is in state")
                .hint("apply what the provider block depends on first, if this plan needs live facts");
            return Some(Session::new(None, None, Engine::new(Clock::real())));
        }
        let settings = Settings::recall(&value, found)?;
        let simulator = match settings.simulator {
            Some(true) => match Simulator::running() {
                Ok(simulator) => Some(simulator),
                Err(missing) => {
                    found
                        .error(Path::root().attribute("simulator"), "No simulated cloud")
                        .code(codes::NO_SIMULATED_CLOUD)
                        .detail(missing.to_string())
                        .hint(missing.remedy());
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
                found
                    .error(
                        Path::root().attribute("simulator"),
                        "The simulator's clock is wrong",
                    )
                    .code(codes::SIMULATORS_CLOCK_WRONG)
                    .detail(bad.to_string())
                    .hint("set another rate with: paymesh sim clock --rate 600");
                return None;
            }
        };
        match self.engine(clock, &value.to_string()) {
            Ok(engine) => Some(Session::new(Some(settings), simulator, engine)),
            Err(why) => {
                found
                    .error(Path::root(), "One process, two configurations")
                    .code(codes::ONE_PROCESS_TWO_CONFIGURATIONS)
                    .detail(why)
                    .hint("start one provider process per configuration");
                None
            }
        }
    }
}
