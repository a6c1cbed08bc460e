//! The tier of a real Terraform: a draw of (point, site, kill) by seed, for a budget of minutes, in
//! rounds of one case for each procedure. Each is killed in every way within five of them.
//!
//! Each cloud has a worker with a simulator and a workspace of its own. A case begins by importing
//! what existed before the procedure, so no time goes into setting it up. What was tried is kept
//! beside the programs: the next run of the same provider with the same seed goes on from there.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use paymesh_acceptance::{Cloud, programs};
use serde_json::{Value, json};

use crate::{
    Api, Draw, Kill, Point, Procedure, Scenario, Site,
    bed::{Bed, Case},
    books::Recording,
    ending::Ending,
    table::{self, Golden, Score},
};

/// The points of each scenario, of the client that the matrix runs with.
const POINTS: Golden = Golden {
    file: "points-real.txt",
    text: include_str!("../points-real.txt"),
};

/// More rounds than any budget lasts for.
const ROUNDS: usize = 1000;

/// The budget of a run that is given none, by hand.
const BY_HAND: Duration = Duration::from_mins(45);

/// The least cases of each (scenario, site, kill) in a full run.
const FULL_CASES: usize = 5;

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which draws.
    pub seed: u64,
    /// When no further case begins, once each procedure was killed; without it, once each was
    /// killed in every way.
    pub budget: Option<Duration>,
    /// Every point once, and every (scenario, site, kill) often enough, however long it takes.
    pub full: bool,
    /// No case at all: only the fault-free runs, for the golden.
    pub records: bool,
    /// Only scenarios whose name contains this.
    pub only: String,
}

/// Runs the tier; what went wrong.
pub fn run(order: &Order) -> Vec<String> {
    let started = Instant::now();
    let scores = thread::scope(|scope| {
        let workers = Api::ALL.map(|api| scope.spawn(move || work(api, order, started)));
        workers.map(|worker| worker.join().expect("a worker reports its failures"))
    });
    let mut score = Score::default();
    let mut points = String::new();
    for Worked {
        score: one,
        share,
        points: some,
    } in scores
    {
        println!("{share}");
        score.add(one);
        points += &some;
    }
    // The draw of a few minutes leaves this to the tier without Terraform.
    let is_judged = order.records || order.full || order.budget.is_none();
    if is_judged && order.only.is_empty() {
        score.failures.extend(POINTS.check(&points));
    }
    if order.records {
        return score.failures;
    }
    let wanted = Scenario::all().filter(|it| it.to_string().contains(&order.only));
    let rows = wanted.flat_map(|scenario| Kill::ALL.map(|kill| (scenario, kill)));
    let rows = rows.map(|(scenario, kill)| format!("{scenario}, {kill}"));
    let (tried, open): (Vec<_>, Vec<_>) = rows.partition(|row| score.has(row));
    println!(
        "{} of {} (scenario, kill) have a case",
        tried.len(),
        tried.len() + open.len()
    );
    if order.budget.is_none() {
        let none = open.iter().map(|row| format!("{row}: no case was tried"));
        score.failures.extend(none);
    }
    print!("{}", score.summary("real Terraform"));
    score.failures
}

/// What a worker brings back.
struct Worked {
    score: Score,
    /// The share that was reached, in words.
    share: String,
    points: String,
}

/// All cases of one cloud until the budget is used up.
fn work(api: Api, order: &Order, started: Instant) -> Worked {
    let cloud = Cloud::start();
    cloud.clock(&json!({ "drift": false }));
    let is_wanted = |procedure: &Procedure| {
        let procedure = *procedure;
        Scenario { procedure, api }
            .to_string()
            .contains(&order.only)
    };
    let mut bed = Bed::new(&cloud, api.alone(), &Procedure::ALL);
    bed.recordings.retain(|(procedure, _)| is_wanted(procedure));
    let recorded = bed.recordings.iter();
    let points = recorded.map(|(procedure, recording)| {
        let procedure = *procedure;
        (Scenario { procedure, api }, &recording.points[..])
    });
    let points = table::points(points);
    print!("{}", table::headings(&points));
    if order.records {
        return Worked {
            score: Score::default(),
            share: format!("{api}: recorded"),
            points,
        };
    }
    let recorded = bed.recordings.iter();
    let universe: usize = recorded
        .map(|(_, recording)| recording.points.len() * Site::ALL.len() * Kill::ALL.len())
        .sum();
    let mut tried = Tried::open(api, order.seed);
    let mut score = Score::default();
    score.remember_refused(tried.refused);
    let (budget, rounds) = match order.budget {
        Some(budget) => (budget, 1),
        None => (BY_HAND, Kill::ALL.len()),
    };
    for (number, case) in cases(&bed.recordings, order).iter().enumerate() {
        let is_late = !order.full && started.elapsed() > budget;
        if is_late && number >= rounds * bed.recordings.len() {
            break;
        }
        let (row, text, places) = (bed.row(case), bed.text(case), bed.places_of(case));
        if tried.has(&text) {
            score.remember(&row, &places);
        } else if score.count(&row, &text, &places, || bed.run(case)) {
            tried.add(text, score.refused());
        }
    }
    if order.full {
        score.check_reached(bed.places());
        if order.only.is_empty() {
            score.check_refusals(api);
        }
    }
    let share = format!(
        "{api}: {} of {universe} (point, site, kill) tried with seed {} so far",
        tried.cases.len(),
        order.seed
    );
    Worked {
        score,
        share,
        points,
    }
}

