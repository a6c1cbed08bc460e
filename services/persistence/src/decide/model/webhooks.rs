//! Telling merchants, against what is promised to them.

use paymesh_contracts::{EndpointId, EventId, MessageId, PaymentId};
use proptest::prelude::*;
use uuid::Uuid;

use super::{EPOCH, bench::Bench};
use crate::{
    command::{Command, Complete, Consumer, Effect, Lease, Outcome},
    decide::Decider,
    defect::Defects,
    world::{Changes, MessageRow, Work},
};

/// What came of telling a merchant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Confirmed,
    Refused,
    Removed,
}

/// What comes of `command` in the world of `bench`, and what is to be written.
fn decide(bench: &mut Bench, changes: &mut Changes, command: &Command) -> Outcome {
    Decider {
        world: &mut bench.world,
        changes,
        ids: &mut bench.ids,
        defects: Defects::default(),
    }
    .decide(command)
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![1 => Just(Told::Confirmed), 12 => Just(Told::Refused), 1 => Just(Told::Removed)]
}

#[test]
fn what_cannot_be_handled_is_left_to_whoever_claims_it_from_the_relay_that_took_over() {
    let mut bench = Bench::new();
    let message_id = MessageId(Uuid::from_u128(1 << 64));
    let consumer = Consumer::Attempts;
    let message = MessageRow {
        consumer,
        payment_id: PaymentId(Uuid::from_u128(1 << 64)),
        work: Work::Expire,
        try_number: 1,
        available_at_ms: 0,
        failures: 0,
    };
    bench.world.messages.insert(message_id, message);
    let mut complete = |epoch| {
        let command = Command::Complete(Complete {
            message_id,
            lease: Lease {
                consumer,
                partition: 0,
                epoch,
            },
            is_claimed: true,
            effect: Effect::CannotHandle {
                reason: "no".to_owned(),
            },
            about: None,
        });
        decide(&mut bench, &mut Changes::default(), &command)
    };
    assert_eq!(complete(EPOCH - 1), Outcome::Fenced);
    assert_eq!(complete(EPOCH + 1), Outcome::Fenced);
    assert_eq!(complete(EPOCH), Outcome::Applied);
}

#[test]
fn what_one_could_not_handle_and_another_did_in_the_same_group_is_done() {
    let mut bench = Bench::new();
    let (consumer, message_id) = (Consumer::Webhooks, MessageId(Uuid::from_u128(1 << 64)));
    bench.world.epochs.insert((consumer, 0), EPOCH);
    let message = MessageRow {
        consumer,
        payment_id: PaymentId(Uuid::from_u128(1 << 64)),
        work: Work::DeliverWebhook(EventId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(2))),
        try_number: 1,
        available_at_ms: 0,
        failures: 0,
    };
    bench.world.messages.insert(message_id, message);
    let cannot = || Effect::CannotHandle {
        reason: "no".to_owned(),
    };
    let did = Effect::WebhookTried {
        delivered: true,
        status: None,
        error: None,
        is_removed: false,
    };
    let mut changes = Changes::default();
    for effect in [cannot(), cannot(), did] {
        let command = Command::Complete(Complete {
            message_id,
            lease: Lease {
                consumer,
                partition: 0,
                epoch: EPOCH,
            },
            is_claimed: false,
            effect,
            about: None,
        });
        let outcome = decide(&mut bench, &mut changes, &command);
        assert_eq!(outcome, Outcome::Applied);
        assert!(changes.setbacks.len() <= 1, "one row changes once");
    }
    assert_eq!((changes.completed.len(), changes.setbacks.len()), (1, 0));
}

proptest! {
    #[test]
    fn what_cannot_be_handled_comes_again_later_each_time_and_is_parked_with_its_reason(
        tries in 1..8_i32
    ) {
        let mut bench = Bench::new();
        let consumer = Consumer::Attempts;
        let message_id = MessageId(Uuid::from_u128(1 << 64));
        let message = MessageRow {
            consumer,
            payment_id: PaymentId(Uuid::from_u128(1 << 64)),
            work: Work::Expire,
            try_number: 1,
            available_at_ms: 0,
            failures: 0,
        };
        bench.world.messages.insert(message_id, message);
        let command = Command::Complete(Complete {
            message_id,
            lease: Lease { consumer, partition: 0, epoch: EPOCH },
            is_claimed: false,
            effect: Effect::CannotHandle { reason: "no".repeat(200) },
            about: None,
        });
        for number in 1..=tries {
            let mut changes = Changes::default();
            let outcome = decide(&mut bench, &mut changes, &command);
            prop_assert_eq!(outcome, Outcome::Applied);
            prop_assert!(changes.completed.is_empty());
            let setback = &changes.setbacks[0];
            // 1 s, doubled each time, a minute at most.
            let delay_ms = (500 << number.min(8)).min(60_000);
            prop_assert_eq!(setback.available_at_ms, i64::from(delay_ms));
            prop_assert_eq!(setback.parked.clone(), (number >= 5).then(|| "no".repeat(100)));
        }
    }

    #[test]
    fn a_merchant_is_told_until_it_confirms_or_goes_later_each_time_and_for_three_days_at_most(
        all in prop::collection::vec(told(), 30)
    ) {
        let mut bench = Bench::new();
        let payment_id = PaymentId(Uuid::from_u128(1 << 64));
        let consumer = Consumer::Webhooks;
        bench.world.epochs.insert((consumer, 0), EPOCH);
        let work = Work::DeliverWebhook(EventId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(2)));
        let first = MessageRow { consumer, payment_id, work, try_number: 1, available_at_ms: 0, failures: 0 };
        // Above those that are counted out to the tries that follow.
        let (mut id, mut next) = (MessageId(Uuid::from_u128(1 << 64)), Some(first));
        // 5 s, doubled each time, 6 hours at most.
        let (mut tries, mut delay_ms) = (0, 5_000);
        for told in all {
            let Some(message) = next.take() else { break };
            tries += 1;
            bench.world.messages.insert(id, message);
            let command = Command::Complete(Complete {
                message_id: id,
                lease: Lease { consumer, partition: 0, epoch: EPOCH },
                is_claimed: false,
                effect: Effect::WebhookTried {
                    delivered: told == Told::Confirmed,
                    status: None,
                    error: None,
                    is_removed: told == Told::Removed,
                },
                about: None,
            });
            let mut changes = Changes::default();
            for expected in [Outcome::Applied, Outcome::Already] {
                let outcome = decide(&mut bench, &mut changes, &command);
                prop_assert_eq!(outcome, expected);
            }
            prop_assert_eq!(changes.deliveries.len(), 1);
            let goes_on = told == Told::Refused && tries < 24;
            prop_assert_eq!(changes.messages.len(), usize::from(goes_on));
            if let Some((again, message)) = changes.messages.pop() {
                prop_assert_eq!((message.try_number, message.available_at_ms), (tries + 1, delay_ms));
                delay_ms = (delay_ms * 2).min(6 * 3_600_000);
                (id, next) = (again, Some(message));
            }
        }
    }
}
