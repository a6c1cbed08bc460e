//! The tier of a real Terraform: a draw of (point, site, kill) by seed, for a budget of minutes.
//!
//! Each cloud has a worker with a simulator and a workspace of its own. A case begins by importing
//! what existed before the procedure, so no time goes into setting it up. What was tried is kept
//! beside the programs: the next run of the same provider with the same seed goes on from there.

use std::{
    collections::BTreeSet,
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use paymesh_acceptance::{Cloud, OWNER, Run, Running, Workspace, orphans, programs};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Api, Draw, Kill, Point, Procedure, Scenario, Site,
    books::{self, Recording},
    inside::GIVES_UP_ONCE_IN,
    scenario::configuration,
    table::{self, Recovered, Score},
};

/// The most applies after a kill.
const APPLIES_MAX: u32 = 2;

/// The longest between a Ctrl-C and Terraform's word that it was heard.
const HEARD: Duration = Duration::from_secs(3);

/// The resource.
const ADDRESS: &str = "paymesh_cluster.one";

/// What an entry is told that another has overtaken.
const STALE: &str = "terraform state rm";

/// The least cases of each (scenario, site, kill) in a full run.
const FULL_CASES: usize = 5;

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which draws.
    pub seed: u64,
    /// When no further case begins.
    pub budget: Duration,
    /// Every point once, and every (scenario, site, kill) often enough, however long it takes.
    pub full: bool,
}

/// One case.
#[derive(Clone, Debug)]
struct Case {
    scenario: Scenario,
    point: Point,
    site: Site,
    kill: Kill,
    /// Nobody goes on: what the state has is destroyed, and orphans are deleted.
    gives_up: bool,
}

impl Case {
    fn row(&self) -> String {
        format!("{}, {}", self.scenario, self.kill)
    }

    fn text(&self) -> String {
        let then = if self.gives_up { ", then given up" } else { "" };
        format!(
            "{}, {} {} of {}{then}",
            self.scenario, self.kill, self.site, self.point
        )
    }
}

/// Runs the tier; what went wrong.
pub fn run(order: &Order) -> Vec<String> {
    let started = Instant::now();
    let scores = thread::scope(|scope| {
        let workers = Api::ALL.map(|api| scope.spawn(move || work(api, order, started)));
        workers.map(|worker| worker.join().expect("a worker reports its failures"))
    });
    let mut score = Score::default();
    for (one, share) in scores {
        println!("{share}");
        score.add(one);
    }
    for scenario in Scenario::all() {
        for kill in Kill::ALL {
            let row = format!("{scenario}, {kill}");
            if !score.has(&row) {
                score.failures.push(format!(
                    "{row}: no case was tried; give it more time with BUDGET"
                ));
            }
        }
    }
    print!("{}", score.summary("real Terraform"));
    score.failures
}

/// All cases of one cloud until the budget is used up; the score, and the share that was reached.
fn work(api: Api, order: &Order, started: Instant) -> (Score, String) {
    let cloud = Cloud::start();
    cloud.clock(&json!({ "drift": false }));
    let bed = Bed::new(&cloud, api);
    let recorded = bed.recordings.iter();
    print!(
        "{}",
        table::points(recorded.map(|(scenario, recording)| (*scenario, &recording.points[..])))
    );
    let cases = bed.cases(order);
    let universe: usize = bed
        .recordings
        .iter()
        .map(|(_, recording)| recording.points.len() * Site::ALL.len() * Kill::ALL.len())
        .sum();
    let mut tried = Tried::open(api, order.seed);
    let mut score = Score::default();
    let first_round = Procedure::ALL.len() * Kill::ALL.len();
    for (number, case) in cases.iter().enumerate() {
        let is_late = !order.full && started.elapsed() > order.budget;
        if is_late && number >= first_round {
            break;
        }
        if tried.has(case) {
            score.remember(&case.row());
            continue;
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| bed.run(case)))
            .unwrap_or_else(|panic| Err(words_of(&*panic)));
        if outcome.is_ok() {
            tried.add(case);
        }
        score.count(&case.row(), &case.text(), outcome);
    }
    let share = format!(
        "{api}: {} of {universe} (point, site, kill) tried with seed {} so far",
        tried.cases.len(),
        order.seed
    );
    (score, share)
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    words.unwrap_or("a panic without words").to_owned()
}

/// The cases that earlier runs of this provider with this seed have tried.
struct Tried {
    provider: String,
    cases: BTreeSet<String>,
    path: PathBuf,
}

