//! Points of a run: its write requests, numbered, so that a later run can be cut at each of them.

use std::fmt;

use crate::{Cloud, Fault, cloud::is_write};

/// One write request: the n-th with its verb and path since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Which cloud it goes to: `azure`, `google`, or `terraform` for the state.
    pub api: String,
    method: String,
    path: String,
    nth: u32,
}

impl Point {
    /// The first time that the state called `name` is saved.
    pub fn saving_of(name: &str) -> Self {
        Self {
            api: "terraform".to_owned(),
            method: "POST".to_owned(),
            path: format!("/_sim/terraform/{name}"),
            nth: 1,
        }
    }
}

impl Cloud {
    /// The write requests after entry `since`.
    pub fn points(&self, since: u64) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for entry in self.journal(since).iter().filter(|entry| is_write(entry)) {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let (method, path) = (word("method"), word("path"));
            let alike = points
                .iter()
                .filter(|point| point.method == method && point.path == path);
            points.push(Point {
                nth: 1 + u32::try_from(alike.count()).expect("a run has few requests"),
                api: word("api"),
                method,
                path,
            });
        }
        points
    }

    /// Holds the next run at `point`.
    pub fn hold_at(&self, point: &Point, site: &str) -> Fault<'_> {
        self.hold(&point.method, &point.path, point.nth, site)
    }
}

/// Without what every path has in common.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path.rsplit_once("/providers/") {
            Some((_, typed)) => typed.split_once('/').map_or(typed, |(_, path)| path),
            None => self
                .path
                .find("/resourceGroups/")
                .map_or(self.path.trim_start_matches("/v1/projects/"), |from| {
                    &self.path[from + 1..]
                }),
        };
        write!(f, "{} {} {path}", self.api, self.method)?;
        if self.nth > 1 {
            write!(f, " ({}.)", self.nth)?;
        }
        Ok(())
    }
}
