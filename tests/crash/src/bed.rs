//! A simulator and a workspace, what a run without faults does in them, and one case: a run is cut,
//! an ordinary run ends it, and the books are judged.

use std::{
    fs,
    time::{Duration, Instant},
};

use paymesh_acceptance::{Cloud, OWNER, Run, Running, Workspace, orphans};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Api, Kill, Point, Procedure, Site,
    books::{self, APPLIES_MAX, PROTECTED, Recording, STALE},
    ending::{self, Ending},
    scenario::{address, configuration, on, refused, unmarked},
    table::Recovered,
};

/// The longest that a run may take to reach its points.
const REACHES_WITHIN: Duration = Duration::from_mins(4);

/// After so many seconds, 20 unless told, Terraform saves the state in the middle of a run: on a slow
/// machine there would be more requests.
const SAVES_EVERY: (&str, &str) = ("TF_STATE_PERSIST_INTERVAL", "3600");

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) procedure: Procedure,
    /// All of these hold the run when it is cut; one for each cloud at most.
    pub(crate) points: Vec<Point>,
    pub(crate) site: Site,
    pub(crate) kill: Kill,
    pub(crate) ending: Ending,
}

/// One configuration with a cluster on each of its clouds.
pub(crate) struct Bed<'a> {
    cloud: &'a Cloud,
    workspace: Workspace<'a>,
    clouds: &'static [Api],
    /// Who had which role before there was anything.
    granted: Vec<String>,
    pub(crate) recordings: Vec<(Procedure, Recording)>,
}

impl<'a> Bed<'a> {
    /// Records these procedures, the first of which makes what the others begin with.
    pub(crate) fn new(cloud: &'a Cloud, clouds: &'static [Api], procedures: &[Procedure]) -> Self {
        let (name, seconds) = SAVES_EVERY;
        let environment = [(name.to_owned(), seconds.to_owned())];
        let made = configuration(Procedure::Create, clouds);
        let mut bed = Self {
            cloud,
            workspace: Workspace::with_environment(cloud, &made, &environment),
            clouds,
            granted: books::granted(cloud, clouds),
            recordings: Vec::new(),
        };
        let nothing = cloud.export();
        let mut made = None;
        for procedure in procedures {
            let start = made.as_ref().filter(|_| !procedure.makes_cluster());
            cloud.import(start.unwrap_or(&nothing));
            bed.configure(*procedure);
            for api in clouds {
                bed.prepare(*procedure, *api);
            }
            let recording = Recording::of(cloud, || {
                bed.start(*procedure).end().succeeds();
            });
            made.get_or_insert_with(|| cloud.export());
            bed.recordings.push((*procedure, recording));
        }
        bed
    }

    /// What a run without faults does.
    pub(crate) fn recording(&self, procedure: Procedure) -> &Recording {
        let found = self.recordings.iter().find(|(it, _)| *it == procedure);
        &found.expect("every procedure was recorded").1
    }

    /// The row of a case in a table.
    pub(crate) fn row(&self, case: &Case) -> String {
        format!("{}, {}", on(case.procedure, self.clouds), case.kill)
    }

    /// A case in words.
    pub(crate) fn text(&self, case: &Case) -> String {
        let points: Vec<String> = case.points.iter().map(ToString::to_string).collect();
        format!(
            "{} {} of {}{}",
            self.row(case),
            case.site,
            points.join(" and "),
            case.ending.text()
        )
    }

    /// A point, told from the same point of another procedure.
    pub(crate) fn place(&self, procedure: Procedure, point: &Point) -> String {
        format!("{}: {point}", on(procedure, self.clouds))
    }

    /// Where a case cuts.
    pub(crate) fn places_of(&self, case: &Case) -> Vec<String> {
        let points = case.points.iter();
        points
            .map(|point| self.place(case.procedure, point))
            .collect()
    }

    /// All points, each told from the same point of another procedure.
    pub(crate) fn places(&self) -> impl Iterator<Item = String> {
        self.recordings
            .iter()
            .flat_map(move |(procedure, recording)| {
                let points = recording.points.iter();
                points.map(move |point| self.place(*procedure, point))
            })
    }

    /// What comes before the procedure, and is not cut.
    fn prepare(&self, procedure: Procedure, api: Api) {
        let address = address(api);
        match procedure {
            Procedure::Taint => {
                self.workspace.run(&["taint", &address]).succeeds();
            }
            Procedure::Import => {
                self.workspace.run(&["state", "rm", &address]).succeeds();
                let id = unmarked(self.cloud, api);
                self.workspace.run(&["import", &address, &id]).succeeds();
            }
            _ => {}
        }
    }

    fn configure(&self, procedure: Procedure) {
        self.workspace
            .configure(&configuration(procedure, self.clouds));
    }

