//! Random groups of commands against a reference model that is too simple to be wrong.
//!
//! The model knows a payment as "asked", "paid" or "refused" and recomputes money by counting. It
//! shares nothing with the code under test but the commands.

use std::collections::{BTreeMap, HashMap};

use paymesh_contracts::{
    AttemptId, Currency, EndpointId, EventId, MessageId, Money, PaymentId, TenantId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Decider, Ids};
use crate::{
    command::{Answer, Command, Complete, Consumer, CreatePayment, Effect, Lease, Outcome},
    defect::Defects,
    ledger::{AccountId, AccountKind, Balance, PostingKind},
    world::{Changes, MessageRow, PARTITIONS, TenantRow, Work, World, partition_of},
};

const FEE_BASIS_POINTS: i32 = 250;
const EPOCH: i64 = 7;

/// What may happen, with small numbers so that things meet.
#[derive(Clone, Debug)]
enum Act {
    Create {
        key: u8,
        amount: i64,
        request: u8,
    },
    Settle {
        key: u8,
    },
    Complete {
        message: usize,
        word: u8,
        right: Right,
    },
}

/// By which right a message is completed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    /// The lease of its partition.
    Held,
    /// One that was taken over.
    Stale,
    /// That of another partition.
    Elsewhere,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..6_u8, 1..4_i64, 0..3_u8)
            .prop_map(|(key, amount, request)| Act::Create { key, amount: amount * 333, request }),
        1 => (0..6_u8).prop_map(|key| Act::Settle { key }),
        6 => (any::<prop::sample::Index>(), 0..4_u8, right())
            .prop_map(|(message, word, right)| Act::Complete {
                message: message.index(64), word, right
            }),
    ]
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![8 => Just(Right::Held), 1 => Just(Right::Stale), 1 => Just(Right::Elsewhere)]
}

#[derive(Default)]
struct Counted(u128);

impl Ids for Counted {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// What the model knows of a key.
#[derive(Clone, Debug)]
struct Known {
    amount: i64,
    request: u8,
    payment_id: PaymentId,
    /// The acquirer's first word, for ever.
    word: Option<bool>,
    answer: Option<Answer>,
    is_committed: bool,
}

struct Bench {
    world: World,
    ids: Counted,
    tenant: TenantId,
    known: BTreeMap<u8, Known>,
    /// Every message there ever was, in order.
    messages: Vec<(MessageId, MessageRow)>,
    completed: HashMap<MessageId, u32>,
    contradictions: usize,
    recorded_contradictions: usize,
    charges: HashMap<AttemptId, u32>,
    payments_made: u128,
}

impl Bench {
    fn new() -> Self {
        let tenant = TenantId(Uuid::from_u128(1 << 100));
        let mut world = World {
            is_recovered: true,
            ..World::default()
        };
        world.tenants.insert(
            tenant,
            TenantRow {
                fee_basis_points: FEE_BASIS_POINTS,
                endpoints: Vec::new(),
            },
        );
        for partition in 0..16 {
            world.epochs.insert((Consumer::Attempts, partition), EPOCH);
        }
        for kind in AccountKind::ALL {
            let balance = Balance {
                posted_minor: 0,
                held_minor: 0,
                floor_minor: kind.floor_minor(),
            };
            let account = AccountId::of(tenant, kind, Currency::Eur);
            world.balances.insert(account, balance);
        }
        Self {
            world,
            ids: Counted::default(),
            tenant,
            known: BTreeMap::new(),
            messages: Vec::new(),
            completed: HashMap::new(),
            contradictions: 0,
            recorded_contradictions: 0,
            charges: HashMap::new(),
            payments_made: 0,
        }
    }

    /// The command of an act, if there is anything it could be about.
    fn command(&mut self, act: &Act) -> Option<Command> {
        Some(match *act {
            Act::Create {
                key,
                amount,
                request,
            } => {
                self.payments_made += 1;
                Command::CreatePayment(CreatePayment {
                    key: (self.tenant, key.to_string()),
                    fingerprint: [u8::try_from(amount / 333).unwrap(); 32],
                    request_id: Uuid::from_u128(u128::from(request)),
                    payment_id: PaymentId(Uuid::from_u128(1 << 64 | self.payments_made)),
                    amount: Money::new(amount, Currency::Eur),
                    payment_method: "tok_approve".to_owned(),
                    reference: None,
                })
            }
            Act::Settle { key } => Command::SettleAnswer((self.tenant, key.to_string())),
            Act::Complete {
                message,
                word,
                right,
            } => {
                if self.messages.is_empty() {
                    return None;
                }
                let (message_id, row) = &self.messages[message % self.messages.len()];
                let (Work::SendAttempt(attempt_id) | Work::CheckAttempt(attempt_id)) = row.work
                else {
                    return None;
                };
                let effect = match word {
                    0 | 1 => Effect::Approved {
                        attempt_id,
                        acquirer_reference: "acq".to_owned(),
                    },
                    2 => Effect::Declined {
                        attempt_id,
                        failure_code: "no".to_owned(),
                        acquirer_reference: None,
                    },
                    _ => Effect::Unknown {
                        attempt_id,
                        contradiction: None,
                    },
                };
                let partition = partition_of(row.payment_id);
                Command::Complete(Complete {
                    message_id: *message_id,
                    lease: Lease {
                        consumer: Consumer::Attempts,
                        partition: (partition + i16::from(right == Right::Elsewhere)) % PARTITIONS,
                        epoch: EPOCH - i64::from(right == Right::Stale),
                    },
                    effect,
                })
            }
        })
    }

