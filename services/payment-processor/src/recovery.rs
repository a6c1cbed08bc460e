//! After the database lost its primary: what does the acquirer know that we may have forgotten?
//!
//! db-controller says since when; every charge since then is shown to it. What it cannot make a
//! payment of is voided here. Until that is finished no payment is taken in, so a failure is tried
//! again at once and for ever. A question can take long, and whoever gave it out may lose the next
//! primary meanwhile; so what is asked for is heard all the while, from whoever gives it out then.

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
use tonic::{Status, Streaming};

use crate::acquirer::{Acquirer, List, Listed, NoWord};

/// How long to wait before anything is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a recovery is not finished.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("the acquirer cannot be asked")]
    Acquirer(#[from] NoWord),
    #[error("db-controller does not take it: {}", .0.message())]
    Controller(#[from] Status),
}

/// What db-controller asks for, over one stream after the other: each gives out once what is open.
struct Tasks {
    channel: Line,
    open: Option<Streaming<Recovery>>,
}

impl Tasks {
    /// The next one. Who gave it out may be gone, or without a database; another one is heard then.
    async fn next(&mut self) -> Recovery {
        loop {
            match self.heard().await {
                Ok(Some(task)) => return task,
                Ok(None) => {}
                Err(status) => {
                    tracing::warn!(reason = status.message(), "nobody says what to recover");
                }
            }
            self.open = None;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn heard(&mut self) -> Result<Option<Recovery>, Status> {
        if self.open.is_none() {
            let mut controller = QueueClient::new(self.channel.clone());
            let opened = controller.recoveries(RecoveriesRequest {}).await?;
            self.open = Some(opened.into_inner());
        }
        self.open.as_mut().expect("set above").message().await
    }
}

/// Recovers whenever db-controller asks for it, until `stop` is cancelled.
pub async fn run(acquirer: Arc<dyn Acquirer>, channel: Line, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            reason = listen(acquirer.as_ref(), &channel) => {
                tracing::warn!(reason = %reason, "recovery is tried again");
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Recovers whenever it is asked to; gives why it could not. It is asked to anew by another stream.
async fn listen(acquirer: &dyn Acquirer, channel: &Line) -> Unfinished {
    let mut tasks = Tasks {
        channel: channel.clone(),
        open: None,
    };
    let mut task = tasks.next().await;
    loop {
        let asked = ask(acquirer, channel, &task, &mut tasks).await;
        task = match asked {
            Ok(Some(newer)) => newer,
            Ok(None) => tasks.next().await,
            Err(reason) => return reason,
        };
    }
}

/// Asks to the end, or until a newer promotion is to be recovered from; gives that.
async fn ask(
    acquirer: &dyn Acquirer,
    channel: &Line,
    task: &Recovery,
    tasks: &mut Tasks,
) -> Result<Option<Recovery>, Unfinished> {
    let mut recovery = pin!(recover(acquirer, channel, task));
    let mut is_repeated = false;
    loop {
        tokio::select! {
            done = &mut recovery => {
                done?;
                // It may be this very one; a new stream says what is still open.
                if is_repeated {
                    tasks.open = None;
                }
                return Ok(None);
            }
            given = tasks.next() => {
                // One question covers all that is open: the newer promotion need not wait.
                if given.epoch > task.epoch {
                    return Ok(Some(given));
                }
                is_repeated = true;
            }
        }
    }
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
