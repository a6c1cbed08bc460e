//! After a promotion: what the acquirer did and no attempt of ours explains.
//!
//! A charge or an operation carries where it came from, so what was lost is taken in again under
//! its own id and key, and its attempt meets what the acquirer did. Charges come before operations
//! on them. A charge or reservation that carries nothing usable is nobody's and is voided; another
//! operation is noted for a person.

use std::collections::HashSet;

use paymesh_contracts::{
    AttemptId, Money, PaymentId, TenantId,
    attempt::attempt_id,
    http::{AttemptKind, CaptureMethod},
    persistence as wire,
};
use tonic::Status;
use uuid::Uuid;

use super::{failed, kept, some};
use crate::{
    command::{Act, Command, CreatePayment, DisputeAnswer, DisputeName, Keyed, Outcome},
    lane::Lane,
    store::Reader,
};

/// What was lost, and how it is had again.
#[derive(Debug)]
pub enum Lost {
    /// Taken in again.
    Request(Command),
    /// Made again when its time comes: nobody but ourselves asked for it.
    Expiry,
}

/// Takes in what was lost of a page; gives the attempts to be voided.
pub(super) async fn adopt(
    lane: &Lane,
    reader: &Reader,
    request: wire::AdoptRequest,
) -> Result<Vec<Vec<u8>>, Status> {
    let charges = request
        .charges
        .into_iter()
        .map(|charge| (AttemptKind::Charge, charge));
    let charges = charges.map(|(kind, charge)| (kind, charge, None));
    let operations = request.operations.into_iter().filter_map(|operation| {
        let answer = some(operation.dispute).map(|reference| DisputeAnswer {
            dispute: DisputeName::Reference(reference),
            explanation: some(operation.explanation),
        });
        let kind = AttemptKind::from_word(&operation.kind)?;
        Some((kind, operation.charge?, answer))
    });
    let mut found = Vec::new();
    for (kind, charge, answer) in charges.chain(operations) {
        let id = AttemptId::from_bytes(&charge.attempt_id).map_err(super::unreadable)?;
        found.push((id, kind, charge, answer));
    }
    let ids: Vec<AttemptId> = found.iter().map(|one| one.0).collect();
    let known = reader.known_attempts(&ids).await;
    let known: HashSet<AttemptId> = known.map_err(|failure| failed(&failure))?;
    let mut orphans = Vec::new();
    for (id, kind, charge, answer) in found {
        if known.contains(&id) {
            continue;
        }
        let amount = charge.amount.clone().unwrap_or_default();
        let reason = match lost(id, kind, charge, answer) {
            Err(reason) => reason,
            Ok(Lost::Expiry) => continue,
            Ok(Lost::Request(command)) => match lane.run(command).await? {
                Outcome::NotFound => "no such merchant or payment",
                Outcome::ChangedBody => "its key was used for something else",
                Outcome::OverLimit => "the balance of its merchant does not cover it",
                outcome => {
                    tracing::warn!(attempt = %id, ?outcome, "what was lost was found at the acquirer");
                    continue;
                }
            },
        };
        tracing::error!(attempt = %id, kind = kind.word(), reason, "nobody's at the acquirer");
        let noted = reader.note_orphan(request.epoch, id, &amount, reason).await;
        noted.map_err(|failure| failed(&failure))?;
        if matches!(kind, AttemptKind::Charge | AttemptKind::Authorize) {
            orphans.push(id.bytes());
        }
    }
    Ok(orphans)
}

