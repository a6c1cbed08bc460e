//! The tier without Terraform: the core of this crate drives the provider's process, and every
//! point is cut at every site; then pairs, where the recovery is cut too, by seed. Within a budget
//! of minutes it is a draw of all these.
//!
//! The clock that the provider waits on runs so fast that waits cost little time.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use paymesh_acceptance::{Cloud, Fault, OPERATION_POLLS, orphans};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Api, Draw, Procedure, Scenario,
    books::{self, APPLIES_MAX, PROTECTED, Recording, STALE},
    cases::{self, Aftermath, Case},
    core::{Core, End, Life, OWNER},
    scenario::unmarked,
    table::{self, Recovered, Score},
};

/// Seconds of the provider's clock in a second: as many as let a token outlive a run.
pub const PROVIDER_RATE: f64 = 600.0;

/// Seconds of the simulator's clock in a second: budgets fill up again.
const CLOUD_RATE: &str = "60";

/// The longest that a run may take to reach a point, or to end.
const RUN: Duration = Duration::from_mins(2);

/// So many requests of the recovery see a long operation run: more than a run sends before it
/// writes.
const LONG_REQUESTS: usize = 40;

/// So often a procedure is begun until it reaches its point: on a busy machine it may poll once less
/// than it did when it was recorded.
const REACHES_MAX: usize = 3;

/// The golden: how many points each scenario has.
const POINTS: &str = include_str!("../points.txt");

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which draws.
    pub seed: u64,
    /// When no further case begins, once every scenario has had one of each kind; without it all
    /// are tried.
    pub budget: Option<Duration>,
    /// So many pairs for each cloud.
    pub pairs: u32,
    /// No case at all: only the fault-free runs, for the golden.
    pub records: bool,
    /// Every point at every site, reads too.
    pub full: bool,
    /// Only scenarios whose name contains this.
    pub only: String,
    /// Whether to stop at the first failure, as it is wanted of a provider with bugs, whose
    /// number of points nobody judges.
    pub stops: bool,
}

/// Runs the tier; what went wrong.
pub fn run(order: &Order) -> Vec<String> {
    let started = Instant::now();
    let results = thread::scope(|scope| {
        let workers = Api::ALL.map(|api| scope.spawn(move || work(api, order, started)));
        workers.map(|worker| worker.join().expect("a worker reports its failures"))
    });
    let mut score = Score::default();
    let mut points = String::new();
    for (one, text) in results {
        score.add(one);
        points += &text;
    }
    print!("{points}");
    if points.is_empty() {
        score
            .failures
            .push(format!("no scenario is called {:?}", order.only));
    }
    if !order.stops && order.only.is_empty() {
        score.failures.extend(check_golden(&points));
    }
    print!("{}", score.summary("in process"));
    score.failures
}

/// The numbers of points must be those of the golden; `UPDATE_EXPECT=1` rewrites it.
fn check_golden(points: &str) -> Option<String> {
    if points == POINTS {
        return None;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/points.txt");
        fs::write(path, points).expect("the golden can be written");
        return None;
    }
    Some(format!(
        "the number of points left its golden (UPDATE_EXPECT=1 rewrites it). It was\n{POINTS}and is\n{points}"
    ))
}

fn work(api: Api, order: &Order, started: Instant) -> (Score, String) {
    let cloud = Cloud::start_at(CLOUD_RATE);
    cloud.clock(&json!({ "drift": false }));
    let bed = Bed::new(&cloud, api, order);
    let recorded = bed.recordings.iter();
    let points =
        table::points(recorded.map(|(scenario, recording)| (*scenario, &recording.points[..])));
    if order.records {
        let all = bed.recordings.iter().filter(|_| !order.only.is_empty());
        for point in all.flat_map(|(_, recording)| &recording.points) {
            println!("{point}");
        }
        return (Score::default(), points);
    }
    let mut score = Score::default();
    score.failures.extend(bed.harm.iter().cloned());
    let mut draw = Draw::of(order.seed);
    let mut cases = cases::all(&bed.recordings, order.full, order.pairs, &mut draw);
    let first_round = match order.budget {
        Some(_) => cases::in_rounds(&mut cases, &mut draw),
        None => cases.len(),
    };
    let mut tried = 0;
    for case in &cases {
        let is_late = order
            .budget
            .is_some_and(|budget| started.elapsed() > budget);
        if is_late && tried >= first_round {
            break;
        }
        if tried % 50 == 0 {
            let seconds = started.elapsed().as_secs();
            println!("{api}: case {tried} after {seconds} s: {}", case.text());
        }
        tried += 1;
        score.count(&case.row(), &case.text(), || bed.run(case));
        if order.stops && !score.failures.is_empty() {
            break;
        }
    }
    println!(
        "{api}: {tried} of {} cases tried with seed {}",
        cases.len(),
        order.seed
    );
    (score, points)
}

