//! How a user ends what a kill left.

use crate::{Draw, Procedure};

/// One recovery in so many gives up.
const GIVES_UP_ONCE_IN: u32 = 10;

/// What is done after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// An ordinary run goes on.
    Applied,
    /// Nobody goes on: what the state has is destroyed, and orphans are deleted.
    GivenUp,
    /// The same of a stack that preflight refuses by now: it is destroyed by the line that the
    /// refusal prints.
    Refused,
}

impl Ending {
    /// One recovery in ten gives up, every second of these with a stack that is refused.
    pub(crate) fn drawn(draw: &mut Draw, procedure: Procedure) -> Self {
        let gives_up = draw.once_in(GIVES_UP_ONCE_IN);
        let is_refused = draw.once_in(2) && procedure.can_be_refused();
        match (gives_up, is_refused) {
            (false, _) => Self::Applied,
            (true, false) => Self::GivenUp,
            (true, true) => Self::Refused,
        }
    }

    /// In words, after what was killed.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Applied => "",
            Self::GivenUp => ", then given up",
            Self::Refused => ", then given up while preflight refuses it",
        }
    }
}

/// The words of the command that a refusal names as the way to destroy what it refuses; nothing, if
/// it names none.
pub(crate) fn way_out(refusal: &str) -> Option<Vec<String>> {
    let plain = refusal.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, line) = plain.split_once("To destroy it: `terraform ")?;
    let (words, _) = line.split_once('`')?;
    Some(words.split(' ').map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_is_the_command_that_a_refusal_names() {
        let refusal =
            "Use another version. To destroy it:\n`terraform destroy -refresh=false` asks";
        let words = way_out(refusal).unwrap_or_default();
        assert_eq!(words, ["destroy", "-refresh=false"]);
        assert_eq!(way_out("Use another version."), None);
    }
}