impl Tried {
    fn open(api: Api, seed: u64) -> Self {
        let program = env::current_exe().unwrap_or_default();
        let path = program.with_file_name(format!("crash-matrix-{api}-{seed}.json"));
        let provider = version_of(programs::provider());
        let text = fs::read_to_string(&path).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        let cases = kept["cases"]
            .as_array()
            .filter(|_| kept["provider"] == provider.as_str());
        let cases = cases.into_iter().flatten().filter_map(Value::as_str);
        Self {
            cases: cases.map(ToOwned::to_owned).collect(),
            provider,
            path,
        }
    }

    fn has(&self, case: &Case) -> bool {
        self.cases.contains(&case.text())
    }

    fn add(&mut self, case: &Case) {
        self.cases.insert(case.text());
        let kept = json!({ "provider": self.provider, "cases": self.cases });
        // What cannot be kept is tried again.
        let _ = fs::write(&self.path, kept.to_string());
    }
}

/// What tells one build of a program from another.
fn version_of(program: &Path) -> String {
    let about = fs::metadata(program).ok();
    let made = about.as_ref().and_then(|about| about.modified().ok());
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    format!("{:?} {:?}", about.map(|about| about.len()), made)
}

/// A simulator and a workspace, and what a run without faults does in them.
struct Bed<'a> {
    cloud: &'a Cloud,
    workspace: Workspace<'a>,
    recordings: Vec<(Scenario, Recording)>,
}

impl<'a> Bed<'a> {
    fn new(cloud: &'a Cloud, api: Api) -> Self {
        let mut bed = Self {
            cloud,
            workspace: Workspace::new(cloud, &configuration(&api.made(), Procedure::Create)),
            recordings: Vec::new(),
        };
        let mut made = None;
        for procedure in Procedure::ALL {
            let scenario = Scenario { procedure, api };
            if let Some(made) = &made {
                cloud.import(made);
            }
            bed.configure(scenario);
            if procedure == Procedure::Taint {
                bed.workspace.run(&["taint", ADDRESS]).succeeds();
            }
            let recording = Recording::of(cloud, || {
                bed.start(scenario).end().succeeds();
            });
            made.get_or_insert_with(|| cloud.export());
            bed.recordings.push((scenario, recording));
        }
        bed
    }

    /// All cases in the order in which they are tried: rounds of one case for each (procedure,
    /// kill), then, in a full run, what is still missing.
    fn cases(&self, order: &Order) -> Vec<Case> {
        let mut draw = Draw::of(order.seed);
        let mut cases = Vec::new();
        let rounds = if order.full { 0 } else { 200 };
        for _ in 0..rounds {
            let mut round = Vec::new();
            for (scenario, recording) in &self.recordings {
                for kill in Kill::ALL {
                    round.push(self.drawn(&mut draw, *scenario, recording, kill, None, None));
                }
            }
            draw.shuffle(&mut round);
            cases.extend(round);
        }
        if order.full {
            for (scenario, recording) in &self.recordings {
                for point in &recording.points {
                    let kill = *draw.one(&Kill::ALL);
                    cases.push(self.drawn(
                        &mut draw,
                        *scenario,
                        recording,
                        kill,
                        None,
                        Some(point),
                    ));
                }
                for site in Site::ALL {
                    for kill in Kill::ALL {
                        for _ in 0..FULL_CASES {
                            let site = Some(site);
                            cases.push(
                                self.drawn(&mut draw, *scenario, recording, kill, site, None),
                            );
                        }
                    }
                }
            }
        }
        cases
    }

    #[expect(clippy::unused_self, reason = "a draw is of this bed's recordings")]
    fn drawn(
        &self,
        draw: &mut Draw,
        scenario: Scenario,
        recording: &Recording,
        kill: Kill,
        site: Option<Site>,
        point: Option<&Point>,
    ) -> Case {
        // Half of the draws are among the few requests that change something.
        let writes: Vec<Point> = recording
            .points
            .iter()
            .filter(|point| point.is_write())
            .cloned()
            .collect();
        let among = if draw.once_in(2) {
            &writes
        } else {
            &recording.points
        };
        let drawn = draw.one(among).clone();
        Case {
            scenario,
            point: point.cloned().unwrap_or(drawn),
            site: site.unwrap_or(*draw.one(&Site::ALL)),
            kill,
            gives_up: draw.once_in(GIVES_UP_ONCE_IN),
        }
    }

    fn recording(&self, scenario: Scenario) -> &Recording {
        let found = self.recordings.iter().find(|(it, _)| *it == scenario);
        &found.expect("every scenario was recorded").1
    }

    fn configure(&self, scenario: Scenario) {
        let cluster = scenario.after().unwrap_or_else(|| scenario.api.made());
        self.workspace
            .configure(&configuration(&cluster, scenario.procedure));
    }

    /// What a user types first.
    fn start(&self, scenario: Scenario) -> Running {
        match scenario.procedure {
            Procedure::Replace | Procedure::CreateFirst => {
                let replace = format!("-replace={ADDRESS}");
                self.workspace.start(&["apply", "-auto-approve", &replace])
            }
            _ => self.recover(scenario),
        }
    }

