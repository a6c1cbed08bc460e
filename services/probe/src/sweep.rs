//! No money is left behind: what earlier runs charged and did not refund is refunded.
//!
//! The API lists payments by their time only, so pages are read from the newest on, down to where all
//! was refunded at the last look.

use std::collections::HashSet;

use paymesh_contracts::{
    PaymentId,
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, Payment, PaymentStatus},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    merchant::{Merchant, REFERENCE},
    meter::Timed,
    step::{Failure, Step},
    trouble::{Hope, Trouble, is_under_way},
};

/// How many pages of a hundred are looked at after a start: a week at a run a minute.
const PAGES_MAX: usize = 100;

/// What is known of the payments of earlier runs.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Nothing was left of this payment and those before it.
    settled: Option<PaymentId>,
    /// Whether nothing is left of any.
    is_clean: bool,
    /// Of which a person was told.
    told: HashSet<PaymentId>,
    /// Why the last look was given up: told once, however often it is met.
    trouble: Option<Trouble>,
}

/// What is left of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing, or it is none of ours.
    Nothing,
    /// Its end is still to come.
    Open,
    /// Money, which we can give back.
    Money,
    /// Money, and asking for it again changes nothing.
    Stuck,
}

impl Sweep {
    /// A run left nothing behind.
    pub(crate) fn ok(&mut self, payment: PaymentId) {
        if self.is_clean {
            self.settled = self.settled.max(Some(payment));
        }
    }

    /// A run may have left something behind.
    pub(crate) fn failed(&mut self) {
        self.is_clean = false;
    }

    /// Refunds what is left, if anything may be. What is not refunded now is looked at again the next
    /// time.
    pub(crate) async fn run(&mut self, merchant: &Merchant, stop: &CancellationToken) {
        if self.is_clean {
            return;
        }
        let timed = Timed::begin(Step::Sweep, merchant.step_max());
        let looked = self.look(merchant, stop).await;
        match timed.end(looked) {
            Ok(is_clean) => {
                self.is_clean = is_clean;
                self.trouble = None;
            }
            Err(failure) => {
                if self.trouble.as_ref() != Some(&failure.trouble) {
                    failure.tell();
                }
                self.trouble = Some(failure.trouble);
            }
        }
    }

    /// Looks from the newest payment on; says whether nothing is left.
    async fn look(
        &mut self,
        merchant: &Merchant,
        stop: &CancellationToken,
    ) -> Result<bool, Trouble> {
        // Each request has the time of a step: there may be many.
        let until = || Instant::now() + merchant.step_max();
        let mut is_clean = true;
        let mut refused: Option<Trouble> = None;
        let mut newest: Option<PaymentId> = None;
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = merchant.payments(after.as_deref(), until()).await?;
            newest = newest.or(page.data.first().map(|payment| payment.id));
            for payment in &page.data {
                if stop.is_cancelled() {
                    return Ok(false);
                }
                match left(payment) {
                    Left::Nothing => {}
                    Left::Open => is_clean = false,
                    Left::Stuck => self.tell(payment),
                    Left::Money => match merchant.refund(payment.id, until()).await {
                        Ok(_) => {
                            tracing::info!(payment = %payment.id, "what was left is refunded");
                        }
                        // Others may be refunded all the same.
                        Err(trouble) if trouble.hope == Hope::Never => {
                            refused = refused.or(Some(trouble));
                        }
                        Err(trouble) => return Err(trouble),
                    },
                }
            }
            // The page that reaches so far is looked at as a whole: two clocks may differ.
            let oldest = page.data.last().map(|payment| payment.id);
            after = page.next;
            if oldest <= self.settled || after.is_none() {
                break;
            }
        }
        if let Some(trouble) = refused {
            return Err(trouble);
        }
        if is_clean {
            self.settled = self.settled.max(newest);
        }
        Ok(is_clean)
    }

    /// Tells of a payment that a person has to refund.
    fn tell(&mut self, payment: &Payment) {
        if !self.told.insert(payment.id) {
            return;
        }
        let refunds = payment.attempts.iter().rev();
        let mut refunds = refunds.filter(|one| one.kind == AttemptKind::Refund);
        let code = refunds.find_map(|one| one.failure_code.clone());
        let came = "a payment that the acquirer does not refund, or that is disputed";
        let trouble = Trouble {
            code,
            ..Trouble::wrong(came).about(payment.id)
        };
        let step = Step::Sweep;
        Failure { step, trouble }.tell();
    }
}