    /// What a user types first.
    fn start(&self, procedure: Procedure) -> Running {
        match procedure {
            Procedure::Replace | Procedure::CreateFirst => {
                let replaced = self.clouds.iter();
                let replaced: Vec<String> = replaced
                    .map(|api| format!("-replace={}", address(*api)))
                    .collect();
                let mut words = vec!["apply", "-auto-approve"];
                words.extend(replaced.iter().map(String::as_str));
                self.workspace.start(&words)
            }
            _ => self.recover(procedure),
        }
    }

    /// What a user types to end it.
    fn recover(&self, procedure: Procedure) -> Running {
        let word = if procedure == Procedure::Delete {
            "destroy"
        } else {
            "apply"
        };
        self.workspace.start(&[word, "-auto-approve"])
    }

    /// Takes the entry away if the run says that it must be: of two entries for one cluster, the
    /// older can prove nothing any more. Whether it did; the cluster is nobody's then.
    fn forget(&self, procedure: Procedure, refused: &Run) -> bool {
        let is_stale = procedure.may_be_overtaken() && refused.text().contains(STALE);
        if is_stale {
            for api in self.clouds {
                let address = address(*api);
                self.workspace.run(&["state", "rm", &address]).succeeds();
            }
        }
        is_stale
    }

    /// Tries a case from the start of its procedure to an empty cloud.
    pub(crate) fn run(&self, case: &Case) -> Result<Recovered, String> {
        let recording = self.recording(case.procedure);
        self.cloud.import(&recording.start);
        self.configure(case.procedure);
        let _ = fs::remove_file(self.workspace.module().join("errored.tfstate"));
        let since = self.cloud.last_request();
        let killed = self.strike(case)?;
        let died = self.cloud.last_request();
        let holds_lock = books::holds_lock(self.cloud, since);
        let is_locked = self.workspace.unlock();
        // A run whose answer is out goes on and may have unlocked; Terraform 1.15 may have been cut
        // before it locked.
        let leaves_lock = case.kill.leaves_lock().map(|it| it && holds_lock);
        if let Some(leaves_lock) = leaves_lock
            && case.points.iter().all(|point| !point.moves_lock())
            && is_locked != leaves_lock
        {
            return Err(format!(
                "a lock is left: {is_locked}, expected: {leaves_lock}\nafter {killed}"
            ));
        }
        if case.ending != Ending::Applied {
            let was_refused = self.give_up(case, &killed)?;
            return Ok(Recovered::given_up(was_refused));
        }
        let mut applies = 1;
        let mut recovery = self.recover(case.procedure).end();
        while !recovery.status.success() && applies < APPLIES_MAX {
            applies += 1;
            self.forget(case.procedure, &recovery);
            recovery = self.recover(case.procedure).end();
        }
        if !recovery.status.success() {
            return Err(format!(
                "not recovered after {applies} applies: {recovery}\nafter {killed}"
            ));
        }
        let requests = self.cloud.journal(since).len();
        let again = u32::from(case.procedure.begins_anew());
        let mut objections = recording.objections(self.cloud, since, again);
        let refused = books::refused(self.cloud, died).into_iter();
        objections.extend(refused.map(|it| it.text));
        if !objections.is_empty() {
            let objections = objections.join("\n");
            return Err(format!("{objections}\n{recovery}\nafter {killed}"));
        }
        if case.procedure != Procedure::Delete {
            let plan = self.workspace.plan();
            if plan.status.code() != Some(0) {
                return Err(format!("the plan is not empty: {plan}\nafter {killed}"));
            }
            self.destroy(&killed)?;
        }
        self.check_empty(&killed)?;
        Ok(Recovered::of(applies, 1, requests, recording.points.len()))
    }

    /// Runs the procedure until every point is held, and kills.
    fn strike(&self, case: &Case) -> Result<Run, String> {
        let faults: Vec<_> = case
            .points
            .iter()
            .map(|point| point.hold(self.cloud, case.site.name()))
            .collect();
        let mut running = self.start(case.procedure);
        let limit = Instant::now() + REACHES_WITHIN;
        let mut held = Vec::new();
        for fault in &faults {
            held.push(loop {
                match fault.held_within(1) {
                    Some(number) => break number,
                    None if running.has_ended() => {
                        return Err(format!("not reached by {}", running.end()));
                    }
                    None if Instant::now() > limit => {
                        return Err(format!("not reached in time by {}", running.kill()));
                    }
                    None => {}
                }
            });
        }
        let (killed, has_struck) = case.kill.strike(running, || {
            for fault in faults {
                case.site.let_go(fault);
            }
        });
        for number in held {
            books::wait_until_over(self.cloud, number);
        }
        let must_strike = |point: &Point| case.kill.must_strike(point, case.site);
        if !has_struck && case.points.iter().all(must_strike) {
            return Err(format!("the kill struck nobody: {killed}"));
        }
        Ok(killed)
    }