struct Bed<'a> {
    cloud: &'a Cloud,
    core: Core<'a>,
    recordings: Vec<(Scenario, Recording)>,
    /// What is wrong without any fault.
    harm: Vec<String>,
    _folder: TempDir,
}

impl<'a> Bed<'a> {
    fn new(cloud: &'a Cloud, api: Api, order: &Order) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let core = Core::new(cloud, file_with_rate(cloud, folder.path(), PROVIDER_RATE));
        let mut harm = Vec::new();
        let mut bed = Self {
            cloud,
            core,
            recordings: Vec::new(),
            harm: Vec::new(),
            _folder: folder,
        };
        let nothing = cloud.export();
        let mut made = None;
        for procedure in Procedure::ALL {
            let scenario = Scenario { procedure, api };
            let is_wanted = scenario.to_string().contains(&order.only);
            if made.is_some() && !is_wanted {
                continue;
            }
            let start = made.as_ref().filter(|_| !procedure.makes_cluster());
            cloud.import(start.unwrap_or(&nothing));
            match procedure {
                Procedure::Taint => bed.core.taint(),
                Procedure::Import => bed.core.import(&unmarked(cloud, api), &scenario.wanted()),
                _ => {}
            }
            let recording = Recording::of(cloud, || {
                if let Err(end) = bed.begin(&Life::default(), scenario) {
                    panic!("{scenario} fails without a fault: {end:?}");
                }
            });
            harm.extend(recording.harm(procedure));
            made.get_or_insert_with(|| cloud.export());
            if is_wanted {
                bed.recordings.push((scenario, recording));
            }
        }
        bed.harm = harm;
        bed
    }

    /// What a user types first.
    fn begin(&self, life: &Life, scenario: Scenario) -> Result<bool, End> {
        let config = scenario.wanted();
        match scenario.procedure {
            Procedure::Replace => self.core.replace(life, &config, false),
            Procedure::CreateFirst => self.core.replace(life, &config, true),
            _ => self.recover(life, scenario),
        }
    }

    /// What a user types to end it.
    fn recover(&self, life: &Life, scenario: Scenario) -> Result<bool, End> {
        let config = scenario.wanted();
        if scenario.after().is_some() {
            self.core.apply(life, &config)
        } else {
            self.core.destroy(life, &config)
        }
    }

