//! What the acquirer tells unasked: each notice is taken down by itself, then the position is kept.
//! Whoever dies in between has them told again, which changes nothing.

use paymesh_contracts::{
    AttemptId, Money, PaymentId, TenantId, dispute::DisputeStatus, http::TIME_MS_MAX,
    persistence as wire,
};
use tonic::Status;

use super::{failed, kept, unreadable};
use crate::{
    command::{Command, DisputeNotice, Outcome},
    lane::Lane,
    store::Reader,
};

/// Takes notices down, in their order.
pub(super) async fn hear(
    lane: &Lane,
    reader: &Reader,
    request: wire::HearNoticesRequest,
) -> Result<(), Status> {
    for notice in request.disputes {
        let charge = AttemptId::from_bytes(&notice.charge_id).map_err(unreadable)?;
        let found = reader.payment_of(charge).await;
        let outcome = match found.map_err(|failure| failed(&failure))? {
            Some(of) => lane.run(Command::Hear(read(notice, of)?)).await?,
            // What a promotion lost is found again before this can be nobody's.
            None if !reader
                .is_recovered()
                .await
                .map_err(|failure| failed(&failure))? =>
            {
                Outcome::Recovering
            }
            None => Outcome::NotFound,
        };
        match outcome {
            Outcome::Applied => {}
            Outcome::Recovering => return Err(Status::unavailable("the ledger recovers")),
            outcome => {
                tracing::error!(charge = %charge, ?outcome, "a dispute of nothing that is ours");
            }
        }
    }
    let noted = reader.set_notice_position(&kept(request.position)).await;
    noted.map_err(|failure| failed(&failure))
}

/// What a notice says of a dispute of this payment. A word or an amount that is not known stops the
/// notices here until somebody knows it; a time that nobody can write down says nothing, and the one
/// before stays.
pub fn read(
    notice: wire::DisputeNotice,
    (tenant_id, payment_id): (TenantId, PaymentId),
) -> Result<DisputeNotice, Status> {
    let unknown = |what| Status::invalid_argument(format!("a notice has no known {what}"));
    let amount: Option<Money> = notice.amount.and_then(|amount| amount.try_into().ok());
    let respond_by_ms =
        Some(notice.respond_by_ms).filter(|at_ms| (1..=TIME_MS_MAX).contains(at_ms));
    if respond_by_ms.is_none() && notice.respond_by_ms != 0 {
        tracing::warn!(
            payment = %payment_id,
            at_ms = notice.respond_by_ms,
            "a dispute is to be answered by a time that cannot be written down"
        );
    }
    Ok(DisputeNotice {
        tenant_id,
        payment_id,
        is_renamed: notice.dispute.contains('\0'),
        reference: kept(notice.dispute),
        amount: amount.ok_or_else(|| unknown("amount"))?,
        reason: kept(notice.reason),
        status: DisputeStatus::from_word(&notice.status).ok_or_else(|| unknown("status"))?,
        version: notice.version,
        respond_by_ms,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn notice() -> wire::DisputeNotice {
        wire::DisputeNotice {
            dispute: "dp_1".to_owned(),
            charge_id: vec![7; 16],
            amount: Some(wire::Money {
                amount_minor: 5,
                currency: "EUR".to_owned(),
            }),
            reason: "fraudulent".to_owned(),
            status: "needs_response".to_owned(),
            version: 1,
            respond_by_ms: 0,
        }
    }

    fn read_of(notice: wire::DisputeNotice) -> Result<DisputeNotice, Status> {
        read(notice, (TenantId(Uuid::nil()), PaymentId(Uuid::nil())))
    }

    #[test]
    fn no_text_or_time_of_an_acquirer_keeps_back_the_notices_behind_it() {
        let odd = read_of(wire::DisputeNotice {
            dispute: "dp\0_1".to_owned(),
            reason: "\0".to_owned(),
            ..notice()
        });
        let odd = odd.unwrap();
        assert_eq!(
            (odd.reference.as_str(), odd.reason.as_str()),
            ("dp\u{FFFD}_1", "\u{FFFD}")
        );
        assert!(odd.is_renamed);
        assert!(!read_of(notice()).unwrap().is_renamed);
        for (at_ms, expected) in [
            (0, None),
            (i64::MIN, None),
            (1, Some(1)),
            (TIME_MS_MAX, Some(TIME_MS_MAX)),
            (TIME_MS_MAX + 1, None),
            (i64::MAX, None),
        ] {
            let read = read_of(wire::DisputeNotice {
                respond_by_ms: at_ms,
                ..notice()
            });
            assert_eq!(read.unwrap().respond_by_ms, expected, "{at_ms}");
        }
    }

    #[test]
    fn a_notice_without_a_known_word_or_amount_is_none() {
        let said = |notice| read_of(notice).unwrap_err().message().to_owned();
        let status = "won't".to_owned();
        let words = said(wire::DisputeNotice { status, ..notice() });
        assert_eq!(words, "a notice has no known status");
        let words = said(wire::DisputeNotice {
            amount: None,
            ..notice()
        });
        assert_eq!(words, "a notice has no known amount");
    }
}
