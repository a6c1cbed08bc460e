//! What payment-processor may ask.

use std::time::Duration;

use paymesh_contracts::{
    MessageId,
    persistence::{self as wire, complete_reply, queue_server::Queue},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    failed, notices, recovery,
    request::{consumer, read_complete},
};
use crate::{
    command::{Command, Consumer, Outcome},
    lane::Lane,
    queue::{Hub, Relay, Stream},
    store::{Failure, Reader, chain},
};

/// How many messages one stream may have under way at most.
const IN_FLIGHT_MAX: u32 = 1_024;

/// How long a promotion goes unnoticed by those who have to ask the acquirer.
const RECOVERY_POLL: Duration = Duration::from_millis(250);

/// The service.
pub struct QueueService {
    /// Where effects are committed.
    pub lane: Lane,
    /// The same for webhooks.
    pub webhook_lane: Lane,
    /// Where messages are.
    pub reader: Reader,
    /// The same for who streams attempts, on a connection that nobody else waits for.
    pub attempts: Reader,
    /// The same for webhooks.
    pub webhooks: Reader,
    /// What is committed here.
    pub hub: Hub,
    /// Whether messages go over Kafka: then none is streamed from here.
    pub uses_kafka: bool,
    /// When streams end, so that their readers go to another replica.
    pub closing: CancellationToken,
}

#[tonic::async_trait]
impl Queue for QueueService {
    type PullStream = ReceiverStream<Result<wire::Message, Status>>;
    type RecoveriesStream = ReceiverStream<Result<wire::Recovery, Status>>;

    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        if self.uses_kafka {
            return Err(Status::failed_precondition(
                "messages go over Kafka: give payment-processor PAYMESH_KAFKA_SERVERS too",
            ));
        }
        let request = request.into_inner();
        let consumer = consumer(&request.consumer)?;
        let relay = Relay {
            reader: match consumer {
                Consumer::Attempts => self.attempts.clone(),
                Consumer::Webhooks => self.webhooks.clone(),
            },
            hub: self.hub.clone(),
            consumer,
            reader_id: uuid::Uuid::from_slice(&request.reader_id)
                .map_err(|_| Status::invalid_argument("the reader's id is not 16 bytes"))?,
            in_flight_max: request.in_flight_max.clamp(1, IN_FLIGHT_MAX) as usize,
        };
        let (out, messages) = mpsc::channel(64);
        let mut stream = Stream::new(out, self.closing.clone());
        tokio::spawn(async move { relay.run(&mut stream).await });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn claim(
        &self,
        request: Request<wire::ClaimRequest>,
    ) -> Result<Response<wire::ClaimReply>, Status> {
        if !self.uses_kafka {
            return Err(Status::failed_precondition(
                "messages do not go over Kafka: give db-controller PAYMESH_KAFKA_SERVERS too",
            ));
        }
        let request = request.into_inner();
        let consumer = consumer(&request.consumer)?;
        // What cannot be read points at no message, and must not stand in the way of those that do.
        let read = |reference: &wire::MessageReference| {
            let id = MessageId::from_bytes(&reference.message_id).ok()?;
            Some((id, reference.lease.as_ref()?.epoch))
        };
        let handed_out: Vec<_> = request.references.iter().filter_map(read).collect();
        let messages = self.reader.claimed(consumer, &handed_out).await;
        let messages = messages.map_err(|failure| match &failure {
            Failure::Refused(reason) => {
                tracing::error!(reason = %chain(reason), "the database refuses a claim");
                Status::invalid_argument("the database refuses these references")
            }
            _ => failed(&failure),
        })?;
        Ok(Response::new(wire::ClaimReply { messages }))
    }

