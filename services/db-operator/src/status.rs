//! What the object's status and its events say.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    crd::{Database, DatabaseStatus, RoleStatus},
    problem::{Kind, Problem},
};

const READY: &str = "Ready";

/// What a run found.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    /// The first kind that could not be looked at.
    pub(crate) stopped_at: Option<Kind>,
    pub(crate) roles: Vec<RoleStatus>,
    /// When the database was first seen, or made anew.
    pub(crate) database_since: Option<Time>,
    /// What was done, for events: a word and a sentence.
    pub(crate) done: Vec<(&'static str, String)>,
}

impl Report {
    /// What is known without a look.
    pub(crate) fn as_before(database: &Database) -> Self {
        let status = database.status.as_ref();
        Self {
            roles: roles_before(database),
            database_since: status.and_then(|status| status.database_since.clone()),
            ..Self::default()
        }
    }
}

/// The roles that an object had at the last look.
pub(crate) fn roles_before(database: &Database) -> Vec<RoleStatus> {
    let status = database.status.as_ref();
    status.map_or_else(Vec::new, |status| status.roles.clone())
}

/// The status after a run.
pub(crate) fn status(database: &Database, report: &Report) -> DatabaseStatus {
    let generation = database.metadata.generation;
    let before = database
        .status
        .as_ref()
        .map_or(&[][..], |it| &it.conditions);
    let condition = |type_: &str, (status, reason, message): (&str, &str, String)| {
        let same = before
            .iter()
            .find(|it| it.type_ == type_ && it.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: generation,
            last_transition_time: same.map_or_else(now, |same| same.last_transition_time.clone()),
        }
    };
    let mut conditions = vec![condition(READY, verdict(report.problems.iter()))];
    for kind in Kind::ALL {
        let problems = report.problems.iter().filter(|it| it.kind == kind);
        let mut told = verdict(problems);
        if told.0 == "True" && report.stopped_at.is_some_and(|stopped| kind >= stopped) {
            told = (
                "Unknown",
                "Waiting",
                "it waits for what is not ready before it".to_owned(),
            );
        }
        conditions.push(condition(kind.condition(), told));
    }
    DatabaseStatus {
        observed_generation: generation,
        conditions,
        roles: report.roles.clone(),
        database_since: report.database_since.clone(),
    }
}

fn verdict<'a>(problems: impl Iterator<Item = &'a Problem>) -> (&'static str, &'a str, String) {
    let problems: Vec<&Problem> = problems.collect();
    let messages: Vec<&str> = problems.iter().map(|it| it.message.as_str()).collect();
    match problems.first() {
        None => ("True", "AsSpecified", String::new()),
        Some(first) => ("False", first.reason, messages.join("\n")),
    }
}

pub(crate) fn now() -> Time {
    // As precise as it is written, so that what is read again is the same.
    Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
}

/// What `Ready` says: its status, its reason and its message.
pub(crate) fn ready(status: Option<&DatabaseStatus>) -> Option<&Condition> {
    status?.conditions.iter().find(|it| it.type_ == READY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::{Connection, DatabaseSpec};

    fn database() -> Database {
        Database::new(
            "ledger",
            DatabaseSpec {
                name: "ledger".to_owned(),
                owner: "ledger_owner".to_owned(),
                connection: Connection {
                    secret_name: "admin".to_owned(),
                },
                schemas: Vec::new(),
                extensions: Vec::new(),
                roles: Vec::new(),
                rotation: crate::crd::Rotation::default(),
                deletion_policy: crate::crd::DeletionPolicy::Retain,
            },
        )
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_what_was_not_reached_is_unknown() {
        let report = Report {
            problems: vec![
                Problem::new(Kind::Roles, "Conflict", "one"),
                Problem::new(Kind::Database, "Failed", "two"),
            ],
            stopped_at: Some(Kind::Database),
            ..Report::default()
        };
        let status = status(&database(), &report);
        let told: Vec<String> = status
            .conditions
            .iter()
            .map(|it| format!("{} {} {} {:?}", it.type_, it.status, it.reason, it.message))
            .collect();
        expect_test::expect![[r#"
            Ready False Conflict "one\ntwo"
            Connected True AsSpecified ""
            RolesReady False Conflict "one"
            DatabaseReady False Failed "two"
            CredentialsReady Unknown Waiting "it waits for what is not ready before it"
            ExtensionsReady Unknown Waiting "it waits for what is not ready before it"
            GrantsReady Unknown Waiting "it waits for what is not ready before it"
        "#]]
        .assert_eq(&format!("{}\n", told.join("\n")));
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time() {
        let mut database = database();
        let mut before = status(&database, &Report::default());
        before.conditions[0].last_transition_time = Time(Timestamp::UNIX_EPOCH);
        database.status = Some(before.clone());
        assert_eq!(status(&database, &Report::default()), before);
    }
}
