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
    Api, Draw, Procedure, Scenario, Site,
    books::{self, APPLIES_MAX, PROTECTED, Recording, Refused, STALE},
    cases::{self, Aftermath, Case},
    core::{Core, End, Life, OWNER},
    ending::{self, Ending},
    scenario::{clusters, unmarked},
    table::{self, Golden, Recovered, Score},
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

/// The points of each scenario.
const POINTS: Golden = Golden {
    file: "points.txt",
    text: include_str!("../points.txt"),
};

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
    /// Only cases whose words contain this, as one that was red is repeated.
    pub case: String,
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
    print!("{}", table::headings(&points));
    if points.is_empty() {
        score
            .failures
            .push(format!("no scenario is called {:?}", order.only));
    }
    if !order.stops && order.only.is_empty() {
        score.failures.extend(POINTS.check(&points));
    }
    print!("{}", score.summary("in process"));
    score.failures
}

impl Order {
    /// Whether every case is tried.
    fn is_exhaustive(&self) -> bool {
        self.budget.is_none() && !self.stops && !self.records && self.case.is_empty()
    }
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
        let mut score = Score::default();
        score.failures.extend(bed.harm);
        return (score, points);
    }
    let mut score = Score::default();
    score.failures.extend(bed.harm.iter().cloned());
    let mut draw = Draw::of(order.seed);
    let mut cases = cases::all(&bed.recordings, order.full, order.pairs, &mut draw);
    cases.retain(|case| case.text().contains(&order.case));
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
        let places = [case.place()];
        score.count(&case.row(), &case.text(), &places, || bed.run(case));
        if order.stops && !score.failures.is_empty() {
            break;
        }
    }
    if order.is_exhaustive() {
        score.check_reached(bed.places());
        if order.only.is_empty() {
            score.check_refusals(api);
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
    api: Api,
    recordings: Vec<(Scenario, Recording)>,
    /// Who had which role before there was anything.
    granted: Vec<String>,
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
            api,
            recordings: Vec::new(),
            granted: books::granted(cloud, api.alone()),
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

    /// All points, each told from the same point of another scenario.
    fn places(&self) -> impl Iterator<Item = String> {
        self.recordings.iter().flat_map(|(scenario, recording)| {
            let points = recording.points.iter();
            points.map(move |point| cases::place(*scenario, point))
        })
    }

    /// Tries a case. A recovery that is over before its cut is begun anew and cut earlier, until the
    /// cut strikes: at the first request at the latest.
    fn run(&self, planned: &Case) -> Result<Recovered, String> {
        let mut case = planned.clone();
        loop {
            let recovered = self.try_once(&case);
            let again = match case.second {
                Some((nth, _)) if case.second != planned.second => {
                    format!("the recovery was over by then, so it was cut at request {nth}\n")
                }
                _ => String::new(),
            };
            if let Some(recovered) = recovered.map_err(|why| format!("{again}{why}"))? {
                return Ok(recovered);
            }
            case.second = match case.second {
                Some((nth @ 2.., site)) => Some((nth / 2, site)),
                _ => return Err("the recovery sent no request at all".to_owned()),
            };
        }
    }

    /// Tries a case; nothing, if the recovery was over before its cut.
    fn try_once(&self, case: &Case) -> Result<Option<Recovered>, String> {
        let found = self.recordings.iter().find(|(it, _)| *it == case.scenario);
        let recording = &found.expect("every scenario was recorded").1;
        let Cut {
            since,
            killed,
            number,
            late,
        } = self.cut(case, &recording.start);
        let number =
            number.ok_or_else(|| format!("the point was not reached: it ended with {killed:?}"))?;
        struck(&killed, case.site)?;
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
        if let Some((nth, site)) = case.second {
            let fault = self.cloud.hold("", "*", nth, site.name());
            let let_go = |fault| site.let_go(fault);
            let again = |life: &Life| self.recover(life, case.scenario);
            let (ended, held) = strike(fault, !case.spares_core, let_go, again);
            let Some(number) = held else {
                return Ok(None);
            };
            struck(&ended, site)?;
            cuts += 1;
            books::wait_until_over(self.cloud, number);
            self.core.unlock();
        }
        if case.ending != Ending::Applied {
            let was_refused = self
                .give_up(case)
                .map_err(|why| format!("{why}\nafter {killed:?}"))?;
            return Ok(Some(Recovered::given_up(was_refused)));
        }
        let (mut applies, recovery) = match case.aftermath {
            Aftermath::Over | Aftermath::Late => self.recover_at_last(case),
            Aftermath::Long => {
                books::while_it_runs(self.cloud, LONG_REQUESTS, || self.recover_at_last(case))
            }
        };
        let requests = self.cloud.journal(since).len();
        // While something runs a write may have to wait, and for nothing else. What is held until
        // the recovery is over does not run.
        let waits = case.aftermath == Aftermath::Long;
        let (waited, wrong): (Vec<Refused>, Vec<Refused>) = books::refused(self.cloud, died)
            .into_iter()
            .partition(|it| waits && it.for_busy);
        let mut objections: Vec<String> = wrong.into_iter().map(|it| it.text).collect();
        let was_late = late.is_some();
        if let Some(fault) = late {
            fault.release();
            books::wait_until_over(self.cloud, number);
        }
        if let Err(end) = recovery {
            return Err(format!(
                "not recovered by apply {applies}: {end:?}\nafter {killed:?}"
            ));
        }
        if was_late {
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
        let again = if case.scenario.procedure.begins_anew() {
            cuts
        } else {
            0
        };
        objections.extend(recording.objections(self.cloud, since, again));
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
        let recovered = Recovered::of(applies, cuts, requests, recording.points.len());
        Ok(Some(recovered.having_waited(waited.len())))
    }

    /// Begins the procedure where it began when it was recorded, and cuts it.
    fn cut(&self, case: &Case, start: &Value) -> Cut<'_> {
        self.cloud.import(start);
        self.cloud
            .clock(&json!({ "operation_polls": OPERATION_POLLS }));
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

    /// The recovery, and again if it fails; how many applies it took, and how the last one ended.
    /// Whoever waits for what goes on needs no second one.
    fn recover_at_last(&self, case: &Case) -> (u32, Result<bool, End>) {
        let mut applies = 1;
        let mut recovery = self.recover(&Life::default(), case.scenario);
        while let Err(end) = &recovery
            && applies < APPLIES_MAX
        {
            let is_stale = matches!(end, End::Failed(why) if why.contains(STALE));
            if is_stale && case.scenario.procedure.may_be_overtaken() {
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

    /// Destroys what the state has, and deletes what no state has; whether preflight refused it first.
    fn give_up(&self, case: &Case) -> Result<bool, String> {
        if case.scenario.procedure == Procedure::Import {
            self.unprotect(case)?;
        }
        let was_refused = case.ending == Ending::Refused && self.destroy_refused(case)?;
        if !was_refused {
            self.destroy(case)?;
        }
        let words = ["--owner", OWNER, "--delete", "--yes", "--without-state"];
        let (has_succeeded, text) = orphans(self.core.simulator(), &words);
        if !has_succeeded {
            return Err(format!("orphans are left: {text}"));
        }
        self.check_empty()
            .map_err(|why| format!("{why}\n{text}"))
            .map(|()| was_refused)
    }

    /// Destroys what preflight refuses by now, by the line that its refusal prints; whether it was
    /// refused. Of what has no entry in the state nothing is planned.
    fn destroy_refused(&self, case: &Case) -> Result<bool, String> {
        let config = case.scenario.refused();
        let life = Life::default();
        // Where the cluster is gone too, a client plans as if there were nothing; this core plans
        // nothing at all then.
        let must_refuse = !case.scenario.procedure.may_be_overtaken()
            && !self.core.is_empty()
            && !clusters(self.cloud, self.api).is_empty();
        let refusal = match self.core.destroy(&life, &config) {
            Ok(_) if must_refuse => return Err("destroyed without a refusal".to_owned()),
            Ok(_) => return Ok(false),
            Err(End::Failed(why)) => why,
            Err(End::Killed) => return Err("nobody killed it".to_owned()),
        };
        let words = ending::way_out(&refusal).unwrap_or_default();
        if words != ["destroy", "-refresh=false"] {
            return Err(format!("refused without a way to destroy it: {refusal}"));
        }
        match self.core.destroy_unread(&life, &config) {
            Ok(_) => Ok(true),
            Err(end) => Err(format!(
                "not destroyed by the line that its refusal prints: {end:?}\n{refusal}"
            )),
        }
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
        let left = books::left(self.cloud, self.api.alone(), &self.granted);
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

/// A kill has to end a run whose request is on its way; only one that has its answer may come to its
/// end first.
fn struck(ended: &Result<bool, End>, site: Site) -> Result<(), String> {
    match ended {
        Ok(_) if site != Site::AfterAnswer => Err("the kill struck nobody".to_owned()),
        _ => Ok(()),
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
