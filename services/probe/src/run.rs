//! One run: what a merchant does with a payment, from the charge to the last look at the ledger.

use paymesh_contracts::{
    PaymentId,
    http::{Payment, PaymentStatus},
};
use tokio::time::Instant;

use crate::{
    ledger::Moved,
    merchant::Merchant,
    meter::Timed,
    step::{Failure, Step},
    trouble::Trouble,
};

/// Of how many steps a run is, each of which has the same limit.
pub(crate) const STEPS: u32 = 5;

/// Charges under a key, and refunds, until nothing is left but the fee.
pub(crate) async fn run(merchant: &Merchant, key: &str) -> Result<(), Failure> {
    let begin = |step| Timed::begin(step, merchant.step_max());

    let timed = begin(Step::Charge);
    let payment = timed.end(charge(merchant, key, timed.until).await)?;
    let id = payment.id;

    let timed = begin(Step::ChargeLedger);
    let fee_minor = timed.end(fee(merchant, id, timed.until).await)?;

    let timed = begin(Step::Event);
    timed.end(find_event(merchant, &payment, timed.until).await)?;

    let timed = begin(Step::Refund);
    timed.end(merchant.refund(id, timed.until).await)?;

    let timed = begin(Step::RefundLedger);
    timed.end(check_rest(merchant, id, fee_minor, timed.until).await)
}

async fn charge(merchant: &Merchant, key: &str, until: Instant) -> Result<Payment, Trouble> {
    let payment = merchant.charge(key, until).await?;
    let is_whole = payment.amount == merchant.amount() && payment.captured == Some(payment.amount);
    if payment.status == PaymentStatus::Succeeded && is_whole {
        return Ok(payment);
    }
    let came = format!(
        "a payment of {} that is {}",
        payment.amount,
        payment.status.word()
    );
    let code = payment.failure_code.clone();
    Err(Trouble::stands(&payment, came, code))
}

async fn moved(merchant: &Merchant, id: PaymentId, until: Instant) -> Result<Moved, Trouble> {
    let ledger = merchant.ledger(id, until).await?;
    let moved = Moved::by(&ledger.postings, id, merchant.amount());
    moved.map_err(|came| Trouble::wrong(came).about(id))
}

async fn fee(merchant: &Merchant, id: PaymentId, until: Instant) -> Result<i128, Trouble> {
    let moved = moved(merchant, id, until).await?;
    let fee = moved.fee_of_charge(merchant.amount());
    fee.ok_or_else(|| Trouble::wrong(moved.to_string()).about(id))
}

async fn check_rest(
    merchant: &Merchant,
    id: PaymentId,
    fee_minor: i128,
    until: Instant,
) -> Result<(), Trouble> {
    let moved = moved(merchant, id, until).await?;
    if moved.is_only_fee(fee_minor) {
        Ok(())
    } else {
        Err(Trouble::wrong(moved.to_string()).about(id))
    }
}

/// It was committed together with the charge, so it is there or never will be.
async fn find_event(merchant: &Merchant, payment: &Payment, until: Instant) -> Result<(), Trouble> {
    let events = merchant.events(until).await;
    let events = events.map_err(|trouble| trouble.about(payment.id))?.data;
    let is_found = events.iter().any(|event| {
        let told = &event.payment;
        event.kind == "payment.succeeded"
            && (told.id, told.status, told.amount) == (payment.id, payment.status, payment.amount)
    });
    if is_found {
        return Ok(());
    }
    let came = format!("{} events, none of which is it", events.len());
    Err(Trouble::wrong(came).about(payment.id))
}
