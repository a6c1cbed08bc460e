//! SIGKILL at every write request of a procedure, and at the saving of the state, with whatever
//! Terraform there is: one ordinary run must end it.
//!
//! One configuration holds a cluster of each cloud, so that one case cuts both at their k-th write.

use std::fmt::Write as _;

use paymesh_acceptance::Cloud;
use serde_json::json;

use crate::{
    Api, Kill, Point, Procedure, Site,
    bed::{Bed, Case},
    ending::Ending,
    table::Recovered,
};

const KILLS: [Kill; 3] = [Kill::Both, Kill::Provider, Kill::Client];

/// The writes of one procedure.
pub struct Writes<'a> {
    bed: Bed<'a>,
    procedure: Procedure,
}

impl<'a> Writes<'a> {
    /// Records the procedure.
    pub fn of(cloud: &'a Cloud, procedure: Procedure) -> Self {
        cloud.clock(&json!({ "drift": false }));
        let mut procedures = vec![Procedure::Create, procedure];
        procedures.dedup();
        Self {
            bed: Bed::new(cloud, &Api::ALL, &procedures),
            procedure,
        }
    }

    /// The points, by cloud, numbered.
    pub fn points(&self) -> String {
        let mut text = String::new();
        for api in Api::ALL {
            for (number, point) in self.on(api).iter().enumerate() {
                let _ = writeln!(text, "{} {point}", number + 1);
            }
        }
        text
    }

    /// Cuts at every point, before and after its effect; the first case that is not well ended.
    pub fn kill_everywhere(&self) -> Result<(), String> {
        let all = Api::ALL.map(|api| self.on(api));
        let count = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut cases: Vec<Vec<Point>> = (0..count)
            .map(|number| {
                let of = all.iter().filter_map(|points| points.get(number));
                of.copied().cloned().collect()
            })
            .collect();
        let recorded = self.bed.recording(self.procedure).points.iter();
        let saving = recorded.filter(|point| point.saves());
        cases.extend(saving.map(|point| vec![point.clone()]));
        for has_effect in [false, true] {
            for (number, points) in cases.iter().enumerate() {
                let kill = KILLS[(usize::from(has_effect) + number) % KILLS.len()];
                let site = match kill {
                    _ if !has_effect && number % 2 == 0 => Site::BeforeReceipt,
                    _ if !has_effect => Site::BeforeEffect,
                    // The provider lives, and must not go on.
                    Kill::Client if !points[0].saves() => Site::AfterAnswer,
                    _ => Site::AfterEffect,
                };
                self.check(&Case {
                    procedure: self.procedure,
                    points: points.clone(),
                    site,
                    kill,
                    ending: Ending::Applied,
                })?;
            }
        }
        Ok(())
    }

    fn check(&self, case: &Case) -> Result<(), String> {
        let text = self.bed.text(case);
        let outcome = self.bed.run(case).and_then(Recovered::within_limits);
        match outcome {
            Ok(recovered) if recovered.applies == 1 => {
                println!("{text}: recovered");
                Ok(())
            }
            Ok(recovered) => Err(format!("{text}: took {} applies", recovered.applies)),
            Err(why) => Err(format!("{text}: {why}")),
        }
    }

    fn on(&self, api: Api) -> Vec<&Point> {
        let recording = self.bed.recording(self.procedure);
        recording.writes().filter(|it| it.is_of(api)).collect()
    }
}
