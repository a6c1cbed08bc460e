//! Asking db-controller which messages records point at.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use paymesh_contracts::persistence::{
    ClaimRequest, Message, MessageReference, queue_client::QueueClient,
};
use paymesh_transport::Line;
use tokio::time::timeout;
use tonic::{Code, Status};

/// How long db-controller has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whoever knows what records point at.
#[async_trait]
pub(super) trait Ledger: Sync {
    /// The messages that are still to be worked on.
    async fn claim(&self, references: &[MessageReference]) -> Result<Vec<Message>, Status>;
}

/// db-controller.
pub(super) struct Controller {
    pub(super) consumer: &'static str,
    pub(super) channel: Line,
}

#[async_trait]
impl Ledger for Controller {
    async fn claim(&self, references: &[MessageReference]) -> Result<Vec<Message>, Status> {
        let request = ClaimRequest {
            consumer: self.consumer.to_owned(),
            references: references.to_vec(),
        };
        let mut controller = QueueClient::new(self.channel.clone());
        let reply = timeout(ANSWER_MAX, controller.claim(request)).await;
        let reply = reply.map_err(|_| Status::deadline_exceeded("no answer in time"))?;
        Ok(reply?.into_inner().messages)
    }
}

/// What db-controller says of some references, by the id of the message.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// Still to be worked on.
    pub(super) messages: HashMap<Vec<u8>, Message>,
    /// Neither now nor later, and why.
    pub(super) refused: HashMap<Vec<u8>, String>,
}

/// Claims messages. What is refused together, because one of them is at fault or the answer is
/// longer than an answer may be (4 MiB), is claimed by halves, down to each alone.
pub(super) async fn claim(
    ledger: &dyn Ledger,
    references: &[MessageReference],
) -> Result<Claimed, Status> {
    let mut claimed = Claimed::default();
    let mut open = vec![references];
    while let Some(some) = open.pop() {
        match ledger.claim(some).await {
            Ok(messages) => {
                let messages = messages.into_iter();
                let by_id = messages.map(|message| (message.message_id.clone(), message));
                claimed.messages.extend(by_id);
            }
            Err(status) if is_refusal(&status) && !some.is_empty() => match some {
                [one] => {
                    let id = one.message_id.clone();
                    claimed.refused.insert(id, status.message().to_owned());
                }
                several => {
                    let (first, second) = several.split_at(several.len() / 2);
                    open.extend([second, first]);
                }
            },
            Err(status) => return Err(status),
        }
    }
    Ok(claimed)
}

/// Whether what was asked is at fault, and not whoever was asked.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Refuses every batch with the message `bad`, and every batch of more than `most`.
    struct Picky {
        bad: u8,
        most: usize,
        asked: Mutex<usize>,
    }

    #[async_trait]
    impl Ledger for Picky {
        async fn claim(&self, references: &[MessageReference]) -> Result<Vec<Message>, Status> {
            *self.asked.lock().unwrap() += 1;
            if references.iter().any(|one| one.message_id == [self.bad]) {
                return Err(Status::invalid_argument("it is bad"));
            }
            if references.len() > self.most {
                return Err(Status::out_of_range("too long"));
            }
            let message = |one: &MessageReference| Message {
                message_id: one.message_id.clone(),
                ..Message::default()
            };
            Ok(references.iter().map(message).collect())
        }
    }

    fn references(ids: impl IntoIterator<Item = u8>) -> Vec<MessageReference> {
        let reference = |id| MessageReference {
            message_id: vec![id],
            lease: None,
        };
        ids.into_iter().map(reference).collect()
    }

    async fn check(bad: u8, most: usize, asked_max: usize) {
        let ledger = Picky {
            bad,
            most,
            asked: Mutex::default(),
        };
        let claimed = claim(&ledger, &references(0..64)).await.unwrap();
        let mut ids: Vec<u8> = claimed.messages.into_keys().map(|id| id[0]).collect();
        ids.sort_unstable();
        let good: Vec<u8> = (0..64).filter(|id| *id != bad).collect();
        assert_eq!(ids, good, "{bad} of at most {most}");
        let refused: Vec<Vec<u8>> = claimed.refused.into_keys().collect();
        let expected: Vec<Vec<u8>> = (0..64).filter(|id| *id == bad).map(|id| vec![id]).collect();
        assert_eq!(refused, expected, "{bad} of at most {most}");
        let asked = *ledger.asked.lock().unwrap();
        assert!(
            asked <= asked_max,
            "{asked} claims for {bad} of at most {most}"
        );
    }

    #[tokio::test]
    async fn one_record_that_is_refused_keeps_no_other_back() {
        check(99, 64, 1).await;
        check(0, 64, 13).await;
        check(37, 64, 13).await;
        check(63, 64, 13).await;
    }

    #[tokio::test]
    async fn what_is_too_long_for_one_answer_comes_in_several() {
        check(99, 10, 15).await;
        check(5, 10, 21).await;
    }

    #[tokio::test]
    async fn whoever_does_not_answer_has_refused_nothing() {
        struct Gone;
        #[async_trait]
        impl Ledger for Gone {
            async fn claim(&self, _: &[MessageReference]) -> Result<Vec<Message>, Status> {
                Err(Status::unavailable("gone"))
            }
        }
        let status = claim(&Gone, &references(0..4)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
}