    /// What the model expects of a command, and remembers of it.
    fn expect(&mut self, act: &Act, command: &Command) -> Option<Outcome> {
        match (act, command) {
            (
                Act::Create {
                    key,
                    amount,
                    request,
                },
                Command::CreatePayment(create),
            ) => {
                let Some(known) = self.known.get(key) else {
                    self.known.insert(
                        *key,
                        Known {
                            amount: *amount,
                            request: *request,
                            payment_id: create.payment_id,
                            word: None,
                            answer: None,
                            is_committed: false,
                        },
                    );
                    return Some(Outcome::Created {
                        payment_id: create.payment_id,
                        answer: None,
                    });
                };
                let (payment_id, answer) = (known.payment_id, known.answer.clone());
                Some(if known.amount != *amount {
                    Outcome::ChangedBody
                } else if known.request == *request {
                    Outcome::Created { payment_id, answer }
                } else if known.is_committed {
                    Outcome::Replayed { payment_id, answer }
                } else {
                    Outcome::InFlight
                })
            }
            (Act::Settle { key }, _) => match self.known.get(key) {
                None => Some(Outcome::NotFound),
                // The first answer is read from the code, every later one has to be the same.
                Some(known) => known.answer.clone().map(Outcome::Settled),
            },
            (Act::Complete { word, right, .. }, Command::Complete(complete)) => {
                if self.completed.contains_key(&complete.message_id) {
                    return Some(Outcome::Already);
                }
                if *right != Right::Held {
                    return Some(Outcome::Fenced);
                }
                *self.completed.entry(complete.message_id).or_default() += 1;
                let payment_id = self.world.messages[&complete.message_id].payment_id;
                let known = self
                    .known
                    .values_mut()
                    .find(|known| known.payment_id == payment_id)
                    .expect("every message is about a payment");
                match (known.word, word) {
                    (_, 3) => {}
                    (None, word) => known.word = Some(*word != 2),
                    (Some(first), word) if first != (*word != 2) => self.contradictions += 1,
                    _ => {}
                }
                Some(Outcome::Applied)
            }
            _ => None,
        }
    }

    fn group(&mut self, acts: &[Act]) {
        let mut changes = Changes::default();
        for act in acts {
            let Some(command) = self.command(act) else {
                continue;
            };
            let expected = self.expect(act, &command);
            let outcome = Decider {
                world: &mut self.world,
                changes: &mut changes,
                ids: &mut self.ids,
                defects: Defects::default(),
            }
            .decide(&command);
            if let Some(expected) = expected {
                assert_eq!(outcome, expected, "{command:?}");
            }
            self.learn_answers();
        }
        for posting in &changes.postings {
            if posting.kind == PostingKind::Charge {
                *self.charges.entry(posting.attempt_id).or_default() += 1;
            }
        }
        self.recorded_contradictions += changes.mismatches.len();
        // Committed: messages can be read, keys can be replayed.
        for (id, row) in changes.messages {
            self.world.messages.insert(id, row.clone());
            self.messages.push((id, row));
        }
        for row in self.world.keys.values_mut() {
            row.is_committed = true;
        }
        for known in self.known.values_mut() {
            known.is_committed = true;
        }
        self.check();
    }

    /// A first answer may come at any time; it must say what is so, and never change.
    fn learn_answers(&mut self) {
        for (key, known) in &mut self.known {
            let row = &self.world.keys[&(self.tenant, key.to_string())];
            match (&known.answer, &row.answer) {
                (Some(kept), now) => assert_eq!(Some(kept), now.as_ref()),
                (None, Some(answer)) => {
                    let status = if known.word.is_some() { 201 } else { 202 };
                    assert_eq!(answer.status, status);
                    known.answer = Some(answer.clone());
                }
                (None, None) => assert_eq!(known.word, None),
            }
        }
    }

