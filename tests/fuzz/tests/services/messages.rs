//! What the services tell each other, as bytes of gRPC or of a record in Kafka.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bolero::check;
use paymesh_contracts::{
    AttemptId, Money, PaymentId,
    attempt::attempt_id,
    http::{AttemptKind, Payment},
    persistence::{self as wire, complete_request, message::Work},
};
use paymesh_fuzz::{Choices, bytes, message};
use paymesh_payment_processor::{
    acquirer::{Acquirer, List, NoWord, Notices, Order, Page, Verdict},
    attempts::Attempts,
    consumer::Consumer as _,
};
use paymesh_persistence::{
    command::{Command, DisputeAnswer, DisputeName, Effect},
    serve::{
        notices,
        recovery::{Lost, lost},
        request::{read_act, read_complete, read_create, read_side},
    },
    store::Side,
};
use prost::Message;
use tonic::{Code, Status};

use crate::samples;

/// A message near a sample; `None` if the bytes are none.
fn near<M: Message + Default>(choices: &mut Choices<'_>, sample: &M) -> Option<M> {
    let near = message(choices, &sample.encode_to_vec());
    M::decode(near.as_slice()).ok()
}

/// What was refused is at fault, and it is said why.
fn check_refused(status: &Status) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(samples::is_plain(status.message()), "{status:?}");
}

fn lease() -> wire::Lease {
    wire::Lease {
        consumer: "attempts".to_owned(),
        partition: 3,
        epoch: 4_294_967_297,
    }
}

fn origin() -> wire::Origin {
    wire::Origin {
        tenant_id: samples::TENANT_ID.bytes(),
        payment_id: samples::PAYMENT_ID.bytes(),
        idempotency_key: "order-7".to_owned(),
        fingerprint: vec![7; 32],
        reference: "order-7".to_owned(),
        payment_method: "tok_approve".to_owned(),
    }
}

/// A record of Kafka is a reference or nothing.
#[test]
fn a_record() {
    let sample = wire::MessageReference {
        message_id: vec![7; 16],
        lease: Some(lease()),
    };
    let sample = sample.to_record();
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let record = if choices.is_one_in(4) {
            bytes(&mut choices, &sample)
        } else {
            message(&mut choices, &sample)
        };
        if let Some(reference) = wire::MessageReference::from_record(&record) {
            assert_eq!(reference.message_id.len(), 16);
            let again = wire::MessageReference::from_record(&reference.to_record());
            assert_eq!(again, Some(reference));
        }
    });
}

/// An acquirer that does everything, and what it was asked to do.
#[derive(Default)]
struct Willing(Mutex<Vec<Order>>);

impl Willing {
    fn note(&self, order: &Order) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(order.clone());
    }

    fn orders(&self) -> Vec<Order> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *orders)
    }
}

#[async_trait]
impl Acquirer for Willing {
    async fn send(&self, order: &Order) -> Result<Verdict, NoWord> {
        self.note(order);
        let reference = "ch_1".to_owned();
        Ok(Verdict::Approved { reference })
    }

    async fn find(&self, order: &Order) -> Result<Option<Verdict>, NoWord> {
        self.note(order);
        Ok(None)
    }

    async fn since(&self, _: List, _: i64, _: Option<String>) -> Result<Page, NoWord> {
        Err(NoWord::Silent("nobody asks".to_owned()))
    }

    async fn notices(&self, _: &str) -> Result<Notices, NoWord> {
        Err(NoWord::Silent("nobody asks".to_owned()))
    }

    async fn void(&self, _: AttemptId) -> Result<(), NoWord> {
        Err(NoWord::Silent("nobody asks".to_owned()))
    }
}

/// The attempt that a message is about.
fn attempt(work: &Work) -> Option<&wire::SendAttempt> {
    match work {
        Work::SendAttempt(attempt) => Some(attempt),
        Work::CheckAttempt(check) => check.attempt.as_ref(),
        Work::Operate(operate) => operate.attempt.as_ref(),
        Work::AnswerDispute(answer) => answer.operate.as_ref()?.attempt.as_ref(),
        Work::Expire(_) | Work::DeliverWebhook(_) => None,
    }
}

