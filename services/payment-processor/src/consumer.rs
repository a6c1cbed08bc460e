//! Reading messages: one inlet, many at work, each completed before it is forgotten.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use paymesh_contracts::persistence::{
    CannotHandle, CompleteRequest, complete_reply::Outcome, complete_request::Effect,
    message::Work, queue_client::QueueClient,
};
use paymesh_operations::{Health, Place, Span, SpanKind};
use paymesh_transport::{Carry, Line};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Status};

use crate::{
    bus::{Bus, Inlet, Taken},
    traces,
};

/// A message that this version does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message cannot be understood")]
pub struct Unreadable;

/// Does what messages ask.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Which messages it reads.
    fn name(&self) -> &'static str;

    /// Does what a message asks, once or again, and says what came of it.
    async fn work(&self, work: Work) -> Result<Effect, Unreadable>;
}

/// How long a completion is tried again when db-controller does not answer; after that the message
/// comes again anyway.
const COMPLETE_TRIES_MAX: u32 = 60;

/// Reads and works until `stop` is cancelled, then finishes what is at work.
pub async fn run(
    consumer: Arc<dyn Consumer>,
    bus: Arc<dyn Bus>,
    channel: Line,
    health: Health,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    // Why there were none the last time: told once, however often it is met.
    let mut told = None;
    while !stop.is_cancelled() {
        let ended = match bus.open(consumer.name(), &tasks).await {
            Ok(inlet) => {
                told = None;
                read(inlet, &consumer, &channel, &health, &tasks, &stop).await
            }
            Err(status) => Err(status),
        };
        if let Err(status) = ended {
            let reason = Some((status.code(), status.message().to_owned()));
            if told != reason {
                tracing::warn!(consumer = consumer.name(), code = ?status.code(), reason = status.message(), "no messages");
                told = reason;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Takes messages until there are no more, and is ready while they can come.
async fn read(
    mut inlet: Box<dyn Inlet>,
    consumer: &Arc<dyn Consumer>,
    channel: &Line,
    health: &Health,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), Status> {
    // Charges are what a processor is there for.
    let show = |is_ready| {
        if consumer.name() == "attempts" {
            health.set_ready(is_ready);
        }
    };
    let mut answers = inlet.answers();
    show(*answers.borrow_and_update());
    let ended = loop {
        tokio::select! {
            taken = inlet.next() => match taken {
                Ok(Some(taken)) => {
                    tasks.spawn(finish(consumer.clone(), channel.clone(), taken));
                }
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            },
            Ok(()) = answers.changed() => show(*answers.borrow_and_update()),
            () = stop.cancelled() => break Ok(()),
        }
    };
    show(false);
    ended
}

/// Works on one message and sees its completion through.
async fn finish(consumer: Arc<dyn Consumer>, channel: Line, taken: Taken) {
    let handed_out = Place::read(&taken.message.trace);
    let name = traces::word(taken.message.work.as_ref());
    let span = Span::of(&handed_out, SpanKind::Consumer, name);
    traces::note(&span, &taken.message);
    let work = span.place().within(see_through(consumer, channel, taken));
    work.await;
}

async fn see_through(consumer: Arc<dyn Consumer>, channel: Line, taken: Taken) {
    let Taken { message, receipt } = taken;
    let Some(work) = message.work else {
        tracing::error!("a message asks for something this version does not know");
        // It stays in the outbox and comes again, perhaps to a version that does.
        receipt.settle();
        return;
    };
    let effect = consumer.work(work).await.unwrap_or_else(|unreadable| {
        tracing::error!("a message cannot be read");
        cannot_handle(&unreadable.to_string())
    });
    let mut request = CompleteRequest {
        message_id: message.message_id,
        lease: message.lease,
        effect: Some(effect),
    };
    for _ in 0..COMPLETE_TRIES_MAX {
        match QueueClient::with_interceptor(channel.clone(), Carry)
            .complete(request.clone())
            .await
        {
            Ok(reply) => {
                if reply.into_inner().outcome() == Outcome::Fenced {
                    tracing::info!("somebody else holds the partition; the message goes there");
                }
                receipt.settle();
                return;
            }
            Err(status) if is_refusal(&status) => {
                tracing::error!(code = ?status.code(), message = status.message(), "a completion is refused");
                if matches!(request.effect, Some(Effect::CannotHandle(_))) {
                    receipt.settle();
                    return;
                }
                request.effect = Some(cannot_handle(status.message()));
            }
            Err(status) => {
                tracing::warn!(code = ?status.code(), "a completion is tried again");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

/// db-controller puts a message aside that comes to this again and again.
fn cannot_handle(reason: &str) -> Effect {
    Effect::CannotHandle(CannotHandle {
        reason: reason.to_owned(),
    })
}

fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::Internal
    )
}
