//! Where on a request's way a run is cut, and what is killed then.

use std::{fmt, time::Duration};

use paymesh_acceptance::{Fault, Run, Running};

use crate::Point;

/// Terraform's word that a Ctrl-C was heard, and the longest that it may take.
const HEARD: &str = "Interrupt received";
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// A point on a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// It never arrives.
    BeforeReceipt,
    /// It has arrived, and takes effect after the kill.
    BeforeEffect,
    /// It has taken effect; its answer is lost.
    AfterEffect,
    /// Its answer is out.
    AfterAnswer,
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kill {
    /// SIGKILL to the provider.
    Provider,
    /// SIGKILL to Terraform.
    Client,
    /// SIGKILL to both.
    Both,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-C, and again as soon as the first was heard.
    InterruptTwice,
}

impl Site {
    /// All of them, in the order in which a request passes them.
    pub const ALL: [Self; 4] = [
        Self::BeforeReceipt,
        Self::BeforeEffect,
        Self::AfterEffect,
        Self::AfterAnswer,
    ];

    /// The simulator's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeReceipt => "before_receipt",
            Self::BeforeEffect => "before_effect",
            Self::AfterEffect => "after_effect",
            Self::AfterAnswer => "after_answer",
        }
    }

    /// What becomes of the held request once the kill has struck.
    pub fn let_go(self, fault: Fault<'_>) {
        match self {
            Self::BeforeReceipt | Self::AfterEffect => fault.cut(),
            Self::BeforeEffect | Self::AfterAnswer => fault.release(),
        }
    }
}

impl Kill {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Provider,
        Self::Client,
        Self::Both,
        Self::Interrupt,
        Self::InterruptTwice,
    ];

    /// Strikes while requests are held, and lets them go; the run, and whether the kill struck
    /// anybody.
    pub(crate) fn strike(self, running: Running, let_go: impl FnOnce()) -> (Run, bool) {
        match self {
            Self::Provider => {
                let strikes = running.has_provider();
                (running.kill_provider(let_go), strikes)
            }
            Self::Client => {
                let killed = running.kill_client(let_go);
                let struck = killed.was_killed();
                (killed, struck)
            }
            Self::Both => {
                let killed = running.kill();
                let_go();
                let struck = killed.was_killed();
                (killed, struck)
            }
            Self::Interrupt => {
                running.interrupt();
                let was_heard = running.says_within(HEARD, HEARD_WITHIN);
                let_go();
                (running.end(), was_heard)
            }
            Self::InterruptTwice => {
                running.interrupt();
                let was_heard = running.says_within(HEARD, HEARD_WITHIN);
                running.interrupt();
                let_go();
                (running.end(), was_heard)
            }
        }
    }

    /// Whether it has to strike somebody when a run is held at `point`: SIGKILL of Terraform always,
    /// the others where the provider is at work, and has no answer yet that it could end with.
    pub(crate) fn must_strike(self, point: &Point, site: Site) -> bool {
        let is_at_work = match self {
            Self::Client | Self::Both => true,
            Self::Provider | Self::Interrupt | Self::InterruptTwice => point.is_of_a_cloud(),
        };
        is_at_work && site != Site::AfterAnswer
    }

    /// Whether a lock is left on the state, where that is certain.
    pub(crate) fn leaves_lock(self) -> Option<bool> {
        match self {
            Self::Client | Self::Both => Some(true),
            Self::Provider | Self::Interrupt => Some(false),
            Self::InterruptTwice => None,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeReceipt => "before receipt",
            Self::BeforeEffect => "before effect",
            Self::AfterEffect => "after effect",
            Self::AfterAnswer => "after the answer",
        })
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "SIGKILL provider",
            Self::Client => "SIGKILL terraform",
            Self::Both => "SIGKILL both",
            Self::Interrupt => "SIGINT",
            Self::InterruptTwice => "SIGINT twice",
        })
    }
}
