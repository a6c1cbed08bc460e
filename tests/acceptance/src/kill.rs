//! Kill and recover: a run is cut at each of its write requests, and an ordinary run must end it.
//!
//! A fault-free run numbers the write requests of a procedure. Then, for every one of them, before
//! and after its effect, the procedure runs again until that request is held, and the provider, the
//! client, or both get SIGKILL. What follows is what a user does: `force-unlock` if the kill left a
//! lock, and the same command again. The judge is the simulator: what exists, and what was deleted.
//!
//! The procedure works on one cluster of each cloud, so that one case cuts both at their k-th
//! request. Every case starts and ends with an empty cloud.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Cloud, Fault, Point, Run, Running, Workspace};

/// The longest that a request may take once it is no longer held.
const EFFECT_SECONDS_MAX: u64 = 10;

/// The sites at which a request is held.
const SITES: [&str; 2] = ["before_effect", "after_effect"];

/// What gets SIGKILL.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// Everything; the held request never goes on.
    Both,
    /// The provider; its request reaches the cloud nevertheless.
    Provider,
    /// The client; the provider gets its answer, and must not go on.
    Client,
}

const VICTIMS: [Victim; 3] = [Victim::Both, Victim::Provider, Victim::Client];

/// One procedure, recorded without a fault.
#[derive(Debug)]
pub struct Matrix {
    before: Option<String>,
    after: Option<String>,
    points: Vec<Point>,
    deleted: Vec<String>,
    inventory: Vec<String>,
}

impl Matrix {
    /// Records the procedure that leads from one configuration to another; none is an empty cloud.
    pub fn record(before: Option<&str>, after: Option<&str>) -> Self {
        let cloud = Cloud::start();
        let mut matrix = Self {
            before: before.map(ToOwned::to_owned),
            after: after.map(ToOwned::to_owned),
            points: Vec::new(),
            deleted: Vec::new(),
            inventory: Vec::new(),
        };
        let workspace = Workspace::new(&cloud, matrix.configuration());
        let since = matrix.set_up(&cloud, &workspace);
        matrix.start(&workspace).end().succeeds();
        matrix.points = cloud.points(since);
        // What goes on side by side has no order of its own.
        matrix.points.sort_by_key(ToString::to_string);
        matrix.deleted = cloud.deleted(since);
        matrix.inventory = cloud.inventory();
        matrix
    }

    /// The points, by cloud, numbered.
    pub fn points(&self) -> String {
        let mut text = String::new();
        for api in ["azure", "google"] {
            for (number, point) in self.of(api).enumerate() {
                let _ = writeln!(text, "{} {point}", number + 1);
            }
        }
        text
    }

    /// Cuts at every point, and at the saving of the state, before and after the effect.
    pub fn kill_everywhere(&self) {
        let cloud = Cloud::start();
        // Operations end by a fast clock: those of a killed run are polled by nobody.
        cloud.clock(&json!({ "rate": 600.0, "operation_polls": null }));
        let workspace = Workspace::new(&cloud, self.configuration());
        let saving = Point::saving_of(&workspace.state_name());
        let count = ["azure", "google"].map(|api| self.of(api).count());
        let count = count.into_iter().max().unwrap_or(0);
        let mut cases: Vec<Vec<&Point>> = (0..count)
            .map(|number| {
                let of = |api| self.of(api).nth(number);
                [of("azure"), of("google")].into_iter().flatten().collect()
            })
            .collect();
        cases.push(vec![&saving]);
        for (row, site) in SITES.into_iter().enumerate() {
            for (number, points) in cases.iter().enumerate() {
                let victim = VICTIMS[(row + number) % VICTIMS.len()];
                self.check_case(&cloud, &workspace, points, site, victim);
            }
        }
    }

