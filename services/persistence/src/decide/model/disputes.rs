//! Disputes in the reference model: the newest word counts, an end is an end, and money comes back
//! to where it was taken from.

use paymesh_contracts::{
    AttemptId, Currency, Money, PaymentId, attempt::attempt_id, dispute::DisputeStatus,
    http::AttemptKind,
};

use super::{
    Deed,
    bench::Bench,
    reference::{Disputed, Paid},
};
use crate::{
    command::{Act, Command, DisputeAnswer, DisputeName, DisputeNotice, Outcome},
    payment::DisputeRow,
};

fn reference(number: u8) -> String {
    format!("dp_{number}")
}

impl Bench {
    pub(super) fn dispute_command(&self, deed: &Deed) -> Option<Command> {
        Some(match *deed {
            Deed::Answer {
                key,
                of,
                number,
                kind,
                request,
            } => {
                let payment_id = self.payment_of(of);
                let first = self.world.payments.get(&payment_id)?.attempts[0].id;
                let explanation = (kind == AttemptKind::Contest).then(|| "it came".to_owned());
                Command::Act(Act {
                    request: self.keyed(key, request, &(of, number, kind)),
                    payment_id,
                    kind,
                    amount: None,
                    answer: Some(DisputeAnswer {
                        dispute: DisputeName::Id(DisputeRow::id_of(first, &reference(number))),
                        explanation,
                    }),
                })
            }
            Deed::Hear {
                of,
                number,
                amount,
                status,
                version,
            } => Command::Hear(DisputeNotice {
                tenant_id: self.tenant,
                payment_id: self.payment_of(of),
                reference: reference(number),
                is_renamed: false,
                amount: Money::new(amount, Currency::Eur),
                reason: "fraudulent".to_owned(),
                status,
                version,
                respond_by_ms: None,
            }),
            _ => return None,
        })
    }

    pub(super) fn expect_dispute(&mut self, deed: &Deed, command: &Command) -> Outcome {
        match (deed, command) {
            (
                &Deed::Answer {
                    key,
                    number,
                    request,
                    ..
                },
                Command::Act(act),
            ) => {
                let fingerprint = act.request.fingerprint;
                if let Some(known) = self.known.get(&key) {
                    return known.outcome(fingerprint, request);
                }
                match self.paid[&act.payment_id].allows_answer(number) {
                    Err(refusal) => refusal,
                    Ok(amount) => {
                        let id = act.payment_id;
                        let made = self.ask(key, request, fingerprint, id, act.kind, amount);
                        let asked = attempt_id(self.tenant, &key.to_string(), 1);
                        let paid = self.paid.get_mut(&id).expect("it was paid");
                        paid.asked.get_mut(&asked).expect("it was asked").dispute = Some(number);
                        made
                    }
                }
            }
            (
                &Deed::Hear {
                    number,
                    amount,
                    status,
                    version,
                    ..
                },
                Command::Hear(notice),
            ) => self.heard(notice.payment_id, number, amount, (status, version)),
            _ => unreachable!("it is about a dispute"),
        }
    }

    fn heard(
        &mut self,
        id: PaymentId,
        number: u8,
        amount: i64,
        (status, version): (DisputeStatus, i64),
    ) -> Outcome {
        use DisputeStatus::{Lost, Won};
        let Some(paid) = self.paid.get_mut(&id) else {
            return Outcome::NotFound;
        };
        let whole = if paid.taken() > 0 {
            paid.taken()
        } else {
            paid.amount
        };
        let left = whole - paid.disputed();
        let Some(known) = paid.disputes.get_mut(&number) else {
            if amount > left {
                self.contradictions += 1;
                return Outcome::Applied;
            }
            let new = Disputed {
                order: paid.disputes.len(),
                amount,
                status,
                version,
                covered: None,
            };
            paid.disputes.insert(number, new);
            self.events += 1 + usize::from(matches!(status, Won | Lost));
            self.book(id);
            return Outcome::Applied;
        };
        let was_final = matches!(known.status, Won | Lost);
        let is_final = matches!(status, Won | Lost);
        let is_news = version > known.version;
        let is_other_end = was_final && is_final && known.status != status;
        if amount != known.amount || is_other_end || is_news && was_final && !is_final {
            self.contradictions += 1;
        } else if is_news {
            self.events += usize::from(is_final && !was_final);
            (known.status, known.version) = (status, version);
        }
        Outcome::Applied
    }

    /// What follows from an approved attempt.
    pub(super) fn follow(&mut self, payment_id: PaymentId, attempt: AttemptId) {
        let paid = self.paid.get_mut(&payment_id).expect("it was paid");
        let asked = paid.asked[&attempt].clone();
        let dispute = asked
            .dispute
            .and_then(|number| paid.disputes.get_mut(&number));
        if let Some(dispute) = dispute.filter(|one| one.status == DisputeStatus::NeedsResponse) {
            let is_accepted = asked.kind == AttemptKind::Accept;
            self.events += usize::from(is_accepted);
            dispute.status = if is_accepted {
                DisputeStatus::Lost
            } else {
                DisputeStatus::UnderReview
            };
        }
        self.book(payment_id);
    }

    /// Takes what the merchant has of each dispute whose money was taken by us before, in the order
    /// they were heard of.
    fn book(&mut self, payment_id: PaymentId) {
        let unbooked = |paid: &Paid| {
            let open = paid
                .disputes
                .iter()
                .filter(|(_, one)| one.covered.is_none());
            open.min_by_key(|(_, one)| one.order)
                .filter(|_| paid.taken() > 0)
                .map(|(number, _)| *number)
        };
        while let Some(number) = unbooked(&self.paid[&payment_id]) {
            let free = self.free();
            let paid = self.paid.get_mut(&payment_id).expect("it was paid");
            let dispute = paid.disputes.get_mut(&number).expect("it was found");
            dispute.covered = Some(free.clamp(0, dispute.amount));
        }
    }
}
