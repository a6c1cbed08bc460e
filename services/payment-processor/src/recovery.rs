//! After the database lost its primary: what does the acquirer know that we may have forgotten?
//!
//! db-controller says since when; every charge since then is shown to it. What it cannot make a
//! payment of is voided here. Until that is finished no payment is taken in, so a failure is tried
//! again at once and for ever.

use std::{pin::pin, sync::Arc, time::Duration};

use paymesh_contracts::{
    AttemptId,
    persistence::{
        AcquirerCharge, AcquirerOperation, AdoptRequest, FinishRecoveryRequest, RecoveriesRequest,
        Recovery, queue_client::QueueClient,
    },
};
use paymesh_transport::Line;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::acquirer::{Acquirer, List, Listed, NoWord};

/// How long to wait before anything is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a recovery is not finished.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("the acquirer cannot be asked")]
    Acquirer(#[from] NoWord),
    #[error("db-controller does not answer")]
    Controller(#[from] Status),
}

/// Recovers whenever db-controller asks for it, until `stop` is cancelled.
pub async fn run(acquirer: Arc<dyn Acquirer>, channel: Line, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            ended = listen(acquirer.as_ref(), &channel) => {
                if let Err(reason) = ended {
                    tracing::warn!(reason = %reason, "recovery is tried again");
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(acquirer: &dyn Acquirer, channel: &Line) -> Result<(), Unfinished> {
    let mut tasks = QueueClient::new(channel.clone())
        .recoveries(RecoveriesRequest {})
        .await?
        .into_inner();
    let mut next = tasks.message().await?;
    while let Some(task) = next.take() {
        let mut recovery = pin!(recover(acquirer, channel, &task));
        next = loop {
            tokio::select! {
                done = &mut recovery => {
                    done?;
                    break match next {
                        None => tasks.message().await?,
                        later => later,
                    };
                }
                given = tasks.message() => match given {
                    // One question covers all that is open: the newer promotion need not wait.
                    Ok(Some(newer)) if newer.epoch > task.epoch => break Some(newer),
                    // db-controllers of the version before give it out until it is done.
                    Ok(Some(later)) => next = Some(later),
                    // Who gave it out is gone; a long question still ends, and another one hears it.
                    ended => {
                        recovery.await?;
                        return ended.map(drop).map_err(Unfinished::from);
                    }
                }
            }
        };
    }
    Ok(())
}

async fn recover(
    acquirer: &dyn Acquirer,
    channel: &Line,
    task: &Recovery,
) -> Result<(), Unfinished> {
    let mut controller = QueueClient::new(channel.clone());
    let (mut shown, mut voided) = (0, 0);
    // Charges first: what was done with one is taken in again after it.
    for list in [List::Charges, List::Operations] {
        let mut after = None;
        loop {
            let page = acquirer.since(list, task.since_ms, after).await?;
            shown += page.rows.len();
            let request = adopt_request(task.epoch, list, page.rows);
            let reply = controller.adopt(request).await?.into_inner();
            for id in reply.void_attempt_ids {
                let id = AttemptId::from_bytes(&id)
                    .map_err(|_| Status::data_loss("an id is not 16 bytes"))?;
                acquirer.void(id).await?;
                voided += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    let request = FinishRecoveryRequest {
        epoch: task.epoch,
        asked_ms: task.asked_ms,
    };
    controller.finish_recovery(request).await?;
    tracing::info!(
        epoch = task.epoch,
        shown,
        voided,
        "the acquirer was asked for everything"
    );
    Ok(())
}

fn adopt_request(epoch: i64, list: List, rows: Vec<Listed>) -> AdoptRequest {
    let mut request = AdoptRequest {
        epoch,
        ..AdoptRequest::default()
    };
    for row in rows {
        let charge = AcquirerCharge {
            attempt_id: row.attempt_id.bytes(),
            amount: Some(row.amount.into()),
            origin: row.origin,
        };
        match list {
            List::Charges => request.charges.push(charge),
            List::Operations => request.operations.push(AcquirerOperation {
                charge: Some(charge),
                kind: row.kind,
                dispute: row.dispute,
                explanation: row.explanation,
            }),
        }
    }
    request
}
