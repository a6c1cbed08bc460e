//! What an object says that tells no more than it must, and what it may ask its context.

use std::{sync::Arc, time::Duration};

use expect_test::expect;
use paymesh_clock::Clock;
use serde_json::Value;

use super::{
    object::id,
    scenario::{mark, paused},
};
use crate::{
    Context, Difference, Fault, Holder, Object, ObjectId, Observation, Operation, OperationId,
    Poll, Remark, Seen, Sent, StopToken, async_trait,
};

/// An object that tells no more than it must.
struct Plain;

#[async_trait]
impl Object for Plain {
    fn id(&self) -> ObjectId {
        id("plain")
    }

    fn needs(&self) -> Vec<ObjectId> {
        vec![id("need")]
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        Ok(Observation::Absent)
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }
}

#[async_trait]
impl Operation for Plain {
    fn id(&self) -> OperationId {
        OperationId {
            name: "op-1".into(),
            token: "https://cloud/op-1?signature=secret".into(),
        }
    }

    async fn poll(&self) -> Result<Poll, Fault> {
        Ok(Poll::Gone)
    }
}

fn context(stop: StopToken) -> Context {
    Context {
        mark: mark(),
        holder: Holder::found("mine"),
        clock: Clock::real(),
        stop,
        observations: Arc::default(),
        remarks: vec![Remark {
            object: id("plain"),
            text: "made of wood".into(),
        }],
    }
}

#[test]
fn an_object_that_says_nothing_lives_by_itself_and_shares_nothing() {
    assert_eq!(Plain.parent(), None);
    assert!(!Plain.goes_with_parent());
    assert!(Plain.locks().is_empty());
    assert!(!Plain.frees_locks_early());
    assert!(Plain.farewell().is_none());
    assert!(Plain.keys().is_empty());
    assert!(Plain.dropping(&["label".to_owned()].into()).is_none());
    assert_eq!(Plain.attribute(), None);
    assert!(Plain.create_steps().is_empty());
}

#[test]
fn an_object_is_read_after_what_it_needs_unless_it_says_otherwise() {
    assert_eq!(Plain.observed_after(), [id("need")]);
}

#[test]
fn an_object_that_says_nothing_has_no_holder_and_keeps_nobody_waiting() {
    paused(async {
        let (cx, seen) = (context(StopToken::new()), Seen::new(Value::Null));
        assert!(!Plain.carries_holder());
        assert!(Plain.may_be_held(&seen));
        assert!(!Plain.settle_mark(&cx).await.unwrap());
        assert!(Plain.children(&cx, &seen).await.unwrap().is_empty());
        assert_eq!(Plain.foresee(&cx, &seen), None);
        assert!(Plain.resume(&Operation::id(&Plain)).is_none());
    });
}

#[test]
fn a_context_tells_what_an_object_itself_asked_to_remember() {
    let cx = context(StopToken::new());
    assert_eq!(cx.remark(&id("plain")), Some("made of wood"));
    assert_eq!(cx.remark(&id("other")), None);
}

#[test]
fn a_wait_goes_on_to_its_end_or_to_a_stop_and_says_which() {
    paused(async {
        let stop = StopToken::new();
        let cx = context(stop.clone());
        let hour = Duration::from_hours(1);
        let began = cx.clock.now();
        assert!(cx.wait(hour).await);
        assert!(cx.clock.now().since(began) >= hour);

        let began = cx.clock.now();
        stop.stop();
        assert!(!cx.wait(hour).await);
        assert!(cx.clock.now().since(began) < hour);
    });
}

#[test]
fn what_was_sent_is_printed_with_the_name_of_its_operation_and_never_with_its_token() {
    let sent = [
        Sent::Done,
        Sent::Started(Arc::new(Plain)),
        Sent::Kept("it is not empty".into()),
    ];
    let printed = sent.map(|it| format!("{it:?}"));
    expect![[r#"
        Done
        Started(OperationId { name: "op-1", .. })
        Kept("it is not empty")"#]]
    .assert_eq(&printed.join("\n"));
}