/// What the acquirer did it for, or why that cannot be known.
pub fn lost(
    id: AttemptId,
    kind: AttemptKind,
    charge: wire::AcquirerCharge,
    answer: Option<DisputeAnswer>,
) -> Result<Lost, &'static str> {
    let origin = charge.origin.ok_or("it says nothing of its origin")?;
    let unreadable = "its origin cannot be read";
    let tenant_id = TenantId::from_bytes(&origin.tenant_id).map_err(|_| unreadable)?;
    let payment_id = PaymentId::from_bytes(&origin.payment_id).map_err(|_| unreadable)?;
    let amount: Money = charge
        .amount
        .and_then(|amount| amount.try_into().ok())
        .ok_or(unreadable)?;
    if !(1..=Money::AMOUNT_MINOR_MAX).contains(&amount.amount_minor) {
        return Err(unreadable);
    }
    // Only we can make an id follow from a key, so the origin was not made up.
    let follows = |number| attempt_id(tenant_id, &origin.idempotency_key, number) == id;
    if kind == AttemptKind::Void && follows(2) {
        return Ok(Lost::Expiry);
    }
    if !follows(1) {
        return Err("its id does not follow from its origin");
    }
    // Nobody was given a key that cannot be kept, and another one would name something else.
    if origin.idempotency_key.contains('\0') {
        return Err(unreadable);
    }
    let request = Keyed {
        key: (tenant_id, origin.idempotency_key),
        fingerprint: origin.fingerprint.try_into().map_err(|_| unreadable)?,
        request_id: Uuid::new_v4(),
    };
    let capture = match kind {
        AttemptKind::Charge => CaptureMethod::Automatic,
        AttemptKind::Authorize => CaptureMethod::Manual,
        AttemptKind::Contest | AttemptKind::Accept if answer.is_none() => return Err(unreadable),
        AttemptKind::Capture
        | AttemptKind::Void
        | AttemptKind::Refund
        | AttemptKind::Contest
        | AttemptKind::Accept => {
            return Ok(Lost::Request(Command::AdoptAct(Act {
                request,
                payment_id,
                kind,
                amount: Some(amount),
                answer,
            })));
        }
    };
    Ok(Lost::Request(Command::Adopt(CreatePayment {
        request,
        payment_id,
        amount,
        payment_method: kept(origin.payment_method),
        reference: some(origin.reference),
        capture,
    })))
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
    fn what_follows_from_its_origin_is_taken_in_again_and_nothing_else_is() {
        let tenant = TenantId(Uuid::from_u128(7));
        let id = attempt_id(tenant, "order-1", 1);
        let found = lost(id, AttemptKind::Authorize, charge(tenant, "order-1"), None);
        let Ok(Lost::Request(Command::Adopt(payment))) = found else {
            panic!("{found:?}");
        };
        assert_eq!(payment.request.key, (tenant, "order-1".to_owned()));
        assert_eq!(payment.payment_id.bytes(), vec![7; 16]);
        assert_eq!(payment.capture, CaptureMethod::Manual);
        let found = lost(id, AttemptKind::Refund, charge(tenant, "order-1"), None);
        assert!(
            matches!(&found, Ok(Lost::Request(Command::AdoptAct(act))) if act.kind == AttemptKind::Refund),
            "{found:?}"
        );
        let expired = attempt_id(tenant, "order-1", 2);
        let found = lost(expired, AttemptKind::Void, charge(tenant, "order-1"), None);
        assert!(matches!(found, Ok(Lost::Expiry)), "{found:?}");
        let reason = |charge| lost(id, AttemptKind::Charge, charge, None).unwrap_err();
        assert_eq!(
            reason(charge(tenant, "order-2")),
            "its id does not follow from its origin"
        );
        let mut bare = charge(tenant, "order-1");
        bare.origin = None;
        assert_eq!(reason(bare), "it says nothing of its origin");
    }

    #[test]
    fn no_text_of_an_acquirer_keeps_the_recovery_from_its_end() {
        let tenant = TenantId(Uuid::from_u128(7));
        let id = attempt_id(tenant, "order-1", 1);
        let mut odd = charge(tenant, "order-1");
        let origin = odd.origin.as_mut().unwrap();
        origin.payment_method = "tok\0_approve".to_owned();
        origin.reference = "\0".to_owned();
        let found = lost(id, AttemptKind::Charge, odd, None);
        let Ok(Lost::Request(Command::Adopt(payment))) = found else {
            panic!("{found:?}");
        };
        assert_eq!(payment.payment_method, "tok\u{FFFD}_approve");
        assert_eq!(payment.reference.as_deref(), Some("\u{FFFD}"));
        let id = attempt_id(tenant, "order\0", 1);
        let found = lost(id, AttemptKind::Charge, charge(tenant, "order\0"), None);
        assert_eq!(found.unwrap_err(), "its origin cannot be read");
    }
}
