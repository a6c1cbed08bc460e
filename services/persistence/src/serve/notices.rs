//! What the acquirer tells unasked: each notice is taken down by itself, then the position is kept.
//! Whoever dies in between has them told again, which changes nothing.

use paymesh_contracts::{
    AttemptId, Money, PaymentId, TenantId, dispute::DisputeStatus, persistence as wire,
};
use tonic::Status;

use super::{failed, unreadable};
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
    let kept = reader.set_notice_position(&request.position).await;
    kept.map_err(|failure| failed(&failure))
}

fn read(
    notice: wire::DisputeNotice,
    (tenant_id, payment_id): (TenantId, PaymentId),
) -> Result<DisputeNotice, Status> {
    let unknown = |what| Status::invalid_argument(format!("a notice has no known {what}"));
    let amount: Option<Money> = notice.amount.and_then(|amount| amount.try_into().ok());
    Ok(DisputeNotice {
        tenant_id,
        payment_id,
        reference: notice.dispute,
        amount: amount.ok_or_else(|| unknown("amount"))?,
        reason: notice.reason,
        status: DisputeStatus::from_word(&notice.status).ok_or_else(|| unknown("status"))?,
        version: notice.version,
        respond_by_ms: (notice.respond_by_ms > 0).then_some(notice.respond_by_ms),
    })
}