/// What is left of a payment.
fn left(payment: &Payment) -> Left {
    if payment.reference.as_deref() != Some(REFERENCE) {
        return Left::Nothing;
    }
    let waits = [
        PaymentStatus::RequiresAction,
        PaymentStatus::RequiresCapture,
    ];
    if is_under_way(payment) || waits.contains(&payment.status) {
        return Left::Open;
    }
    if payment.captured.is_none() || payment.refunded == payment.captured {
        return Left::Nothing;
    }
    let mut attempts = payment.attempts.iter();
    let mut disputes = payment.disputes.iter();
    let is_declined = attempts
        .any(|one| one.kind == AttemptKind::Refund && one.status == AttemptStatus::Declined);
    if is_declined || disputes.any(|one| one.status != DisputeStatus::Won) {
        Left::Stuck
    } else {
        Left::Money
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn attempt(kind: &str, status: &str) -> Value {
        let id = "att_abgjcfkhmnepabcdefghijklmnopabcd";
        json!({ "id": id, "kind": kind, "status": status })
    }

    /// What is left of a payment of the probe that is otherwise as `members` say.
    fn left_of(members: &Value) -> Left {
        let mut payment = json!({
            "id": "pay_abgjcfkhmnepabcdefghijklmnopabcd",
            "amount": { "amount": 100, "currency": "USD" },
            "status": "succeeded",
            "payment_method": "tok_approve",
            "reference": "synthetic probe",
            "captured": { "amount": 100, "currency": "USD" },
            "attempts": [attempt("charge", "approved")],
            "created_at": "2026-11-21T05:00:00.000Z",
            "updated_at": "2026-11-21T05:00:00.120Z",
        });
        for (name, member) in members.as_object().unwrap() {
            payment[name] = member.clone();
        }
        left(&serde_json::from_value(payment).unwrap())
    }

    fn check(members: &Value, expected: Left) {
        assert_eq!(left_of(members), expected, "{members}");
    }

    #[test]
    fn only_what_the_probe_charged_and_did_not_refund_is_left() {
        check(&json!({}), Left::Money);
        let part = json!({ "amount": 40, "currency": "USD" });
        check(&json!({ "refunded": part }), Left::Money);
        let whole = json!({ "amount": 100, "currency": "USD" });
        check(&json!({ "refunded": whole }), Left::Nothing);
        check(
            &json!({ "status": "failed", "captured": null, "attempts": [attempt("charge", "declined")] }),
            Left::Nothing,
        );
    }

    #[test]
    fn a_payment_of_somebody_else_is_never_touched() {
        for reference in [json!("synthetic probes"), json!("order-7"), Value::Null] {
            check(&json!({ "reference": reference }), Left::Nothing);
        }
    }

    #[test]
    fn what_is_on_its_way_is_looked_at_again() {
        for status in ["pending", "unknown"] {
            let attempts = [attempt("charge", status)];
            check(
                &json!({ "status": "processing", "captured": null, "attempts": attempts }),
                Left::Open,
            );
            let attempts = [attempt("charge", "approved"), attempt("refund", status)];
            check(&json!({ "attempts": attempts }), Left::Open);
        }
        let attempts = [attempt("charge", "requires_action")];
        check(
            &json!({ "status": "requires_action", "captured": null, "attempts": attempts }),
            Left::Open,
        );
    }

    #[test]
    fn what_asking_again_does_not_change_is_left_to_a_person() {
        let attempts = [attempt("charge", "approved"), attempt("refund", "declined")];
        check(&json!({ "attempts": attempts }), Left::Stuck);
        let dispute = |status: &str| {
            json!({ "disputes": [{
                "id": "dsp_abgjcfkhmnepabcdefghijklmnopabcd",
                "amount": { "amount": 100, "currency": "USD" },
                "reason": "fraudulent",
                "status": status,
                "opened_at": "2026-11-21T05:00:00.000Z",
            }] })
        };
        check(&dispute("lost"), Left::Stuck);
        check(&dispute("won"), Left::Money);
    }
}