    fn check(&self) {
        let (mut charged, mut fees, mut paid) = (0, 0, 0);
        for known in self.known.values() {
            let payment = &self.world.payments[&known.payment_id];
            assert_eq!(payment.amount.amount_minor, known.amount);
            let status = match known.word {
                None => "processing",
                Some(true) => "succeeded",
                Some(false) => "failed",
            };
            assert_eq!(payment.status.word(), status);
            if known.word == Some(true) {
                charged += known.amount;
                // 2.5 %, half up: 333 -> 8, 666 -> 17, 999 -> 25.
                fees += (known.amount + 20) / 40;
                paid += 1;
            }
        }
        let balance = |kind| {
            let account = AccountId::of(self.tenant, kind, Currency::Eur);
            self.world.balances[&account].posted_minor
        };
        assert_eq!(balance(AccountKind::AcquirerReceivable), -charged);
        assert_eq!(balance(AccountKind::Fees), fees);
        assert_eq!(balance(AccountKind::MerchantPayable), charged - fees);
        assert_eq!(self.charges.len(), paid);
        assert!(self.charges.values().all(|count| *count == 1));
        assert!(self.completed.values().all(|count| *count == 1));
        assert_eq!(self.contradictions, self.recorded_contradictions);
    }
}

#[test]
fn while_the_ledger_recovers_known_keys_are_answered_and_only_lost_payments_are_taken_in() {
    let mut bench = Bench::new();
    let create = |key, amount, request| Act::Create {
        key,
        amount,
        request,
    };
    bench.group(&[create(1, 333, 1)]);
    bench.world.is_recovered = false;
    let mut outcome = |act: &Act, is_adoption: bool, tenant: TenantId| {
        let Some(Command::CreatePayment(mut wanted)) = bench.command(act) else {
            panic!("not a payment");
        };
        wanted.key.0 = tenant;
        Decider {
            world: &mut bench.world,
            changes: &mut Changes::default(),
            ids: &mut bench.ids,
            defects: Defects::default(),
        }
        .decide(&if is_adoption {
            Command::Adopt(wanted)
        } else {
            Command::CreatePayment(wanted)
        })
    };
    let ours = TenantId(Uuid::from_u128(1 << 100));
    let is_replay = |outcome| matches!(outcome, Outcome::Replayed { .. });
    assert!(is_replay(outcome(&create(1, 333, 2), false, ours)));
    assert_eq!(
        outcome(&create(1, 666, 2), false, ours),
        Outcome::ChangedBody
    );
    assert_eq!(
        outcome(&create(2, 333, 1), false, ours),
        Outcome::Recovering
    );
    assert_eq!(
        outcome(&create(2, 333, 1), true, TenantId(Uuid::nil())),
        Outcome::NotFound
    );
    let adopted = outcome(&create(2, 333, 1), true, ours);
    assert!(matches!(adopted, Outcome::Created { .. }), "{adopted:?}");
    assert!(is_replay(outcome(&create(1, 333, 2), true, ours)));
}

/// What came of telling a merchant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Confirmed,
    Refused,
    Removed,
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![1 => Just(Told::Confirmed), 12 => Just(Told::Refused), 1 => Just(Told::Removed)]
}

proptest! {
    #[test]
    fn a_merchant_is_told_until_it_confirms_or_goes_later_each_time_and_sixteen_times_at_most(
        all in prop::collection::vec(told(), 20)
    ) {
        let mut bench = Bench::new();
        let payment_id = PaymentId(Uuid::from_u128(1 << 64));
        let consumer = Consumer::Webhooks;
        bench.world.epochs.insert((consumer, 0), EPOCH);
        let work = Work::DeliverWebhook(EventId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(2)));
        let first = MessageRow { consumer, payment_id, work, try_number: 1, available_at_ms: 0 };
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
                effect: Effect::WebhookTried {
                    delivered: told == Told::Confirmed,
                    status: None,
                    error: None,
                    is_removed: told == Told::Removed,
                },
            });
            let mut changes = Changes::default();
            for expected in [Outcome::Applied, Outcome::Already] {
                let outcome = Decider {
                    world: &mut bench.world,
                    changes: &mut changes,
                    ids: &mut bench.ids,
                    defects: Defects::default(),
                }
                .decide(&command);
                prop_assert_eq!(outcome, expected);
            }
            prop_assert_eq!(changes.deliveries.len(), 1);
            let goes_on = told == Told::Refused && tries < 16;
            prop_assert_eq!(changes.messages.len(), usize::from(goes_on));
            if let Some((again, message)) = changes.messages.pop() {
                prop_assert_eq!((message.try_number, message.available_at_ms), (tries + 1, delay_ms));
                delay_ms = (delay_ms * 2).min(6 * 3_600_000);
                (id, next) = (again, Some(message));
            }
        }
    }

    #[test]
    fn any_groups_of_commands_do_what_the_reference_model_does(
        groups in prop::collection::vec(prop::collection::vec(act(), 1..6), 1..30)
    ) {
        let mut bench = Bench::new();
        for acts in &groups {
            bench.group(acts);
        }
    }
}
