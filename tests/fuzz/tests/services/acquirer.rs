//! Answers of an acquirer, behind payment-processor's own client: verdicts, lists and notices.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use bolero::check;
use paymesh_contracts::{AttemptId, Currency, Money, persistence::Origin};
use paymesh_fuzz::{Choices, bytes, document};
use paymesh_operations::Secret;
use paymesh_payment_processor::acquirer::{
    Acquirer as _, Answered, HttpAcquirer, List, NoWord, Order, Task, Verdict,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use url::Url;
use uuid::Uuid;

use crate::samples;

/// How long the acquirer has to answer, which it does at once.
const ANSWER_MAX: Duration = Duration::from_secs(10);

const ATTEMPT_ID: AttemptId = AttemptId(Uuid::from_u128(9));

/// What it does with the next request, and what it did with the last one.
#[derive(Default)]
struct Books {
    input: Vec<u8>,
    answered: (u16, Vec<u8>),
}

type Shared = Arc<Mutex<Books>>;

/// An acquirer that answers as the input says, and who asks it.
struct Bed {
    runtime: Runtime,
    books: Shared,
    acquirer: HttpAcquirer,
}

impl Bed {
    fn new() -> Self {
        samples::install_crypto();
        let runtime = samples::runtime();
        let books = Shared::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().fallback(answer).with_state(books.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        let base: Url = format!("http://{address}/").parse().expect("it is a URL");
        let token = Secret::from(samples::CANARY.to_owned());
        let acquirer = HttpAcquirer::new(&base, token, ANSWER_MAX);
        Self {
            runtime,
            books,
            acquirer: acquirer.expect("a client can be made"),
        }
    }

    /// Asks, and says what the acquirer answered: its status, and the document if it was one.
    fn ask<T>(&self, input: &[u8], asked: impl Future<Output = T>) -> (T, u16, Value) {
        let lock = || self.books.lock().unwrap_or_else(PoisonError::into_inner);
        *lock() = Books {
            input: input.to_vec(),
            ..Books::default()
        };
        let heard = self.runtime.block_on(asked);
        let (status, body) = lock().answered.clone();
        // Of a member that is not read nobody asks whether it is UTF-8.
        let document = serde_json::from_str(&String::from_utf8_lossy(&body)).unwrap_or_default();
        (heard, status, document)
    }
}

/// What an acquirer answers to the order of [`order`].
fn verdicts() -> [Value; 4] {
    let with = |more: Value| {
        let mut answer = json!({
            "id": ATTEMPT_ID,
            "amount": 1250,
            "currency": "EUR",
            "reference": "ch_1",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        answer
    };
    [
        with(json!({ "status": "approved" })),
        with(json!({ "status": "declined", "code": "insufficient_funds", "reference": null })),
        with(
            json!({ "status": "requires_action", "action_url": "https://acquirer.example/3ds/1" }),
        ),
        with(json!({ "status": "processing", "action_url": null })),
    ]
}

fn rows() -> Value {
    let row = |id: AttemptId| {
        json!({
            "id": id,
            "amount": 1250,
            "currency": "EUR",
            "status": "approved",
            "kind": "contest",
            "dispute": "dp_1",
            "explanation": "Delivered.",
            "metadata": {
                "tenant": samples::TENANT_ID,
                "payment": samples::PAYMENT_ID,
                "key": "order-7",
                "fingerprint": "00ff".repeat(16),
                "reference": "order-7",
                "method": "tok_approve",
            },
        })
    };
    let mut voided = row(AttemptId(Uuid::from_u128(10)));
    voided["status"] = json!("voided");
    json!({ "data": [row(ATTEMPT_ID), voided], "next": "2" })
}

fn notices() -> Value {
    json!({
        "data": [{
            "dispute": "dp_1",
            "charge": ATTEMPT_ID,
            "amount": 1000,
            "currency": "EUR",
            "reason": "fraudulent",
            "status": "needs_response",
            "version": 1,
            "respond_by_ms": 1_764_345_600_000_i64,
        }],
        "next": "2",
        "more": false,
    })
}

async fn answer(State(books): State<Shared>, uri: Uri) -> Response {
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let mut choices = Choices::new(&books.input);
    let samples = match uri.path() {
        "/v1/notices" => vec![notices()],
        "/v1/charges" | "/v1/operations" => vec![rows()],
        _ => verdicts().into(),
    };
    let mut status = 200;
    let mut body = document(&mut choices, &samples).to_string().into_bytes();
    if choices.is_one_in(6) {
        let refusals = [422, 409, 404, 422, 409, 500, 204, 429, 301];
        status = *choices.one_of(&refusals);
        let refusal = json!({ "code": "insufficient_funds" });
        body = document(&mut choices, &[refusal]).to_string().into_bytes();
    }
    if choices.is_one_in(8) {
        body = bytes(&mut choices, &body);
    }
    books.answered = (status, body.clone());
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("it is a status");
    response
}

fn order(task: Task) -> Order {
    Order {
        attempt_id: ATTEMPT_ID,
        amount: Money::new(1250, Currency::Eur),
        task,
        origin: Origin {
            tenant_id: samples::TENANT_ID.bytes(),
            payment_id: samples::PAYMENT_ID.bytes(),
            idempotency_key: "order-7".to_owned(),
            fingerprint: vec![7; 32],
            reference: "order-7".to_owned(),
            payment_method: "tok_approve".to_owned(),
        },
    }
}

/// Nothing is told of a word that did not come but why, and never how we are known to the acquirer.
fn check_no_word(no_word: &NoWord) {
    let said = no_word.to_string();
    assert!(!said.contains(samples::CANARY), "{said}");
}

/// A verdict is what an answer about this very attempt and this very amount says, and no other's.
fn check_verdict(verdict: &Verdict, status: u16, answer: &Value) {
    if status == 422 {
        let is_refusal = matches!(verdict, Verdict::Declined { code, reference: None } if answer["code"] == code.as_str());
        assert!(is_refusal, "{verdict:?}: {answer}");
        return;
    }
    assert_eq!(status, 200, "{verdict:?}");
    assert_eq!(answer["id"], json!(ATTEMPT_ID), "{verdict:?}");
    assert_eq!(answer["amount"], 1250, "{verdict:?}: {answer}");
    assert_eq!(answer["currency"], "EUR", "{verdict:?}: {answer}");
    let (word, place, said) = match verdict {
        Verdict::Approved { reference } => ("approved", "reference", Some(reference)),
        Verdict::Declined { reference, .. } => ("declined", "reference", reference.as_ref()),
        Verdict::ActionRequired { url } => ("requires_action", "action_url", Some(url)),
    };
    assert_eq!(answer["status"], word, "{verdict:?}: {answer}");
    assert_eq!(answer[place].as_str(), said.map(String::as_str), "{answer}");
}

#[test]
fn a_verdict() {
    let bed = AssertUnwindSafe(Bed::new());
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let dispute = Answered("dp_1".to_owned());
        let tasks = [
            Task::Charge("tok_approve".to_owned()),
            Task::Authorize("tok_approve".to_owned()),
            Task::Capture(ATTEMPT_ID),
            Task::Contest(ATTEMPT_ID, dispute, "Delivered.".to_owned()),
        ];
        let order = order(choices.one_of(&tasks).clone());
        let is_asked_for = choices.is_one_in(2);
        let input = choices.rest();
        let (heard, status, answer) = if is_asked_for {
            bed.ask(input, bed.acquirer.find(&order))
        } else {
            let (heard, status, answer) = bed.ask(input, bed.acquirer.send(&order));
            (heard.map(Some), status, answer)
        };
        match heard {
            Ok(Some(verdict)) => check_verdict(&verdict, status, &answer),
            Ok(None) => assert_eq!(status, 404),
            Err(no_word) => check_no_word(&no_word),
        }
    });
}

/// What is listed is in the acquirer's own answer, with its amount.
#[test]
fn a_list() {
    let bed = AssertUnwindSafe(Bed::new());
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let list = *choices.one_of(&[List::Charges, List::Operations]);
        let (heard, status, answer) = bed.ask(
            choices.rest(),
            bed.acquirer.since(list, 5, Some("1".to_owned())),
        );
        match heard {
            Err(no_word) => check_no_word(&no_word),
            Ok(page) => {
                assert_eq!(status, 200);
                let rows = answer["data"].as_array().cloned().unwrap_or_default();
                assert!(page.rows.len() <= rows.len());
                for listed in page.rows {
                    let amount = listed.amount;
                    let is_there = rows.iter().any(|row| {
                        row["id"] == json!(listed.attempt_id)
                            && row["amount"] == amount.amount_minor
                            && row["currency"] == amount.currency.code()
                            && row["status"] != "voided"
                    });
                    assert!(is_there, "{listed:?}: {answer}");
                }
            }
        }
    });
}

/// The same of what it tells unasked.
#[test]
fn notices_of_the_acquirer() {
    let bed = AssertUnwindSafe(Bed::new());
    check!().for_each(|input: &[u8]| {
        let (heard, status, answer) = bed.ask(input, bed.acquirer.notices("1"));
        match heard {
            Err(no_word) => check_no_word(&no_word),
            Ok(told) => {
                assert_eq!(status, 200);
                let rows = answer["data"].as_array().cloned().unwrap_or_default();
                assert!(told.disputes.len() <= rows.len());
                for dispute in told.disputes {
                    let charge = AttemptId::from_bytes(&dispute.charge_id).expect("an id is one");
                    let amount = dispute.amount.clone().expect("a notice has an amount");
                    let is_there = rows.iter().any(|row| {
                        row["charge"] == json!(charge)
                            && row["amount"] == amount.amount_minor
                            && row["currency"] == amount.currency.as_str()
                            && row["version"] == dispute.version
                    });
                    assert!(is_there, "{dispute:?}: {answer}");
                }
            }
        }
    });
}