    /// Destroys what the state has, and deletes what no state has; nothing may be left. Whether
    /// preflight refused it first.
    fn give_up(&self, case: &Case, killed: &Run) -> Result<bool, String> {
        if case.procedure == Procedure::Import {
            self.unprotect(case, killed)?;
        }
        let was_refused = case.ending == Ending::Refused && self.destroy_refused(case, killed)?;
        // Not where there is nothing: Terraform plans what is configured first, which may be refused.
        if !was_refused && !self.entries().is_empty() {
            self.destroy_or_forget(case, killed)?;
        }
        let words = ["--owner", OWNER, "--delete", "--yes", "--without-state"];
        let (has_succeeded, text) = orphans(&self.cloud.file(), &words);
        if !has_succeeded {
            return Err(format!("orphans are left: {text}\nafter {killed}"));
        }
        self.check_empty(killed)
            .map_err(|why| format!("{why}\n{text}"))
            .map(|()| was_refused)
    }

    /// Destroys what preflight refuses by now, by the line that its refusal prints; whether it was
    /// refused. Of what has no entry in the state nothing is planned.
    fn destroy_refused(&self, case: &Case, killed: &Run) -> Result<bool, String> {
        self.workspace
            .configure(&refused(case.procedure, self.clouds));
        let must_refuse = !case.procedure.may_be_overtaken() && !self.entries().is_empty();
        let refusal = self.workspace.destroy();
        if refusal.status.success() && must_refuse {
            return Err(format!(
                "destroyed without a refusal: {refusal}\nafter {killed}"
            ));
        }
        let is_over = refusal.status.success() || self.entries().is_empty();
        if is_over || self.forget(case.procedure, &refusal) {
            return Ok(false);
        }
        let Some(words) = ending::way_out(&refusal.text()) else {
            return Err(format!(
                "refused without a way to destroy it: {refusal}\nafter {killed}"
            ));
        };
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.push("-auto-approve");
        let destroyed = self.workspace.run(&words);
        if destroyed.status.success() || self.forget(case.procedure, &destroyed) {
            return Ok(true);
        }
        Err(format!(
            "not destroyed by the line that its refusal prints: {destroyed}\n{refusal}\nafter {killed}"
        ))
    }

    /// Does what the refusal of a destruction says: what is imported is protected until an apply
    /// says otherwise.
    fn unprotect(&self, case: &Case, killed: &Run) -> Result<(), String> {
        match self.destroy(killed) {
            Err(why) if why.contains(PROTECTED) => {
                let applied = self.recover(case.procedure).end();
                if applied.status.success() {
                    return Ok(());
                }
                Err(format!("not unprotected: {applied}\nafter {killed}"))
            }
            other => other,
        }
    }

    /// Destroys what the state has, or forgets it where two entries are of one cluster, which is an
    /// orphan then.
    fn destroy_or_forget(&self, case: &Case, killed: &Run) -> Result<(), String> {
        let destroyed = self.workspace.destroy();
        if self.forget(case.procedure, &destroyed) {
            return Ok(());
        }
        must_be_destroyed(&destroyed, killed)
    }

    fn destroy(&self, killed: &Run) -> Result<(), String> {
        must_be_destroyed(&self.workspace.destroy(), killed)
    }

    /// The resources in the state, which may never have been saved. One without instances is none:
    /// a kill can leave its name.
    fn entries(&self) -> Vec<Value> {
        let path = format!("terraform/{}", self.workspace.state_name());
        let state = self.cloud.try_ask(Method::GET, &path, None);
        let state = state.expect("the cloud shows the state");
        let resources = state["resources"].as_array().into_iter().flatten();
        let exists = |it: &&Value| it["instances"] != json!([]);
        resources.filter(exists).cloned().collect()
    }

    /// Nothing may be left, in the clouds and in the state.
    fn check_empty(&self, killed: &Run) -> Result<(), String> {
        let mut left = books::left(self.cloud, self.clouds, &self.granted);
        let entries = self.entries();
        left.extend(
            entries
                .iter()
                .map(|entry| format!("left in state: {entry}")),
        );
        if left.is_empty() {
            return Ok(());
        }
        Err(format!("{}\nafter {killed}", left.join("\n")))
    }
}

fn must_be_destroyed(destroyed: &Run, killed: &Run) -> Result<(), String> {
    if destroyed.status.success() {
        return Ok(());
    }
    Err(format!("not destroyed: {destroyed}\nafter {killed}"))
}
