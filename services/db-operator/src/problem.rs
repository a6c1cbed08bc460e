//! What is wrong with an object, all of it at once: each is a condition with what to do.

use crate::failure::{Failure, chain};

/// Which condition tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The server is reached.
    Connection,
    /// The owner, the roles and their logins.
    Roles,
    /// The database.
    Database,
    /// The Secrets, and that PostgreSQL takes what is in them.
    Credentials,
    /// The extensions.
    Extensions,
    /// What the roles may do.
    Grants,
}

impl Kind {
    /// All of them, in the order in which they are worked on.
    pub(crate) const ALL: [Self; 6] = [
        Self::Connection,
        Self::Roles,
        Self::Database,
        Self::Credentials,
        Self::Extensions,
        Self::Grants,
    ];

    /// The type of the condition.
    pub(crate) fn condition(self) -> &'static str {
        match self {
            Self::Connection => "Connected",
            Self::Roles => "RolesReady",
            Self::Database => "DatabaseReady",
            Self::Extensions => "ExtensionsReady",
            Self::Grants => "GrantsReady",
            Self::Credentials => "CredentialsReady",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    /// One word, for programs.
    pub(crate) reason: &'static str,
    /// What is wrong and what to do, for people.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason,
            message: message.into(),
        }
    }

    /// A failure, as a problem. It is tried again.
    pub(crate) fn of(kind: Kind, failure: &Failure) -> Self {
        Self::new(kind, "Failed", chain(failure))
    }

    /// A thing that somebody else made.
    pub(crate) fn not_ours(kind: Kind, thing: &str, words: Option<&str>, hand_over: &str) -> Self {
        let whose = words.map_or("nothing says whose it is".to_owned(), |words| {
            format!(
                "it says \"{}\"",
                words.chars().take(100).collect::<String>()
            )
        });
        Self::new(
            kind,
            "Conflict",
            format!(
                "{thing} exists and was not made for this Database ({whose}); it is left alone. Choose another name, or hand it over: {hand_over}"
            ),
        )
    }
}

/// Everything that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Takes a step's failure down, if it is one that a person can see; else it ends the run.
    pub(crate) fn take<T>(
        &mut self,
        kind: Kind,
        result: Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.is_passing() => Err(failure),
            Err(failure) => {
                self.add(Problem::of(kind, &failure));
                Ok(None)
            }
        }
    }
}