fn works() -> [Work; 5] {
    let send = || wire::SendAttempt {
        attempt_id: vec![9; 16],
        payment_id: samples::PAYMENT_ID.bytes(),
        amount: Some(samples::wire_money()),
        payment_method: "tok_approve".to_owned(),
        origin: Some(origin()),
    };
    let operate = |kind: &str| wire::Operate {
        attempt: Some(send()),
        kind: kind.to_owned(),
        charge_id: vec![10; 16],
        is_check: true,
    };
    [
        Work::SendAttempt(send()),
        Work::CheckAttempt(wire::CheckAttempt {
            attempt: Some(send()),
            check: 1,
        }),
        Work::Operate(operate("refund")),
        Work::AnswerDispute(wire::AnswerDispute {
            operate: Some(operate("contest")),
            dispute: "dp_1".to_owned(),
            explanation: "Delivered.".to_owned(),
        }),
        Work::Expire(wire::Expire {}),
    ]
}

/// The acquirer is asked for what a message says, to the last unit, or for nothing.
#[test]
fn a_message() {
    let willing = Arc::new(Willing::default());
    let attempts = AssertUnwindSafe(Attempts::new(willing.clone()));
    let willing = AssertUnwindSafe(willing);
    let runtime = AssertUnwindSafe(samples::runtime());
    let works = AssertUnwindSafe(works());
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let sample = wire::Message {
            message_id: vec![7; 16],
            lease: Some(lease()),
            trace: samples::TRACE.to_owned(),
            work: Some(choices.one_of(works.as_slice()).clone()),
        };
        let Some(work) = near(&mut choices, &sample).and_then(|message| message.work) else {
            return;
        };
        let done = runtime.block_on(attempts.work(work.clone()));
        let orders = willing.orders();
        match done {
            Err(_) => assert!(orders.is_empty(), "{work:?}"),
            Ok(effect) => {
                for order in &orders {
                    let attempt = attempt(&work).expect("an order is of an attempt");
                    let sent = wire::Money::from(order.amount);
                    assert_eq!(order.attempt_id.bytes(), attempt.attempt_id);
                    assert_eq!(Some(&sent), attempt.amount.as_ref());
                    assert_eq!(Some(&order.origin), attempt.origin.as_ref());
                }
                let is_done = !orders.is_empty();
                let is_approved = matches!(&effect, complete_request::Effect::Approved(approved) if approved.attempt_id == orders[0].attempt_id.bytes());
                assert_eq!(is_approved, is_done, "{effect:?}");
            }
        }
    });
}

/// What payment-api asks is taken as it was asked, or refused.
#[test]
fn a_call() {
    let create = wire::CreatePaymentRequest {
        tenant_id: samples::TENANT_ID.bytes(),
        idempotency_key: "order-7".to_owned(),
        fingerprint: vec![7; 32],
        request_id: vec![8; 16],
        payment_id: samples::PAYMENT_ID.bytes(),
        amount: Some(samples::wire_money()),
        payment_method: "tok_approve".to_owned(),
        reference: "order-7".to_owned(),
        capture: "manual".to_owned(),
    };
    let act = wire::ActRequest {
        tenant_id: samples::TENANT_ID.bytes(),
        idempotency_key: "order-7".to_owned(),
        fingerprint: vec![7; 32],
        request_id: vec![8; 16],
        payment_id: samples::PAYMENT_ID.bytes(),
        kind: "contest".to_owned(),
        amount: Some(samples::wire_money()),
        dispute_id: vec![10; 16],
        explanation: "Delivered.".to_owned(),
    };
    let refund = wire::ActRequest {
        kind: "refund".to_owned(),
        explanation: String::new(),
        ..act.clone()
    };
    let taken = 1..=Money::AMOUNT_MINOR_MAX;
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        if let Some(sent) = near(&mut choices, &create) {
            match read_create(sent.clone()) {
                Err(status) => check_refused(&status),
                Ok(read) => {
                    assert_eq!(Some(wire::Money::from(read.amount)), sent.amount);
                    assert!(taken.contains(&read.amount.amount_minor), "{sent:?}");
                    assert_eq!(read.payment_id.bytes(), sent.payment_id);
                    assert_eq!(read.request.key.0.bytes(), sent.tenant_id);
                    assert_eq!(read.request.key.1, sent.idempotency_key);
                    assert_eq!(read.request.fingerprint.as_slice(), sent.fingerprint);
                }
            }
        }
        let sample = if choices.is_one_in(2) { &act } else { &refund };
        if let Some(sent) = near(&mut choices, sample) {
            match read_act(sent.clone()) {
                Err(status) => check_refused(&status),
                Ok(read) => {
                    assert_eq!(read.amount.map(wire::Money::from), sent.amount);
                    assert_eq!(read.kind.word(), sent.kind);
                    assert_eq!(read.payment_id.bytes(), sent.payment_id);
                    let is_answer = matches!(read.kind, AttemptKind::Contest | AttemptKind::Accept);
                    assert_eq!(read.answer.is_some(), is_answer, "{sent:?}");
                }
            }
        }
        let [after, before] = [(); 2].map(|()| bytes(&mut choices, &[7; 16]));
        match read_side(&after, &before) {
            Err(status) => check_refused(&status),
            Ok(Side::Newest) => assert!(after.is_empty() && before.is_empty()),
            Ok(Side::Older(id)) => {
                assert_eq!((id.as_bytes().as_slice(), 0), (&*after, before.len()));
            }
            Ok(Side::Newer(id)) => {
                assert_eq!((0, id.as_bytes().as_slice()), (after.len(), &*before));
            }
        }
    });
}

