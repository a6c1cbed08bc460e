//! Does the same with the code under test and with the model, and compares.

use std::collections::{BTreeMap, HashMap};

use paymesh_contracts::{
    AttemptId, Currency, MessageId, Money, PaymentId, TenantId,
    attempt::attempt_id,
    digest,
    http::{AttemptKind, CaptureMethod},
};
use uuid::Uuid;

use super::{
    DAY_MS, Deed, EPOCH, FEE_BASIS_POINTS, LEDGER_EPOCH, Right,
    reference::{Asked, Known, Paid},
};
use crate::{
    command::{Act, Command, Complete, Consumer, CreatePayment, Effect, Keyed, Lease, Outcome},
    decide::{Decider, Ids},
    defect::Defects,
    ledger::{AccountId, AccountKind, Balance},
    world::{Changes, MessageRow, PARTITIONS, TenantRow, Work, World, partition_of},
};

#[derive(Default)]
pub(super) struct Counted(u128);

impl Ids for Counted {
    fn fresh(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

pub(super) struct Bench {
    pub(super) world: World,
    pub(super) ids: Counted,
    pub(super) tenant: TenantId,
    pub(super) known: BTreeMap<u8, Known>,
    pub(super) paid: BTreeMap<PaymentId, Paid>,
    /// Every message there ever was, in order.
    messages: Vec<(MessageId, MessageRow)>,
    completed: HashMap<MessageId, u32>,
    pub(super) contradictions: usize,
    recorded_contradictions: usize,
    pub(super) events: usize,
    recorded_events: usize,
    payments_made: u128,
}

impl Bench {
    pub(super) fn new() -> Self {
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
            // Merchants from before disputes have no account for their debts yet.
            if kind != AccountKind::MerchantDebt {
                let account = AccountId::of(tenant, kind, Currency::Eur);
                world.balances.insert(account, Balance::new(kind));
            }
        }
        Self {
            world,
            ids: Counted::default(),
            tenant,
            known: BTreeMap::new(),
            paid: BTreeMap::new(),
            messages: Vec::new(),
            completed: HashMap::new(),
            contradictions: 0,
            recorded_contradictions: 0,
            events: 0,
            recorded_events: 0,
            payments_made: 0,
        }
    }

    pub(super) fn keyed(&self, key: u8, request: u8, what: &impl std::fmt::Debug) -> Keyed {
        Keyed {
            key: (self.tenant, key.to_string()),
            fingerprint: digest::sha256(format!("{what:?}").as_bytes()),
            request_id: Uuid::from_u128(u128::from(request)),
        }
    }

    /// The id of the payment that a key made, or one that nobody has.
    pub(super) fn payment_of(&self, key: u8) -> PaymentId {
        let known = self.known.get(&key);
        known.map_or(PaymentId(Uuid::nil()), |known| known.payment_id)
    }

    /// The command of a deed, if there is anything it could be about.
    pub(super) fn command(&mut self, deed: &Deed) -> Option<Command> {
        Some(match *deed {
            Deed::Create {
                key,
                amount,
                is_manual,
                request,
            } => {
                self.payments_made += 1;
                Command::CreatePayment(CreatePayment {
                    request: self.keyed(key, request, &(amount, is_manual)),
                    payment_id: PaymentId(Uuid::from_u128(1 << 64 | self.payments_made)),
                    amount: Money::new(amount, Currency::Eur),
                    payment_method: "tok_approve".to_owned(),
                    reference: None,
                    capture: if is_manual {
                        CaptureMethod::Manual
                    } else {
                        CaptureMethod::Automatic
                    },
                })
            }
            Deed::Act {
                key,
                of,
                kind,
                amount,
                request,
            } => {
                let amount = amount.filter(|_| kind != AttemptKind::Void);
                Command::Act(Act {
                    request: self.keyed(key, request, &(of, kind, amount)),
                    payment_id: self.payment_of(of),
                    kind,
                    amount: amount.map(|amount| Money::new(amount, Currency::Eur)),
                    answer: None,
                })
            }
            Deed::Answer { .. } | Deed::Hear { .. } => self.dispute_command(deed)?,
            Deed::Settle { key } => Command::SettleAnswer((self.tenant, key.to_string())),
            Deed::Complete {
                message,
                word,
                right,
            } => self.completion(message, word, right)?,
            Deed::Confirm { key } => Command::Confirm(self.tenant, self.payment_of(key)),
            Deed::DaysPass(days) => {
                self.world.now_ms += days * DAY_MS;
                return None;
            }
        })
    }

    fn completion(&self, message: usize, word: u8, right: Right) -> Option<Command> {
        if self.messages.is_empty() {
            return None;
        }
        let (message_id, row) = &self.messages[message % self.messages.len()];
        let effect = match (row.work.attempt(), word) {
            (None, _) if row.work == Work::Expire => Effect::Expired,
            (None, _) => return None,
            (Some(attempt_id), 0 | 1) => Effect::Approved {
                attempt_id,
                acquirer_reference: "acq".to_owned(),
            },
            (Some(attempt_id), 2) => Effect::Declined {
                attempt_id,
                failure_code: "no".to_owned(),
                acquirer_reference: None,
            },
            // Only of what takes or reserves money does a customer know.
            (Some(attempt_id), 3) if self.is_first(row.payment_id, attempt_id) => {
                Effect::ActionRequired {
                    attempt_id,
                    url: "there".to_owned(),
                }
            }
            (Some(attempt_id), _) => Effect::Unknown {
                attempt_id,
                contradiction: None,
            },
        };
        let partition = partition_of(row.payment_id);
        Some(Command::Complete(Complete {
            message_id: *message_id,
            lease: Lease {
                consumer: Consumer::Attempts,
                partition: (partition + i16::from(right == Right::Elsewhere)) % PARTITIONS,
                epoch: match right {
                    Right::Held | Right::Elsewhere => EPOCH,
                    Right::Stale | Right::Claimed => EPOCH - 1,
                    Right::Lost => EPOCH - LEDGER_EPOCH,
                },
            },
            is_claimed: matches!(right, Right::Claimed | Right::Lost),
            effect,
            about: None,
        }))
    }

    fn is_first(&self, payment_id: PaymentId, id: AttemptId) -> bool {
        let asked = &self.paid[&payment_id].asked[&id];
        matches!(asked.kind, AttemptKind::Charge | AttemptKind::Authorize)
    }

    /// What the model expects of a command, and remembers of it.
    fn expect(&mut self, deed: &Deed, command: &Command) -> Option<Outcome> {
        match (deed, command) {
            (&Deed::Create { key, request, .. }, Command::CreatePayment(create)) => {
                let fingerprint = create.request.fingerprint;
                if let Some(known) = self.known.get(&key) {
                    return Some(known.outcome(fingerprint, request));
                }
                let amount = create.amount.amount_minor;
                let paid = Paid {
                    amount,
                    ..Paid::default()
                };
                self.paid.insert(create.payment_id, paid);
                let kind = match create.capture {
                    CaptureMethod::Automatic => AttemptKind::Charge,
                    CaptureMethod::Manual => AttemptKind::Authorize,
                };
                Some(self.ask(key, request, fingerprint, create.payment_id, kind, amount))
            }
            (&Deed::Act { key, request, .. }, Command::Act(act)) => {
                let fingerprint = act.request.fingerprint;
                if let Some(known) = self.known.get(&key) {
                    return Some(known.outcome(fingerprint, request));
                }
                let Some(paid) = self.paid.get(&act.payment_id) else {
                    return Some(Outcome::NotFound);
                };
                let amount = act.amount.map(|amount| amount.amount_minor);
                Some(match paid.allows(act.kind, amount, self.free()) {
                    Err(refusal) => refusal,
                    Ok(amount) => {
                        self.ask(key, request, fingerprint, act.payment_id, act.kind, amount)
                    }
                })
            }
            (Deed::Answer { .. } | Deed::Hear { .. }, _) => {
                Some(self.expect_dispute(deed, command))
            }
            (Deed::Settle { key }, _) => match self.known.get(key) {
                None => Some(Outcome::NotFound),
                // The first answer is read from the code, every later one has to be the same.
                Some(known) => known.answer.clone().map(Outcome::Settled),
            },
            (Deed::Confirm { .. }, Command::Confirm(_, payment_id)) => {
                let Some(paid) = self.paid.get_mut(payment_id) else {
                    return Some(Outcome::NotFound);
                };
                if paid.status() == "requires_action" {
                    paid.waits_for_customer = false;
                }
                let known = self.known.values().find(|known| {
                    known.payment_id == *payment_id && self.is_first(*payment_id, known.attempt_id)
                });
                known.map(|known| Outcome::Confirmed(known.attempt_id))
            }
            (Deed::Complete { word, right, .. }, Command::Complete(complete)) => {
                if self.completed.contains_key(&complete.message_id) {
                    return Some(Outcome::Already);
                }
                if !matches!(right, Right::Held | Right::Claimed) {
                    return Some(Outcome::Fenced);
                }
                *self.completed.entry(complete.message_id).or_default() += 1;
                let message = self.world.messages[&complete.message_id].clone();
                match message.work.attempt() {
                    Some(id) => self.hear(message.payment_id, id, *word),
                    None => self.expire(message.payment_id),
                }
                Some(Outcome::Applied)
            }
            _ => None,
        }
    }

    pub(super) fn ask(
        &mut self,
        key: u8,
        request: u8,
        fingerprint: [u8; 32],
        payment_id: PaymentId,
        kind: AttemptKind,
        amount: i64,
    ) -> Outcome {
        let attempt_id = attempt_id(self.tenant, &key.to_string(), 1);
        let asked = Asked {
            kind,
            amount,
            dispute: None,
            word: None,
        };
        let paid = self.paid.get_mut(&payment_id).expect("it was paid");
        paid.asked.insert(attempt_id, asked);
        let known = Known {
            fingerprint,
            request,
            payment_id,
            attempt_id,
            answer: None,
            is_committed: false,
        };
        self.known.insert(key, known);
        Outcome::Created {
            payment_id,
            answer: None,
        }
    }

    fn hear(&mut self, payment_id: PaymentId, id: AttemptId, word: u8) {
        let is_first = self.is_first(payment_id, id);
        let paid = self.paid.get_mut(&payment_id).expect("it was paid");
        let asked = paid.asked.get_mut(&id).expect("it was asked");
        match (asked.word, word) {
            (None, 3) if is_first => {
                let is_news = !paid.was_with_customer;
                if !paid.waits_for_customer && paid.expires_at_ms.is_none() {
                    paid.expires_at_ms = Some(self.world.now_ms + 15 * 60_000);
                }
                (paid.waits_for_customer, paid.was_with_customer) = (true, true);
                self.events += usize::from(is_news);
            }
            (Some(_), 3) if is_first => self.contradictions += 1,
            (_, 3 | 4) => {}
            (None, word) => {
                asked.word = Some(word != 2);
                if is_first {
                    paid.waits_for_customer = false;
                }
                self.events += 1;
                if asked.kind == AttemptKind::Authorize {
                    paid.expires_at_ms = Some(self.world.now_ms + 7 * DAY_MS);
                }
                if word != 2 {
                    self.follow(payment_id, id);
                }
            }
            (Some(first), word) if first != (word != 2) => self.contradictions += 1,
            _ => {}
        }
    }

    fn expire(&mut self, payment_id: PaymentId) {
        let row = &self.world.payments[&payment_id];
        let id = attempt_id(self.tenant, &row.key.1, 2);
        let paid = self.paid.get_mut(&payment_id).expect("it was paid");
        if paid.is_expired(self.world.now_ms) {
            let asked = Asked {
                kind: AttemptKind::Void,
                amount: paid.amount,
                dispute: None,
                word: None,
            };
            paid.asked.entry(id).or_insert(asked);
        }
    }

    /// What the merchant has that nobody is promised.
    pub(super) fn free(&self) -> i64 {
        let paid = self.paid.values();
        paid.map(|paid| {
            let back = paid.refunded() + paid.refunding() + paid.charged_back().0;
            paid.taken() - paid.fee() - back
        })
        .sum()
    }

    pub(super) fn group(&mut self, deeds: &[Deed]) {
        let mut changes = Changes::default();
        for deed in deeds {
            let Some(command) = self.command(deed) else {
                continue;
            };
            let expected = self.expect(deed, &command);
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
        self.recorded_contradictions += changes.mismatches.len();
        self.recorded_events += changes.events.len();
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
            let asked = &self.paid[&known.payment_id].asked[&known.attempt_id];
            let is_first = matches!(asked.kind, AttemptKind::Charge | AttemptKind::Authorize);
            match (&known.answer, &row.answer) {
                (Some(kept), now) => assert_eq!(Some(kept), now.as_ref()),
                (None, Some(answer)) => {
                    let status = match asked.word {
                        None if is_first && self.paid[&known.payment_id].was_with_customer => 201,
                        None => 202,
                        Some(_) if is_first => 201,
                        Some(_) => 200,
                    };
                    assert_eq!(answer.status, status);
                    known.answer = Some(answer.clone());
                }
                (None, None) => {
                    assert_eq!(asked.word, None);
                    assert!(!is_first || !self.paid[&known.payment_id].was_with_customer);
                }
            }
        }
    }

    fn check(&self) {
        for (id, paid) in &self.paid {
            let payment = &self.world.payments[id];
            assert_eq!(payment.amount.amount_minor, paid.amount);
            assert_eq!(payment.status.word(), paid.status());
            assert_eq!(payment.attempts.len(), paid.asked.len());
            // What is reserved is let go in time: a message sees to it until it was asked for.
            let sees_to_it = |(message, row): &(MessageId, MessageRow)| {
                row.payment_id == *id
                    && row.work == Work::Expire
                    && !self.completed.contains_key(message)
            };
            let was_asked = payment.attempt(attempt_id(self.tenant, &payment.key.1, 2));
            if paid.status().starts_with("requires_") && was_asked.is_none() {
                assert!(self.messages.iter().any(sees_to_it), "{payment:?}");
            }
        }
        let sum = |of: fn(&Paid) -> i64| self.paid.values().map(of).sum::<i64>();
        let balance = |kind| {
            let account = AccountId::of(self.tenant, kind, Currency::Eur);
            let balance = self.world.balances.get(&account);
            balance.map_or((0, 0), |balance| (balance.posted_minor, balance.held_minor))
        };
        let (taken, fees) = (sum(Paid::taken), sum(Paid::fee));
        let (refunded, refunding) = (sum(Paid::refunded), sum(Paid::refunding));
        let (had, owed) = (
            sum(|paid| paid.charged_back().0),
            sum(|paid| paid.charged_back().1),
        );
        let left = taken - refunded - had;
        let reserved = sum(Paid::reserved);
        let owed_to_us = (owed - left, reserved);
        assert_eq!(balance(AccountKind::AcquirerReceivable), owed_to_us);
        assert_eq!(balance(AccountKind::MerchantDebt), (-owed, 0));
        assert_eq!(balance(AccountKind::Fees), (fees, 0));
        assert_eq!(
            balance(AccountKind::MerchantPayable),
            (left - fees, refunding)
        );
        assert!(self.completed.values().all(|count| *count == 1));
        assert_eq!(self.contradictions, self.recorded_contradictions);
        assert_eq!(self.events, self.recorded_events);
    }
}