    fn check_case(
        &self,
        cloud: &Cloud,
        workspace: &Workspace<'_>,
        points: &[&Point],
        site: &str,
        victim: Victim,
    ) {
        let names: Vec<String> = points.iter().map(ToString::to_string).collect();
        let case = format!("{victim:?} killed {site} of {}", names.join(" and "));
        let since = self.set_up(cloud, workspace);
        let killed = self.cut(cloud, workspace, points, site, victim);
        let is_locked = workspace.unlock();
        let client_died = !matches!(victim, Victim::Provider);
        assert_eq!(
            is_locked, client_died,
            "{case}: a lock is left by a killed client only; {killed}"
        );

        let recovery = self.start(workspace).end();
        assert!(
            recovery.status.success(),
            "{case}: {recovery}\nafter {killed}"
        );
        assert_eq!(
            cloud.inventory(),
            self.inventory,
            "{case}: {recovery}\nafter {killed}"
        );
        let harm: Vec<String> = cloud
            .deleted(since)
            .into_iter()
            .filter(|path| !self.deleted.contains(path))
            .collect();
        assert_eq!(harm, Vec::<String>::new(), "{case}: deleted without need");
        if self.after.is_some() {
            let plan = workspace.plan();
            assert_eq!(
                plan.status.code(),
                Some(0),
                "{case}: {plan}\nafter {recovery}"
            );
            let destroyed = workspace.destroy();
            assert!(destroyed.status.success(), "{case}: {destroyed}");
        }
        assert_eq!(
            cloud.inventory(),
            Vec::<String>::new(),
            "{case}: left by destroy"
        );
        assert_eq!(workspace.state(), [], "{case}: left in state");
        println!("{case}: recovered");
    }

    /// Runs the procedure until every point is held, kills, and lets the cloud come to rest.
    fn cut(
        &self,
        cloud: &Cloud,
        workspace: &Workspace<'_>,
        points: &[&Point],
        site: &str,
        victim: Victim,
    ) -> Run {
        let faults: Vec<_> = points
            .iter()
            .map(|point| cloud.hold_at(point, site))
            .collect();
        let running = self.start(workspace);
        let mut held = Vec::new();
        for (fault, point) in faults.iter().zip(points) {
            match fault.held() {
                Some(number) => held.push(number),
                None => panic!("{point} was not reached by {}", running.kill()),
            }
        }
        let killed = match victim {
            Victim::Both => {
                let killed = running.kill();
                faults.into_iter().for_each(Fault::cut);
                killed
            }
            Victim::Provider => running.kill_provider(|| release(faults)),
            Victim::Client => running.kill_client(|| release(faults)),
        };
        let limit = Instant::now() + Duration::from_secs(EFFECT_SECONDS_MAX);
        while let Some(number) = held.iter().find(|number| !is_over(cloud, **number)) {
            assert!(Instant::now() < limit, "request {number} does not end");
            thread::sleep(Duration::from_millis(5));
        }
        killed
    }

    /// Brings the cloud to where the procedure starts; the last request so far.
    fn set_up(&self, cloud: &Cloud, workspace: &Workspace<'_>) -> u64 {
        if let Some(before) = &self.before {
            workspace.configure(before);
            workspace.apply().succeeds();
        }
        workspace.configure(self.configuration());
        cloud.last_request()
    }

    fn start(&self, workspace: &Workspace<'_>) -> Running {
        let word = if self.after.is_some() {
            "apply"
        } else {
            "destroy"
        };
        workspace.start(&[word, "-auto-approve"])
    }

    /// The configuration during the procedure.
    fn configuration(&self) -> &str {
        let either = self.after.as_ref().or(self.before.as_ref());
        either.expect("a procedure has a configuration on one side")
    }

    fn of(&self, api: &str) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.api == api)
    }
}

fn release(faults: Vec<Fault<'_>>) {
    faults.into_iter().for_each(Fault::release);
}

/// Whether request `number` went through to its end.
fn is_over(cloud: &Cloud, number: u64) -> bool {
    cloud
        .journal(number - 1)
        .first()
        .is_some_and(|entry| entry["duration_ms"] != Value::Null)
}