    fn run(&self, case: &Case) -> Result<Recovered, String> {
        let found = self.recordings.iter().find(|(it, _)| *it == case.scenario);
        let recording = &found.expect("every scenario was recorded").1;
        let mut tries = (0..REACHES_MAX).map(|_| self.cut(case, &recording.start));
        let cut = tries.find(|cut| cut.number.is_some());
        let Cut {
            since,
            killed,
            number,
            late,
        } = cut.ok_or("the point was not reached")?;
        let number = number.unwrap_or_default();
        if late.is_none() {
            books::wait_until_over(self.cloud, number);
        }
        if case.aftermath == Aftermath::Long {
            self.cloud
                .clock(&json!({ "operation_polls": OPERATION_POLLS }));
        }
        let died = self.cloud.last_request();
        self.core.unlock();
        let mut cuts = 1;
        // A recovery that ends before its cut is one like any other.
        let mut uncut = None;
        if let Some((nth, site)) = case.second {
            let fault = self.cloud.hold("", "*", nth, site.name());
            let let_go = |fault| site.let_go(fault);
            let again = |life: &Life| self.recover(life, case.scenario);
            match strike(fault, !case.spares_core, let_go, again) {
                (_, Some(number)) => {
                    cuts += 1;
                    books::wait_until_over(self.cloud, number);
                    self.core.unlock();
                }
                (ended, None) => uncut = Some(ended),
            }
        }
        if case.gives_up {
            self.give_up(case)
                .map_err(|why| format!("{why}\nafter {killed:?}"))?;
            return Ok(Recovered::given_up());
        }
        let (mut applies, recovery) = match case.aftermath {
            Aftermath::Over | Aftermath::Late => self.recover_at_last(case, uncut),
            Aftermath::Long => books::while_it_runs(self.cloud, LONG_REQUESTS, || {
                self.recover_at_last(case, uncut)
            }),
        };
        if let Err(end) = recovery {
            return Err(format!(
                "not recovered by apply {applies}: {end:?}\nafter {killed:?}"
            ));
        }
        let requests = self.cloud.journal(since).len();
        if let Some(fault) = late {
            fault.release();
            books::wait_until_over(self.cloud, number);
            // What a dead run writes after the recovery is a change by somebody else, which the
            // next apply undoes.
            let config = case.scenario.wanted();
            if case.scenario.after().is_some()
                && applies < APPLIES_MAX
                && matches!(self.core.plan(&Life::default(), &config), Ok(true))
            {
                applies += 1;
                self.recover(&Life::default(), case.scenario)
                    .map_err(|end| format!("not repaired: {end:?}\nafter {killed:?}"))?;
            }
        }
        let mut objections = recording.objections(self.cloud, since);
        if case.aftermath == Aftermath::Over {
            objections.extend(books::refused(self.cloud, died));
        }
        if !objections.is_empty() {
            return Err(format!("{}\nafter {killed:?}", objections.join("\n")));
        }
        if case.scenario.after().is_some() {
            let config = case.scenario.wanted();
            match self.core.plan(&Life::default(), &config) {
                Ok(false) => {}
                other => {
                    return Err(format!(
                        "the plan is not empty: {other:?}\nafter {killed:?}"
                    ));
                }
            }
        }
        self.destroy(case)
            .and_then(|()| self.check_empty())
            .map_err(|why| format!("{why}\nafter {killed:?}"))?;
        // It is the polls that count while something goes on.
        let requests = match case.aftermath {
            Aftermath::Long => 0,
            Aftermath::Over | Aftermath::Late => requests,
        };
        Ok(Recovered::of(
            applies,
            cuts,
            requests,
            recording.points.len(),
        ))
    }

