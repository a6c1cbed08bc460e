//! What the acquirer tells unasked: read from where db-controller stands, shown to it in order.
//!
//! A notice counts when db-controller took it down, and only then is the next one asked for, so none
//! is passed over; what is told again changes nothing there.

use std::{sync::Arc, time::Duration};

use paymesh_contracts::persistence::{
    HearNoticesRequest, ReadNoticesRequest, queue_client::QueueClient,
};
use paymesh_transport::Line;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::acquirer::{Acquirer, NoWord};

/// Why notices are not heard.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("the acquirer cannot be asked")]
    Acquirer(#[from] NoWord),
    #[error("db-controller does not take them down")]
    Controller(#[from] Status),
}

/// Asks for notices every `pause` until `stop` is cancelled.
pub async fn run(
    acquirer: Arc<dyn Acquirer>,
    channel: Line,
    pause: Duration,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            heard = hear(acquirer.as_ref(), &channel) => match heard {
                Ok(true) => continue,
                Ok(false) => {}
                Err(reason) => tracing::warn!(%reason, "notices are asked for again"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Hears a page of notices; says whether there are more already.
async fn hear(acquirer: &dyn Acquirer, channel: &Line) -> Result<bool, Unheard> {
    let mut controller = QueueClient::new(channel.clone());
    let known = controller.read_notices(ReadNoticesRequest {}).await?;
    let position = known.into_inner().position;
    let told = acquirer.notices(&position).await?;
    if told.position != position {
        let request = HearNoticesRequest {
            disputes: told.disputes,
            position: told.position,
        };
        controller.hear_notices(request).await?;
    }
    Ok(told.is_more)
}