/// All cases in the order in which they are tried: rounds of one case for each procedure, with the
/// next kill in each round; or, in a full run, every point, and every (procedure, site, kill) often
/// enough.
fn cases(recordings: &[(Procedure, Recording)], order: &Order) -> Vec<Case> {
    let mut draw = Draw::of(order.seed);
    let mut cases = Vec::new();
    if !order.full {
        let mut kills = Kill::ALL;
        draw.shuffle(&mut kills);
        for round in 0..ROUNDS {
            let kills = kills.iter().cycle().skip(round % kills.len());
            let recorded = recordings.iter().zip(kills);
            let mut round: Vec<Case> = recorded
                .map(|(recorded, kill)| drawn(&mut draw, recorded, *kill))
                .collect();
            draw.shuffle(&mut round);
            cases.extend(round);
        }
        return cases;
    }
    for recorded in recordings {
        for point in &recorded.1.points {
            let kill = *draw.one(&Kill::ALL);
            cases.push(Case {
                points: vec![point.clone()],
                ..drawn(&mut draw, recorded, kill)
            });
        }
        for site in Site::ALL {
            for kill in Kill::ALL {
                cases.extend(several(&mut draw, recorded, site, kill));
            }
        }
    }
    cases
}

/// Enough cases of this site and kill, each at a point of its own: one that was tried is not tried
/// again.
fn several(
    draw: &mut Draw,
    recorded: &(Procedure, Recording),
    site: Site,
    kill: Kill,
) -> Vec<Case> {
    let wanted = FULL_CASES.min(recorded.1.points.len());
    let mut points = BTreeSet::new();
    let mut cases = Vec::new();
    while cases.len() < wanted {
        let case = drawn(draw, recorded, kill);
        if points.insert(case.points.clone()) {
            cases.push(Case { site, ..case });
        }
    }
    cases
}

/// One case of this kill. Half of the draws are among the few requests that change something.
fn drawn(draw: &mut Draw, (procedure, recording): &(Procedure, Recording), kill: Kill) -> Case {
    let writes: Vec<Point> = recording.writes().cloned().collect();
    let among = if draw.once_in(2) {
        &writes
    } else {
        &recording.points
    };
    Case {
        procedure: *procedure,
        points: vec![draw.one(among).clone()],
        site: *draw.one(&Site::ALL),
        kill,
        ending: Ending::drawn(draw, *procedure),
    }
}

/// The cases that earlier runs of this provider with this seed have tried.
struct Tried {
    provider: String,
    cases: BTreeSet<String>,
    /// How many stacks preflight refused in them.
    refused: u32,
    path: PathBuf,
}

impl Tried {
    fn open(api: Api, seed: u64) -> Self {
        let program = env::current_exe().unwrap_or_default();
        let path = program.with_file_name(format!("crash-matrix-{api}-{seed}.json"));
        let provider = versions(&[
            &program,
            programs::provider(),
            &programs::programs_folder().join("paymesh-cloudsim"),
        ]);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        let kept = Some(&kept).filter(|kept| kept["provider"] == provider.as_str());
        let cases = kept.and_then(|kept| kept["cases"].as_array());
        let cases = cases.into_iter().flatten().filter_map(Value::as_str);
        let refused = kept.and_then(|kept| kept["refused"].as_u64());
        Self {
            cases: cases.map(ToOwned::to_owned).collect(),
            refused: refused.and_then(|it| it.try_into().ok()).unwrap_or(0),
            provider,
            path,
        }
    }

    fn has(&self, case: &str) -> bool {
        self.cases.contains(case)
    }

    fn add(&mut self, case: String, refused: u32) {
        self.cases.insert(case);
        self.refused = refused;
        let kept =
            json!({ "provider": self.provider, "cases": self.cases, "refused": self.refused });
        // What cannot be kept is tried again.
        let _ = fs::write(&self.path, kept.to_string());
    }
}

/// What tells these builds from others.
fn versions(programs: &[&Path]) -> String {
    let all: Vec<String> = programs.iter().map(|it| version_of(it)).collect();
    all.join(", ")
}

/// What tells one build of a program from another.
fn version_of(program: &Path) -> String {
    let about = fs::metadata(program).ok();
    let made = about.as_ref().and_then(|about| about.modified().ok());
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    format!("{:?} {:?}", about.map(|about| about.len()), made)
}