    /// Begins the procedure where it began when it was recorded, and cuts it.
    fn cut(&self, case: &Case, start: &Value) -> Cut<'_> {
        self.cloud.import(start);
        let since = self.cloud.last_request();
        let fault = case.point.hold(self.cloud, case.site.name());
        if case.aftermath == Aftermath::Long {
            case.point.prolong(self.cloud);
        }
        let begin = |life: &Life| self.begin(life, case.scenario);
        let mut late = None;
        let let_go = |fault| match case.aftermath {
            Aftermath::Over => case.site.let_go(fault),
            Aftermath::Late => late = Some(fault),
            Aftermath::Long => {
                // By the clock: nobody may poll it.
                self.cloud.clock(&json!({ "operation_polls": null }));
                case.site.let_go(fault);
            }
        };
        let (killed, number) = strike(fault, case.spares_core, let_go, begin);
        Cut {
            since,
            killed,
            number,
            late,
        }
    }

    /// The recovery (`uncut`, if that was one already), and again if it fails; how many applies it
    /// took, and how the last one ended. Whoever waits for what goes on needs no second one.
    fn recover_at_last(
        &self,
        case: &Case,
        uncut: Option<Result<bool, End>>,
    ) -> (u32, Result<bool, End>) {
        let mut applies = 1;
        let mut recovery = uncut.unwrap_or_else(|| self.recover(&Life::default(), case.scenario));
        while let Err(end) = &recovery
            && applies < APPLIES_MAX
        {
            if matches!(end, End::Failed(why) if why.contains(STALE)) {
                self.core.forget();
            } else if case.aftermath == Aftermath::Long {
                break;
            }
            applies += 1;
            recovery = self.recover(&Life::default(), case.scenario);
        }
        (applies, recovery)
    }

    fn destroy(&self, case: &Case) -> Result<(), String> {
        let config = case.scenario.wanted();
        match self.core.destroy(&Life::default(), &config) {
            Ok(_) => Ok(()),
            Err(end) => Err(format!("not destroyed: {end:?}")),
        }
    }

    /// Destroys what the state has, and deletes what no state has.
    fn give_up(&self, case: &Case) -> Result<(), String> {
        if case.scenario.procedure == Procedure::Import {
            self.unprotect(case)?;
        }
        self.destroy(case)?;
        let words = ["--owner", OWNER, "--delete", "--yes", "--without-state"];
        let (has_succeeded, text) = orphans(self.core.simulator(), &words);
        if !has_succeeded {
            return Err(format!("orphans are left: {text}"));
        }
        self.check_empty().map_err(|why| format!("{why}\n{text}"))
    }

    /// Does what the refusal of a destruction says: what is imported is protected until an apply
    /// says otherwise.
    fn unprotect(&self, case: &Case) -> Result<(), String> {
        match self.destroy(case) {
            Err(why) if why.contains(PROTECTED) => self
                .recover(&Life::default(), case.scenario)
                .map(drop)
                .map_err(|end| format!("not unprotected: {end:?}")),
            other => other,
        }
    }

    fn check_empty(&self) -> Result<(), String> {
        let left = books::left(self.cloud);
        if left.is_empty() && self.core.is_empty() {
            return Ok(());
        }
        let in_state = if self.core.is_empty() {
            "nothing"
        } else {
            "something"
        };
        Err(format!(
            "{}\n{in_state} is left in the state",
            left.join("\n")
        ))
    }
}

/// A procedure that was cut.
struct Cut<'f> {
    /// The last entry of the journal before it.
    since: u64,
    /// How it ended.
    killed: Result<bool, End>,
    /// The request at which it was cut; nothing, if it ended before.
    number: Option<u64>,
    /// What holds the request until the recovery is over.
    late: Option<Fault<'f>>,
}

/// Runs `work` until the fault holds a request, kills, and lets the request go; how the run ended
/// and the number of the request, or nothing if none was held.
fn strike<'f>(
    fault: Fault<'f>,
    spares_core: bool,
    let_go: impl FnOnce(Fault<'f>),
    work: impl FnOnce(&Life) -> Result<bool, End> + Send,
) -> (Result<bool, End>, Option<u64>) {
    let life = Life::default();
    let limit = Instant::now() + RUN;
    thread::scope(|scope| {
        let run = scope.spawn(|| work(&life));
        let held = loop {
            let is_over = run.is_finished();
            match fault.held_within(u64::from(!is_over)) {
                Some(number) => break Some(number),
                None if is_over => break None,
                None => {}
            }
            if Instant::now() > limit {
                life.end();
                break None;
            }
        };
        if held.is_some() && !(spares_core && life.end_provider()) {
            life.end();
        }
        if held.is_some() {
            let_go(fault);
        } else {
            fault.remove();
        }
        (run.join().expect("a core does not panic"), held)
    })
}

/// A copy of the simulator's file in `folder`, from which a provider takes another rate of its
/// clock; and beside it, the only authority that it needs.
pub fn file_with_rate(cloud: &Cloud, folder: &Path, rate: f64) -> PathBuf {
    let mut card = cloud.card().clone();
    card["clock_rate"] = json!(rate);
    let path = folder.join(format!("simulator-{rate}.json"));
    fs::write(&path, card.to_string()).expect("a temporary file can be written");
    fs::copy(cloud.authority(), path.with_extension("pem")).expect("the authority can be copied");
    path
}