    async fn recoveries(
        &self,
        _: Request<wire::RecoveriesRequest>,
    ) -> Result<Response<Self::RecoveriesStream>, Status> {
        let (out, tasks) = mpsc::channel(1);
        let (reader, closing) = (self.reader.clone(), self.closing.clone());
        tokio::spawn(async move {
            // Each once to everybody who listens: another one is there when the first is gone, and
            // who failed at it comes back. A reader is slower than a promotion: what was given out
            // twice would be done twice, while money waits.
            let mut given = None;
            while !out.is_closed() && !closing.is_cancelled() {
                match reader.open_recovery().await {
                    Ok(None) => given = None,
                    Ok(Some(open)) if given == Some((open.epoch, open.is_awaited)) => {}
                    Ok(Some(open)) => {
                        given = Some((open.epoch, open.is_awaited));
                        let task = wire::Recovery {
                            epoch: open.epoch,
                            since_ms: open.since_ms,
                            asked_ms: open.asked_ms,
                        };
                        if out.send(Ok(task)).await.is_err() {
                            return;
                        }
                    }
                    Err(failure) => {
                        let _ = out.send(Err(failed(&failure))).await;
                        return;
                    }
                }
                tokio::select! {
                    () = closing.cancelled() => return,
                    () = tokio::time::sleep(RECOVERY_POLL) => {}
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(tasks)))
    }

    async fn adopt(
        &self,
        request: Request<wire::AdoptRequest>,
    ) -> Result<Response<wire::AdoptReply>, Status> {
        let voided = recovery::adopt(&self.lane, &self.reader, request.into_inner()).await?;
        Ok(Response::new(wire::AdoptReply {
            void_attempt_ids: voided,
        }))
    }

    async fn finish_recovery(
        &self,
        request: Request<wire::FinishRecoveryRequest>,
    ) -> Result<Response<wire::FinishRecoveryReply>, Status> {
        let wire::FinishRecoveryRequest { epoch, asked_ms } = request.into_inner();
        let finished = self.reader.finish_recovery(epoch, asked_ms).await;
        if !finished.map_err(|failure| failed(&failure))? {
            tracing::info!(epoch, "the answer for an older promotion comes too late");
            return Err(Status::failed_precondition(
                "a newer promotion is to be recovered from",
            ));
        }
        tracing::info!(
            epoch,
            "the acquirer was asked for everything; money moves again"
        );
        Ok(Response::new(wire::FinishRecoveryReply {}))
    }

    async fn read_notices(
        &self,
        _: Request<wire::ReadNoticesRequest>,
    ) -> Result<Response<wire::Notices>, Status> {
        let position = self.reader.notice_position().await;
        Ok(Response::new(wire::Notices {
            position: position.map_err(|failure| failed(&failure))?,
        }))
    }

    async fn hear_notices(
        &self,
        request: Request<wire::HearNoticesRequest>,
    ) -> Result<Response<wire::HearNoticesReply>, Status> {
        notices::hear(&self.lane, &self.reader, request.into_inner()).await?;
        Ok(Response::new(wire::HearNoticesReply {}))
    }

    async fn complete(
        &self,
        request: Request<wire::CompleteRequest>,
    ) -> Result<Response<wire::CompleteReply>, Status> {
        use complete_reply::Outcome as Word;
        let mut complete = read_complete(request.into_inner(), self.uses_kafka)?;
        complete.about = self.hub.about(complete.message_id);
        let lane = match complete.lease.consumer {
            Consumer::Attempts => &self.lane,
            Consumer::Webhooks => &self.webhook_lane,
        };
        let word = match lane.run(Command::Complete(complete)).await? {
            Outcome::Applied => Word::Applied,
            Outcome::Already => Word::Already,
            Outcome::Fenced => Word::Fenced,
            Outcome::NotFound => return Err(Status::not_found("there is no such message")),
            Outcome::OverLimit => {
                return Err(Status::failed_precondition("an account would be overdrawn"));
            }
            _ => {
                return Err(Status::invalid_argument(
                    "the effect does not belong to the message",
                ));
            }
        };
        Ok(Response::new(wire::CompleteReply {
            outcome: word.into(),
        }))
    }
}
