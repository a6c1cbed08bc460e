//! Claims of cloud names while planning: two resources of one configuration must not want the
//! same remote object.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{Fault, FaultKind, ObjectId};

/// What a plan means to do with a cloud name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// The object stays, or is made: create, update, nothing to do.
    Keep,
    /// The object goes away.
    Destroy,
}

/// One plan's claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The principal object's id.
    pub object: ObjectId,
    /// The resource type: `paymesh_cluster`.
    pub resource_type: String,
    /// The id that `import` takes.
    pub import_id: String,
    /// What the plan means to do.
    pub intent: Intent,
    /// The second call of a replace: prior state null, prior private data not empty.
    pub second_half_of_replace: bool,
    /// The state entry is stale: its delete only forgets.
    pub stale: bool,
}

/// The claims of one process.
#[derive(Debug, Default)]
pub struct Claims(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    configuration: Option<String>,
    applying: bool,
    claimed: HashMap<ObjectId, Intent>,
}

impl Claims {
    /// Begins a walk: earlier claims end. `fingerprint` stands for the provider's configuration;
    /// a second, different one in the same process is refused, because the process's locks and
    /// claims cannot tell the two apart.
    pub fn configure(&self, fingerprint: &str) -> Result<(), String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .configuration
            .as_deref()
            .is_some_and(|known| known != fingerprint)
        {
            return Err(
                "this provider process is already configured differently. Terraform \
                        starts one process per provider configuration; when attaching to a \
                        running provider, start one per configuration"
                    .into(),
            );
        }
        *state = State {
            configuration: Some(fingerprint.into()),
            ..State::default()
        };
        Ok(())
    }

    /// From now on plans no longer claim: core plans deposed objects again while applying.
    pub fn apply_began(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .applying = true;
    }

    /// Whether an apply has begun since the provider was configured.
    pub fn is_applying(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .applying
    }

    /// Claims a cloud name; refuses the second claim of the same name.
    pub fn claim(&self, claim: &Claim) -> Result<(), Box<Fault>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let exempt = claim.second_half_of_replace
            || (claim.stale && claim.intent == Intent::Destroy)
            || state.applying;
        if exempt {
            return Ok(());
        }
        match state.claimed.get(&claim.object) {
            None => {
                state.claimed.insert(claim.object.clone(), claim.intent);
                Ok(())
            }
            Some(first) => Err(Box::new(conflict(claim, *first))),
        }
    }
}

fn conflict(claim: &Claim, first: Intent) -> Fault {
    let Claim {
        object,
        resource_type,
        import_id,
        intent,
        ..
    } = claim;
    let (message, next) = if first == *intent && first == Intent::Keep {
        (
            "two resources of this configuration have the same name in the cloud. Each object \
             belongs to one resource; a second would take it over.",
            format!(
                "Rename one of the two, or keep one and let it own the object:\n\n  \
                 terraform state rm {resource_type}.OTHER\n  \
                 terraform import {resource_type}.KEPT {import_id}"
            ),
        )
    } else {
        (
            "one resource of this plan destroys the object and another wants it: a renamed \
             resource. Applied in this order or the other, a healthy object would be deleted.",
            format!(
                "Tell Terraform that it is the same object:\n\n  moved {{\n    from = \
                 {resource_type}.OLD\n    to   = {resource_type}.NEW\n  }}\n\nIf the plan shows a \
                 deposed object, a replacement was interrupted before it began. Forget the object, \
                 and the next apply takes it over again; a destroy before that leaves it behind:\n\n  \
                 terraform state rm {resource_type}.NAME"
            ),
        )
    };
    Fault::new(object.clone(), FaultKind::Claimed, message).next(next)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn claim(intent: Intent) -> Claim {
        Claim {
            object: ObjectId::new("managed cluster", "prod"),
            resource_type: "paymesh_cluster".into(),
            import_id: "/x/prod".into(),
            intent,
            second_half_of_replace: false,
            stale: false,
        }
    }

    fn check_second(first: &Claim, second: &Claim, expected: &Expect) {
        let claims = Claims::default();
        claims.claim(first).unwrap();
        let answer = claims
            .claim(second)
            .map_or_else(|fault| fault.to_string(), |()| "accepted".into());
        expected.assert_eq(&answer);
    }

    #[test]
    fn two_that_stay_get_the_state_lines() {
        check_second(
            &claim(Intent::Keep),
            &claim(Intent::Keep),
            &expect![[r"
            managed cluster prod: two resources of this configuration have the same name in the cloud. Each object belongs to one resource; a second would take it over.
            Rename one of the two, or keep one and let it own the object:

              terraform state rm paymesh_cluster.OTHER
              terraform import paymesh_cluster.KEPT /x/prod"]],
        );
    }

    #[test]
    fn a_rename_gets_the_moved_block_whichever_half_comes_first() {
        let advice = expect![[r"
            managed cluster prod: one resource of this plan destroys the object and another wants it: a renamed resource. Applied in this order or the other, a healthy object would be deleted.
            Tell Terraform that it is the same object:

              moved {
                from = paymesh_cluster.OLD
                to   = paymesh_cluster.NEW
              }

            If the plan shows a deposed object, a replacement was interrupted before it began. Forget the object, and the next apply takes it over again; a destroy before that leaves it behind:

              terraform state rm paymesh_cluster.NAME"]];
        let (old, new) = (claim(Intent::Destroy), claim(Intent::Keep));
        check_second(&old, &new, &advice);
        check_second(&new, &old, &advice);
    }

    #[test]
    fn the_second_half_of_a_replace_is_no_claim() {
        let second = Claim {
            second_half_of_replace: true,
            ..claim(Intent::Keep)
        };
        check_second(&claim(Intent::Keep), &second, &expect!["accepted"]);
    }

    #[test]
    fn the_destroy_of_a_stale_entry_is_no_claim() {
        let stale = Claim {
            stale: true,
            ..claim(Intent::Destroy)
        };
        check_second(&claim(Intent::Keep), &stale, &expect!["accepted"]);
        let stays = Claim {
            stale: true,
            ..claim(Intent::Keep)
        };
        let claims = Claims::default();
        claims.claim(&claim(Intent::Destroy)).unwrap();
        assert!(claims.claim(&stays).is_err());
        let claims = Claims::default();
        claims.claim(&claim(Intent::Keep)).unwrap();
        assert!(claims.claim(&claim(Intent::Destroy)).is_err());
    }

    #[test]
    fn plans_during_an_apply_claim_nothing_and_a_new_walk_starts_afresh() {
        let claims = Claims::default();
        claims.configure("one").unwrap();
        claims.claim(&claim(Intent::Keep)).unwrap();
        assert!(!claims.is_applying());
        claims.apply_began();
        assert!(claims.is_applying());
        claims.claim(&claim(Intent::Keep)).unwrap();
        claims.configure("one").unwrap();
        assert!(!claims.is_applying());
        claims.claim(&claim(Intent::Keep)).unwrap();
        assert!(claims.claim(&claim(Intent::Keep)).is_err());
        assert!(claims.configure("two").is_err());
    }
}