/// The texts of an effect.
fn texts(effect: &Effect) -> Vec<&str> {
    let texts = match effect {
        Effect::Approved {
            acquirer_reference, ..
        } => vec![Some(acquirer_reference)],
        Effect::Declined {
            failure_code,
            acquirer_reference,
            ..
        } => vec![Some(failure_code), acquirer_reference.as_ref()],
        Effect::Unknown { contradiction, .. } => vec![contradiction.as_ref()],
        Effect::WebhookTried { error, .. } => vec![error.as_ref()],
        Effect::ActionRequired { url, .. } => vec![Some(url)],
        Effect::CannotHandle { reason } => vec![Some(reason)],
        Effect::Expired => Vec::new(),
    };
    texts.into_iter().flatten().map(String::as_str).collect()
}

/// What came of a message is taken down about that message, in texts that PostgreSQL can keep.
#[test]
fn a_completion() {
    use complete_request::Effect as Wire;
    let attempt_id = vec![9; 16];
    let text = || "acquirer's words".to_owned();
    let effects = [
        Wire::Approved(wire::AttemptApproved {
            attempt_id: attempt_id.clone(),
            acquirer_reference: text(),
        }),
        Wire::Declined(wire::AttemptDeclined {
            attempt_id: attempt_id.clone(),
            failure_code: text(),
            acquirer_reference: text(),
        }),
        Wire::Unknown(wire::AttemptUnknown {
            attempt_id: attempt_id.clone(),
            reason: text(),
            contradiction: text(),
        }),
        Wire::ActionRequired(wire::AttemptActionRequired {
            attempt_id,
            url: text(),
        }),
        Wire::Webhook(wire::WebhookTried {
            delivered: false,
            status: 500,
            error: text(),
            is_removed: true,
        }),
        Wire::CannotHandle(wire::CannotHandle { reason: text() }),
    ];
    let effects = AssertUnwindSafe(effects);
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let sample = wire::CompleteRequest {
            message_id: vec![7; 16],
            lease: Some(lease()),
            effect: Some(choices.one_of(effects.as_slice()).clone()),
        };
        let Some(sent) = near(&mut choices, &sample) else {
            return;
        };
        match read_complete(sent.clone(), choices.is_one_in(2)) {
            Err(status) => check_refused(&status),
            Ok(read) => {
                let lease = sent.lease.expect("what has no lease is refused");
                assert_eq!(read.message_id.bytes(), sent.message_id);
                assert_eq!(read.lease.consumer.word(), lease.consumer);
                assert_eq!(i64::from(read.lease.partition), i64::from(lease.partition));
                assert_eq!(read.lease.epoch, lease.epoch);
                let texts = texts(&read.effect);
                assert!(texts.iter().all(|text| !text.contains('\0')), "{read:?}");
            }
        }
    });
}

