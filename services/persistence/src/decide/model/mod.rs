//! Random groups of commands against a reference model that is too simple to be wrong.
//!
//! The model knows what was asked for and the acquirer's first word on it, and computes money anew
//! by counting. It shares nothing with the code under test but the commands.

mod bench;
mod disputes;
mod reference;
mod webhooks;

use paymesh_contracts::{Currency, Money, TenantId, dispute::DisputeStatus, http::AttemptKind};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    command::{Command, DisputeNotice, Outcome},
    decide::Decider,
    defect::Defects,
    world::Changes,
};
use bench::Bench;

const FEE_BASIS_POINTS: i32 = 250;
/// By how much a promotion raises the epochs of leases.
const LEDGER_EPOCH: i64 = 1 << 32;
const EPOCH: i64 = LEDGER_EPOCH + 7;
const DAY_MS: i64 = 24 * 3_600_000;

/// What may happen, with small numbers so that things meet.
#[derive(Clone, Debug)]
enum Deed {
    Create {
        key: u8,
        amount: i64,
        is_manual: bool,
        request: u8,
    },
    Act {
        key: u8,
        of: u8,
        kind: AttemptKind,
        amount: Option<i64>,
        request: u8,
    },
    Answer {
        key: u8,
        of: u8,
        number: u8,
        kind: AttemptKind,
        request: u8,
    },
    Hear {
        of: u8,
        number: u8,
        amount: i64,
        status: DisputeStatus,
        version: i64,
    },
    Settle {
        key: u8,
    },
    Complete {
        message: usize,
        word: u8,
        right: Right,
    },
    Confirm {
        key: u8,
    },
    DaysPass(i64),
}

/// By which right a message is completed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    /// The lease of its partition.
    Held,
    /// One that was taken over.
    Stale,
    /// That of a relay which another took over from, since the message was claimed.
    Claimed,
    /// That of a relay before a promotion.
    Lost,
    /// That of another partition.
    Elsewhere,
}

fn deed() -> impl Strategy<Value = Deed> {
    let kind = prop_oneof![
        2 => Just(AttemptKind::Capture),
        1 => Just(AttemptKind::Void),
        4 => Just(AttemptKind::Refund),
    ];
    let amount = prop::option::of((1..4_i64).prop_map(|amount| amount * 111));
    prop_oneof![
        4 => (0..6_u8, 1..4_i64, any::<bool>(), 0..3_u8).prop_map(
            |(key, amount, is_manual, request)| Deed::Create {
                key, amount: amount * 333, is_manual, request
            }
        ),
        6 => (4..12_u8, 0..6_u8, kind, amount, 0..3_u8).prop_map(
            |(key, of, kind, amount, request)| Deed::Act { key, of, kind, amount, request }
        ),
        3 => (4..12_u8, 0..6_u8, 0..2_u8, answer(), 0..3_u8).prop_map(
            |(key, of, number, kind, request)| Deed::Answer { key, of, number, kind, request }
        ),
        5 => (0..6_u8, 0..2_u8, 1..10_i64, dispute_status(), 1..5_i64).prop_map(
            |(of, number, amount, status, version)| Deed::Hear {
                // Mostly the same amount, so that what is heard is about the same dispute.
                of, number, amount: if amount > 3 { 222 } else { amount * 333 }, status, version
            }
        ),
        1 => (0..12_u8).prop_map(|key| Deed::Settle { key }),
        10 => (any::<prop::sample::Index>(), 0..5_u8, right()).prop_map(
            |(message, word, right)| Deed::Complete { message: message.index(64), word, right }
        ),
        2 => (0..6_u8).prop_map(|key| Deed::Confirm { key }),
        1 => (1..5_i64).prop_map(Deed::DaysPass),
    ]
}

fn answer() -> impl Strategy<Value = AttemptKind> {
    prop_oneof![Just(AttemptKind::Contest), Just(AttemptKind::Accept)]
}

fn dispute_status() -> impl Strategy<Value = DisputeStatus> {
    prop_oneof![
        3 => Just(DisputeStatus::NeedsResponse),
        1 => Just(DisputeStatus::UnderReview),
        1 => Just(DisputeStatus::Won),
        1 => Just(DisputeStatus::Lost),
    ]
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![
        8 => Just(Right::Held),
        1 => Just(Right::Stale),
        2 => Just(Right::Claimed),
        1 => Just(Right::Lost),
        1 => Just(Right::Elsewhere),
    ]
}

