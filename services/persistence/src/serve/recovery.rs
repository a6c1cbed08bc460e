//! After a promotion: charges of the acquirer that no attempt explains.
//!
//! A charge carries where it came from, so a lost payment is taken in again under its own id and
//! key, and its attempt meets the charge. What carries nothing usable is nobody's and is voided.

use std::collections::HashSet;

use paymesh_contracts::{
    AttemptId, Money, PaymentId, TenantId, attempt::attempt_id, persistence as wire,
};
use tonic::Status;
use uuid::Uuid;

use super::failed;
use crate::{
    command::{Command, CreatePayment, Outcome},
    lane::Lane,
    store::Reader,
};

/// Takes in what was lost of a page of charges; gives the attempts to be voided.
pub(super) async fn adopt(
    lane: &Lane,
    reader: &Reader,
    request: wire::AdoptRequest,
) -> Result<Vec<Vec<u8>>, Status> {
    let mut ids = Vec::with_capacity(request.charges.len());
    for charge in &request.charges {
        let id = AttemptId::from_bytes(&charge.attempt_id).map_err(super::unreadable)?;
        ids.push(id);
    }
    let known = reader.known_attempts(&ids).await;
    let known: HashSet<AttemptId> = known.map_err(|failure| failed(&failure))?;
    let mut orphans = Vec::new();
    for (id, charge) in ids.into_iter().zip(request.charges) {
        if known.contains(&id) {
            continue;
        }
        let amount = charge.amount.clone().unwrap_or_default();
        let reason = match lost_payment(id, charge) {
            Err(reason) => reason,
            Ok(payment) => match lane.run(Command::Adopt(payment)).await? {
                Outcome::NotFound => "no such merchant",
                Outcome::ChangedBody => "its key was used for something else",
                outcome => {
                    tracing::warn!(attempt = %id, ?outcome, "a lost payment was found at the acquirer");
                    continue;
                }
            },
        };
        tracing::error!(attempt = %id, reason, "a charge is nobody's and is voided");
        let noted = reader.note_orphan(request.epoch, id, &amount, reason).await;
        noted.map_err(|failure| failed(&failure))?;
        orphans.push(id.bytes());
    }
    Ok(orphans)
}

/// The payment a charge was made for, or why it cannot be known.
fn lost_payment(
    id: AttemptId,
    charge: wire::AcquirerCharge,
) -> Result<CreatePayment, &'static str> {
    let origin = charge.origin.ok_or("it says nothing of its origin")?;
    let unreadable = "its origin cannot be read";
    let tenant_id = TenantId::from_bytes(&origin.tenant_id).map_err(|_| unreadable)?;
    let amount: Money = charge
        .amount
        .and_then(|amount| amount.try_into().ok())
        .ok_or(unreadable)?;
    if !(1..=Money::AMOUNT_MINOR_MAX).contains(&amount.amount_minor) {
        return Err(unreadable);
    }
    // Only we can make an id follow from a key, so the origin was not made up.
    if attempt_id(tenant_id, &origin.idempotency_key, 1) != id {
        return Err("its id does not follow from its origin");
    }
    Ok(CreatePayment {
        key: (tenant_id, origin.idempotency_key),
        fingerprint: origin.fingerprint.try_into().map_err(|_| unreadable)?,
        request_id: Uuid::new_v4(),
        payment_id: PaymentId::from_bytes(&origin.payment_id).map_err(|_| unreadable)?,
        amount,
        payment_method: origin.payment_method,
        reference: (!origin.reference.is_empty()).then_some(origin.reference),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(tenant: TenantId, key: &str) -> wire::AcquirerCharge {
        wire::AcquirerCharge {
            attempt_id: Vec::new(),
            amount: Some(wire::Money {
                amount_minor: 5,
                currency: "EUR".to_owned(),
            }),
            origin: Some(wire::Origin {
                tenant_id: tenant.bytes(),
                payment_id: vec![7; 16],
                idempotency_key: key.to_owned(),
                fingerprint: vec![1; 32],
                reference: String::new(),
                payment_method: "tok_approve".to_owned(),
            }),
        }
    }

    #[test]
    fn a_charge_whose_id_follows_from_its_origin_is_a_lost_payment_and_no_other_is() {
        let tenant = TenantId(Uuid::from_u128(7));
        let id = attempt_id(tenant, "order-1", 1);
        let found = lost_payment(id, charge(tenant, "order-1")).unwrap();
        assert_eq!(found.key, (tenant, "order-1".to_owned()));
        assert_eq!(found.payment_id.bytes(), vec![7; 16]);
        let other = lost_payment(id, charge(tenant, "order-2"));
        assert_eq!(other.unwrap_err(), "its id does not follow from its origin");
        let mut bare = charge(tenant, "order-1");
        bare.origin = None;
        assert_eq!(
            lost_payment(id, bare).unwrap_err(),
            "it says nothing of its origin"
        );
    }
}
