//! The cases of the tier without Terraform: which point is cut where, and what goes on beside the
//! recovery.

use std::collections::BTreeMap;

use crate::{Draw, Point, Procedure, Scenario, Site, books::Recording, ending::Ending};

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) point: Point,
    pub(crate) site: Site,
    /// The provider alone is killed, not the core.
    pub(crate) spares_core: bool,
    /// The recovery is cut too: at its n-th request, and there. One that ends before is cut earlier.
    pub(crate) second: Option<(u32, Site)>,
    pub(crate) aftermath: Aftermath,
    pub(crate) ending: Ending,
}

/// What the held request and what it begins do beside the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aftermath {
    /// Nothing: it is over, and a read or two end what it began.
    Over,
    /// It takes effect only after the recovery.
    Late,
    /// The operation that it begins goes on: whoever does not wait for it is refused.
    Long,
}

impl Case {
    /// Its row in a table.
    pub(crate) fn row(&self) -> String {
        let pairs = if self.second.is_some() { ", pairs" } else { "" };
        format!("{}{pairs}", self.scenario)
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let what = if self.spares_core { "provider" } else { "all" };
        let then = self.second.map_or(String::new(), |(nth, site)| {
            format!(", and again {site} of request {nth} of the recovery")
        });
        let aftermath = match self.aftermath {
            Aftermath::Over => "",
            Aftermath::Late => ", which takes effect after the recovery",
            Aftermath::Long => ", whose operation goes on for long",
        };
        format!(
            "{}, {what} killed {} of {}{aftermath}{then}{}",
            self.scenario,
            self.site,
            self.point,
            self.ending.text()
        )
    }

    /// The point that it is about, told from the same point of another scenario.
    pub(crate) fn place(&self) -> String {
        place(self.scenario, &self.point)
    }
}

/// A point, told from the same point of another scenario.
pub(crate) fn place(scenario: Scenario, point: &Point) -> String {
    format!("{scenario}: {point}")
}

/// Every point; what can change something at every site, and in a full run all of them. Who is
/// killed alternates. First come those in which something goes on: they are few, and find what
/// nothing else finds. So many pairs come last.
pub(crate) fn all(
    recordings: &[(Scenario, Recording)],
    full: bool,
    pairs: u32,
    draw: &mut Draw,
) -> Vec<Case> {
    let mut cases = [late(recordings), long(recordings)].concat();
    for (scenario, recording) in recordings {
        for (number, point) in recording.points.iter().enumerate() {
            for (row, site) in Site::ALL.into_iter().enumerate() {
                // A read leaves the same books wherever it is cut.
                if !full && !point.is_write() && row != number % Site::ALL.len() {
                    continue;
                }
                cases.push(Case {
                    scenario: *scenario,
                    point: point.clone(),
                    site,
                    spares_core: (number / Site::ALL.len() + row) % 2 == 1,
                    second: None,
                    aftermath: Aftermath::Over,
                    ending: Ending::drawn(draw, scenario.procedure),
                });
            }
        }
    }
    if !recordings.is_empty() {
        cases.extend((0..pairs).map(|_| pair(recordings, draw)));
    }
    cases
}

/// Orders the cases by seed, in rounds: each has one case of every scenario and aftermath. How many
/// the first round has.
pub(crate) fn in_rounds(cases: &mut Vec<Case>, draw: &mut Draw) -> usize {
    draw.shuffle(cases);
    let mut rounds = BTreeMap::new();
    let mut placed: Vec<(u32, Case)> = cases
        .drain(..)
        .map(|case| {
            let round = rounds.entry((case.scenario, case.aftermath)).or_insert(0);
            *round += 1;
            (*round, case)
        })
        .collect();
    placed.sort_by_key(|(round, _)| *round);
    cases.extend(placed.into_iter().map(|(_, case)| case));
    rounds.len()
}

/// A request of a dead run that reaches the cloud after another run has made everything: what
/// conditional creation is for.
fn late(recordings: &[(Scenario, Recording)]) -> Vec<Case> {
    followed(recordings, Aftermath::Late, |scenario, point| {
        scenario.procedure == Procedure::Create && point.is_write()
    })
}

/// An operation of a dead run that goes on while the next run plans and writes, as most do in a
/// real cloud: what waiting for operations is for.
fn long(recordings: &[(Scenario, Recording)]) -> Vec<Case> {
    followed(recordings, Aftermath::Long, |_, point| {
        point.begins_operation()
    })
}

fn followed(
    recordings: &[(Scenario, Recording)],
    aftermath: Aftermath,
    is_one: impl Fn(&Scenario, &Point) -> bool,
) -> Vec<Case> {
    let all = recordings.iter().flat_map(|(scenario, recording)| {
        let points = recording.points.iter();
        points.map(move |point| (scenario, point))
    });
    all.filter(|(scenario, point)| is_one(scenario, point))
        .map(|(scenario, point)| Case {
            scenario: *scenario,
            point: point.clone(),
            site: Site::BeforeEffect,
            spares_core: false,
            second: None,
            aftermath,
            ending: Ending::Applied,
        })
        .collect()
}

/// Two cuts, the second in the recovery.
fn pair(recordings: &[(Scenario, Recording)], draw: &mut Draw) -> Case {
    let (scenario, recording) = draw.one(recordings);
    let count = u32::try_from(recording.points.len()).unwrap_or(u32::MAX);
    let numbers: Vec<u32> = (1..=count).collect();
    Case {
        scenario: *scenario,
        point: draw.one(&recording.points).clone(),
        site: *draw.one(&Site::ALL),
        spares_core: draw.once_in(2),
        second: Some((*draw.one(&numbers), *draw.one(&Site::ALL))),
        aftermath: Aftermath::Over,
        ending: Ending::drawn(draw, scenario.procedure),
    }
}