proptest! {
    #[test]
    fn any_groups_of_commands_do_what_the_reference_model_does(
        groups in prop::collection::vec(prop::collection::vec(deed(), 1..6), 1..30)
    ) {
        let mut bench = Bench::new();
        for deeds in &groups {
            bench.group(deeds);
        }
    }
}

#[test]
fn while_the_ledger_recovers_known_keys_are_answered_and_only_what_was_lost_is_taken_in() {
    let mut bench = Bench::new();
    let create = |key, amount, request| Deed::Create {
        key,
        amount,
        is_manual: false,
        request,
    };
    let refund = |key| Deed::Act {
        key,
        of: 1,
        kind: AttemptKind::Refund,
        amount: Some(111),
        request: 1,
    };
    bench.group(&[create(1, 333, 1)]);
    bench.world.is_recovered = false;
    let ours = TenantId(Uuid::from_u128(1 << 100));
    let mut outcome = |deed: &Deed, is_adoption: bool, tenant: TenantId| {
        let command = match bench.command(deed) {
            Some(Command::CreatePayment(mut create)) => {
                create.request.key.0 = tenant;
                if is_adoption {
                    Command::Adopt(create)
                } else {
                    Command::CreatePayment(create)
                }
            }
            Some(Command::Act(mut act)) => {
                act.request.key.0 = tenant;
                if is_adoption {
                    Command::AdoptAct(act)
                } else {
                    Command::Act(act)
                }
            }
            other => panic!("{other:?} cannot be lost"),
        };
        Decider {
            world: &mut bench.world,
            changes: &mut Changes::default(),
            ids: &mut bench.ids,
            defects: Defects::default(),
        }
        .decide(&command)
    };
    let is_new = |outcome| matches!(outcome, Outcome::Created { .. });
    let is_replay = |outcome| matches!(outcome, Outcome::Replayed { .. });
    assert!(is_replay(outcome(&create(1, 333, 2), false, ours)));
    let changed = outcome(&create(1, 666, 2), false, ours);
    assert_eq!(changed, Outcome::ChangedBody);
    for deed in [create(2, 333, 1), refund(9)] {
        assert_eq!(outcome(&deed, false, ours), Outcome::Recovering);
        let strange = outcome(&deed, true, TenantId(Uuid::nil()));
        assert_eq!(strange, Outcome::NotFound);
    }
    assert!(is_new(outcome(&create(2, 333, 1), true, ours)));
    assert!(is_replay(outcome(&create(1, 333, 2), true, ours)));
    // Its charge is on its way still, as far as we know; the refund was made all the same.
    assert!(is_new(outcome(&refund(9), true, ours)));
}

#[test]
fn a_dispute_by_another_name_is_noted_and_a_deadline_stays_until_another_is_said() {
    let mut bench = Bench::new();
    bench.group(&[Deed::Create {
        key: 1,
        amount: 333,
        is_manual: false,
        request: 1,
    }]);
    let payment_id = bench.payment_of(1);
    let mut hear = |version, respond_by_ms, is_renamed| {
        let notice = DisputeNotice {
            tenant_id: bench.tenant,
            payment_id,
            reference: "dp_1".to_owned(),
            is_renamed,
            amount: Money::new(33, Currency::Eur),
            reason: "fraudulent".to_owned(),
            status: DisputeStatus::NeedsResponse,
            version,
            respond_by_ms,
        };
        let mut changes = Changes::default();
        let outcome = Decider {
            world: &mut bench.world,
            changes: &mut changes,
            ids: &mut bench.ids,
            defects: Defects::default(),
        }
        .decide(&Command::Hear(notice));
        assert_eq!(outcome, Outcome::Applied);
        let disputes = bench.world.payments[&payment_id].disputes.iter();
        let deadlines: Vec<Option<i64>> = disputes.map(|one| one.respond_by_ms).collect();
        (changes.mismatches.len(), deadlines)
    };
    assert_eq!(hear(1, Some(7), true), (1, Vec::new()));
    assert_eq!(hear(1, Some(7), false), (0, vec![Some(7)]));
    assert_eq!(hear(2, None, false), (0, vec![Some(7)]));
    assert_eq!(hear(3, Some(8), false), (0, vec![Some(8)]));
    assert_eq!(hear(4, Some(9), true), (1, vec![Some(8)]));
}