/// What the acquirer told or listed becomes what it says of our payment, or nothing.
#[test]
fn a_word_of_the_acquirer() {
    let notice = wire::DisputeNotice {
        dispute: "dp_1".to_owned(),
        charge_id: vec![9; 16],
        amount: Some(samples::wire_money()),
        reason: "fraudulent".to_owned(),
        status: "needs_response".to_owned(),
        version: 1,
        respond_by_ms: 1_764_345_600_000,
    };
    let id = attempt_id(samples::TENANT_ID, "order-7", 1);
    let charge = wire::AcquirerCharge {
        attempt_id: id.bytes(),
        amount: Some(samples::wire_money()),
        origin: Some(origin()),
    };
    let kinds = [
        AttemptKind::Charge,
        AttemptKind::Authorize,
        AttemptKind::Refund,
        AttemptKind::Void,
        AttemptKind::Contest,
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        if let Some(sent) = near(&mut choices, &notice) {
            let of = (samples::TENANT_ID, samples::PAYMENT_ID);
            match notices::read(sent.clone(), of) {
                Err(status) => check_refused(&status),
                Ok(read) => {
                    assert_eq!(Some(wire::Money::from(read.amount)), sent.amount);
                    assert_eq!(read.status.word(), sent.status);
                    assert_eq!((read.version, read.payment_id), (sent.version, of.1));
                    // By another name nobody could answer the dispute.
                    assert_eq!(read.is_renamed, read.reference != sent.dispute, "{read:?}");
                    let texts = [&read.reference, &read.reason];
                    assert!(texts.iter().all(|text| !text.contains('\0')), "{read:?}");
                }
            }
        }
        let Some(sent) = near(&mut choices, &charge) else {
            return;
        };
        let kind = *choices.one_of(&kinds);
        let answer = choices.is_one_in(2).then(|| DisputeAnswer {
            dispute: DisputeName::Reference("dp_1".to_owned()),
            explanation: None,
        });
        let Ok(Lost::Request(command)) = lost(id, kind, sent.clone(), answer) else {
            return;
        };
        let (request, payment_id, amount, texts) = match command {
            Command::Adopt(create) => {
                let texts = [Some(create.payment_method), create.reference];
                (
                    create.request,
                    create.payment_id,
                    Some(create.amount),
                    texts,
                )
            }
            Command::AdoptAct(act) => {
                let (dispute, explanation) = act.answer.map_or((None, None), |answer| {
                    let DisputeName::Reference(dispute) = answer.dispute else {
                        panic!("what was lost names its dispute as the acquirer does");
                    };
                    (Some(dispute), answer.explanation)
                });
                (
                    act.request,
                    act.payment_id,
                    act.amount,
                    [dispute, explanation],
                )
            }
            other => panic!("{other:?} is not what was lost"),
        };
        // PostgreSQL keeps none, and one would be asked for again and again.
        let mut texts = texts.iter().flatten().chain([&request.key.1]);
        assert!(texts.all(|text| !text.contains('\0')), "{sent:?}");
        // Only we can make an id follow from a key.
        assert_eq!(attempt_id(request.key.0, &request.key.1, 1), id);
        assert_eq!(amount.map(wire::Money::from), sent.amount);
        let payment = sent.origin.map(|origin| origin.payment_id);
        assert_eq!(payment, Some(payment_id.bytes()));
    });
}

/// A payment as db-controller tells it is shown with its amounts, or not at all.
#[test]
fn a_payment() {
    let sample = samples::wire_payment();
    check!().for_each(|input: &[u8]| {
        let Some(sent) = near(&mut Choices::new(input), &sample) else {
            return;
        };
        let Ok(shown) = Payment::try_from(sent.clone()) else {
            return;
        };
        assert_eq!(Some(wire::Money::from(shown.amount)), sent.amount);
        assert_eq!(shown.id, PaymentId::from_bytes(&sent.payment_id).unwrap());
        assert_eq!(shown.status.word(), sent.status);
        let disputed = shown.disputes.iter().map(|one| one.amount.amount_minor);
        let sent_disputed = sent.disputes.iter().map(|one| one.amount_minor);
        assert!(disputed.eq(sent_disputed), "{sent:?}");
        let text = serde_json::to_string(&shown).expect("a payment is plain data");
        let again: Payment = serde_json::from_str(&text).expect("what is shown can be read");
        assert_eq!(again, shown);
    });
}