    /// What a user types to end it.
    fn recover(&self, scenario: Scenario) -> Running {
        let word = if scenario.after().is_some() {
            "apply"
        } else {
            "destroy"
        };
        self.workspace.start(&[word, "-auto-approve"])
    }

    /// Takes the entry away if the run says that it must be: of two entries for one cluster, the
    /// older can prove nothing any more.
    fn forget(&self, refused: &Run) {
        if refused.text().contains(STALE) {
            self.workspace.run(&["state", "rm", ADDRESS]).succeeds();
        }
    }

    fn run(&self, case: &Case) -> Result<Recovered, String> {
        let recording = self.recording(case.scenario);
        self.cloud.import(&recording.start);
        self.configure(case.scenario);
        let _ = fs::remove_file(self.workspace.module().join("errored.tfstate"));
        let since = self.cloud.last_request();
        let killed = self.strike(case)?;
        self.workspace.unlock();
        if case.gives_up {
            self.give_up(&killed)?;
            return Ok(Recovered::given_up());
        }
        let mut applies = 1;
        let mut recovery = self.recover(case.scenario).end();
        while !recovery.status.success() && applies < APPLIES_MAX {
            applies += 1;
            self.forget(&recovery);
            recovery = self.recover(case.scenario).end();
        }
        if !recovery.status.success() {
            return Err(format!(
                "not recovered after {applies} applies: {recovery}\nafter {killed}"
            ));
        }
        let requests = self.cloud.journal(since).len();
        let objections = recording.objections(self.cloud, since);
        if !objections.is_empty() {
            let objections = objections.join("\n");
            return Err(format!("{objections}\n{recovery}\nafter {killed}"));
        }
        if case.scenario.after().is_some() {
            let plan = self.workspace.plan();
            if plan.status.code() != Some(0) {
                return Err(format!("the plan is not empty: {plan}\nafter {killed}"));
            }
        }
        self.destroy(&killed)?;
        Ok(Recovered {
            applies,
            cuts: 1,
            factor: ratio(requests, recording.points.len()),
        })
    }

    /// Runs the procedure until the point is held, and kills.
    fn strike(&self, case: &Case) -> Result<Run, String> {
        let fault = case.point.hold(self.cloud, case.site.name());
        let mut running = self.start(case.scenario);
        let held = loop {
            match fault.held_within(1) {
                Some(number) => break number,
                None if running.has_ended() => {
                    return Err(format!("not reached by {}", running.end()));
                }
                None => {}
            }
        };
        let let_go = || case.site.let_go(fault);
        let killed = match case.kill {
            Kill::Provider => running.kill_provider(let_go),
            Kill::Client => running.kill_client(let_go),
            Kill::Both => {
                let killed = running.kill();
                let_go();
                killed
            }
            Kill::Interrupt => {
                running.interrupt();
                let_go();
                running.end()
            }
            Kill::InterruptTwice => {
                running.interrupt();
                running.says_within("Interrupt received", HEARD);
                running.interrupt();
                let_go();
                running.end()
            }
        };
        books::wait_until_over(self.cloud, held);
        Ok(killed)
    }

    /// Destroys what the state has, and deletes what no state has; nothing may be left.
    fn give_up(&self, killed: &Run) -> Result<(), String> {
        let destroyed = self.workspace.destroy();
        if !destroyed.status.success() {
            return Err(format!("not destroyed: {destroyed}\nafter {killed}"));
        }
        let words = ["--owner", OWNER, "--delete", "--yes", "--without-state"];
        let (has_succeeded, text) = orphans(&self.cloud.file(), &words);
        let left = books::left(self.cloud);
        if has_succeeded && left.is_empty() {
            return Ok(());
        }
        let left = left.join("\n");
        Err(format!("{left}\n{text}\n{destroyed}\nafter {killed}"))
    }

    /// Destroys; nothing may be left.
    fn destroy(&self, killed: &Run) -> Result<(), String> {
        let destroyed = self.workspace.destroy();
        if !destroyed.status.success() {
            return Err(format!("not destroyed: {destroyed}\nafter {killed}"));
        }
        let left = books::left(self.cloud);
        if !left.is_empty() {
            let left = left.join("\n");
            return Err(format!("{left}\n{destroyed}\nafter {killed}"));
        }
        let path = format!("terraform/{}", self.workspace.state_name());
        let state = self.cloud.ask(Method::GET, &path, None);
        match state["resources"].as_array() {
            Some(left) if !left.is_empty() => Err(format!("left in state: {left:?}")),
            _ => Ok(()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a run has few requests")]
fn ratio(requests: usize, fault_free: usize) -> f64 {
    requests as f64 / fault_free as f64
}
