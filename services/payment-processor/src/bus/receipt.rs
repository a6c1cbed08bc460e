//! What became of the records whose messages were handed out.

use paymesh_bus::Place;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Says that a message came to its end here; or, when it is dropped, that it did not.
pub struct Receipt(Option<(Place, UnboundedSender<Settled>)>);

/// What became of a record.
pub(super) struct Settled {
    pub(super) place: Place,
    pub(super) is_done: bool,
}

impl Receipt {
    /// Nobody wants to know.
    pub(super) const NONE: Self = Self(None);

    /// Nothing more is to be done about the message.
    pub fn settle(mut self) {
        self.tell(true);
    }

    fn tell(&mut self, is_done: bool) {
        if let Some((place, whom)) = self.0.take() {
            let _ = whom.send(Settled { place, is_done });
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(false);
    }
}

/// Where receipts come back.
pub(super) struct Receipts {
    sender: UnboundedSender<Settled>,
    settled: UnboundedReceiver<Settled>,
}

impl Receipts {
    pub(super) fn new() -> Self {
        let (sender, settled) = unbounded_channel();
        Self { sender, settled }
    }

    /// The receipt of a record.
    pub(super) fn give(&self, place: Place) -> Receipt {
        Receipt(Some((place, self.sender.clone())))
    }

    /// One that has come back.
    pub(super) fn try_next(&mut self) -> Option<Settled> {
        self.settled.try_recv().ok()
    }

    /// The next that comes back.
    pub(super) async fn next(&mut self) -> Option<Settled> {
        self.settled.recv().await
    }

    /// Settles all that come to their end, until none is out. Those that do not come to it keep
    /// nobody waiting.
    pub(super) async fn drain(self, mut settle: impl FnMut(Place)) {
        let Self {
            sender,
            mut settled,
        } = self;
        drop(sender);
        while let Some(settled) = settled.recv().await {
            if settled.is_done {
                settle(settled.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_took_does_not_end_the_wait_for_what_is_at_work() {
        let receipts = Receipts::new();
        let at = |offset| Place {
            partition: 3,
            offset,
        };
        let [one, two, three] = [7, 8, 9].map(|offset| receipts.give(at(offset)));
        drop(two);
        tokio::spawn(async move {
            one.settle();
            tokio::task::yield_now().await;
            three.settle();
        });
        let mut settled = Vec::new();
        receipts.drain(|place| settled.push(place)).await;
        assert_eq!(settled, [at(7), at(9)]);
    }
}
