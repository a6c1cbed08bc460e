//! Requests of merchants to payment-api, through its own routes; and what db-controller answers it.

use std::{net::SocketAddr, num::NonZeroU32, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use bolero::check;
use paymesh_contracts::{
    Code, ErrorBody,
    callers::Service,
    card::looks_like_card_number,
    http::{
        DeliveryList, EndpointList, EventPage, Ledger, Payment, PaymentPage, Replay,
        WebhookEndpoint,
    },
    persistence::payments_server::PaymentsServer,
};
use paymesh_fuzz::{Choices, bytes, document, text};
use paymesh_operations::Settings;
use paymesh_payment_api::{
    Limits, Waiting,
    app::{App, router},
};
use paymesh_transport::Controller as Reached;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::transport::{Server, server::TcpIncoming};
use tower::ServiceExt as _;

use crate::{
    cards::{self, PARTED_BY},
    controller::Controller,
    samples,
};

/// More than any answer has.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// So many requests a second that none is refused for their number.
const RATE: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

/// Keys of merchants. By its digest db-controller says that the last one may only read.
const KEYS: [&str; 3] = ["sk_hunter2_1", "sk_hunter2_3", "sk_hunter2"];

/// How long db-controller has for a request.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Something that can be asked of payment-api.
struct Act {
    method: Method,
    path: String,
    /// What is sent, if anything is.
    bodies: Vec<Value>,
    /// Whether what is answered when it was done is what it should be; `None` if that is what
    /// db-controller keeps, byte for byte.
    is_answer: Option<fn(&[u8]) -> bool>,
}

fn is_a<T: DeserializeOwned>(body: &[u8]) -> bool {
    serde_json::from_slice::<T>(body).is_ok()
}

fn is_nothing(body: &[u8]) -> bool {
    body.is_empty()
}

/// Everything that can be asked.
fn acts() -> Vec<Act> {
    let [payment, dispute] = [samples::PAYMENT, samples::DISPUTE];
    let [event, endpoint] = [samples::EVENT, samples::ENDPOINT];
    let payments = "/v1/payments";
    let disputes = format!("{payments}/{payment}/disputes/{dispute}");
    let share = || {
        vec![
            json!({}),
            json!({ "amount": { "amount": 250, "currency": "EUR" } }),
        ]
    };
    let keyed = |path: String, bodies| Act {
        method: Method::POST,
        path,
        bodies,
        is_answer: None,
    };
    let post = |path: String, bodies, is_answer: fn(&[u8]) -> bool| Act {
        method: Method::POST,
        path,
        bodies,
        is_answer: Some(is_answer),
    };
    let get = |path: &str, is_answer: fn(&[u8]) -> bool| Act {
        method: Method::GET,
        path: path.to_owned(),
        bodies: Vec::new(),
        is_answer: Some(is_answer),
    };
    let create = json!({
        "amount": { "amount": 1250, "currency": "EUR" },
        "payment_method": "tok_approve",
        "reference": samples::CANARY,
        "capture": "manual",
    });
    // What serde says of it begins with words of the caller's.
    let mut unknown = create.clone();
    unknown["capture"] = json!(format!("expected {}", samples::CANARY));
    vec![
        keyed(payments.to_owned(), vec![create, unknown]),
        keyed(format!("{payments}/{payment}/capture"), share()),
        keyed(format!("{payments}/{payment}/refunds"), share()),
        keyed(format!("{payments}/{payment}/cancel"), vec![json!({})]),
        keyed(
            format!("{disputes}/contest"),
            vec![json!({ "explanation": "Delivered.\nSigned for." })],
        ),
        keyed(format!("{disputes}/accept"), vec![json!({})]),
        post(
            format!("{payments}/{payment}/confirm"),
            Vec::new(),
            is_a::<Payment>,
        ),
        post(
            "/v1/webhook_endpoints".to_owned(),
            vec![json!({ "url": "https://shop.example/paymesh" })],
            is_a::<WebhookEndpoint>,
        ),
        post(
            format!("/v1/webhook_endpoints/{endpoint}/rotate"),
            vec![json!({ "overlap_seconds": 86_400 })],
            is_a::<WebhookEndpoint>,
        ),
        post(
            format!("/v1/events/{event}/replay"),
            Vec::new(),
            is_a::<Replay>,
        ),
        get(&format!("{payments}/{payment}"), is_a::<Payment>),
        get(
            &format!("{payments}?limit=20&after={payment}"),
            is_a::<PaymentPage>,
        ),
        get(
            &format!("/v1/events?limit=1&before={event}"),
            is_a::<EventPage>,
        ),
        get(
            &format!("/v1/events/{event}/deliveries"),
            is_a::<DeliveryList>,
        ),
        get(&format!("/v1/ledger?payment={payment}"), is_a::<Ledger>),
        get("/v1/webhook_endpoints", is_a::<EndpointList>),
        Act {
            method: Method::DELETE,
            path: format!("/v1/webhook_endpoints/{endpoint}"),
            bodies: Vec::new(),
            is_answer: Some(is_nothing),
        },
    ]
}

/// The headers that are read, as they are sent.
fn headers(key: &str) -> [(HeaderName, String); 5] {
    [
        (header::AUTHORIZATION, format!("Bearer {key}")),
        (
            HeaderName::from_static("idempotency-key"),
            "order-7".to_owned(),
        ),
        (
            HeaderName::from_static("prefer"),
            "respond-async, wait=0".to_owned(),
        ),
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (
            HeaderName::from_static("traceparent"),
            samples::TRACE.to_owned(),
        ),
    ]
}

/// payment-api before a db-controller.
struct Bed {
    runtime: Runtime,
    router: Router,
    controller: Arc<Controller>,
}

/// What was answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Bed {
    fn new() -> Self {
        let runtime = samples::runtime();
        samples::follow_traces(&runtime);
        let controller = Arc::new(Controller::default());
        let router = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a port can be had");
            let address = listener.local_addr().expect("a listener has an address");
            let service = PaymentsServer::from_arc(controller.clone());
            let server = Server::builder().add_service(service);
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            tokio::spawn(server.serve_with_incoming(incoming));
            let [line] = reached(address).lines([Some(REQUEST_MAX)]);
            router(App::new(line, Waiting::default(), Limits::new(RATE)))
        });
        Self {
            runtime,
            router,
            controller,
        }
    }

    fn ask(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await;
            let Ok(response) = response;
            let (head, body) = response.into_parts();
            let body = to_bytes(body, ANSWER_BYTES_MAX).await;
            Answer {
                status: head.status,
                headers: head.headers,
                body: body.expect("an answer is whole"),
            }
        })
    }

    /// What was done is answered with the thing itself, or with just what db-controller keeps.
    fn check_done(&self, act: &Act, answer: &Answer) {
        let said = format!("{} {}: {}", act.method, act.path, answer.text());
        if let Some(is_answer) = act.is_answer {
            assert!(answer.status.is_success(), "{said}");
            assert!(is_answer(&answer.body), "{said}");
            return;
        }
        let kept = self.controller.kept();
        let (status, body) = kept.unwrap_or_else(|| panic!("nothing was kept: {said}"));
        let status = u16::try_from(status).ok();
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        // HTTP has no such status, and it was done.
        assert_eq!(answer.status, status.unwrap_or(StatusCode::OK), "{said}");
        assert_eq!(answer.body, body, "{said}");
    }
}

/// Where db-controller is.
fn reached(address: SocketAddr) -> Reached {
    let mut settings = Settings::new(move |name| match name {
        "PAYMESH_GRPC_PLAINTEXT" => Some("true".to_owned()),
        "PAYMESH_CONTROLLER_URL" => Some(format!("http://{address}")),
        _ => None,
    });
    let controller = Reached::read(&mut settings, Service::PaymentApi);
    settings.done(controller).expect("the settings are whole")
}

impl Answer {
    fn text(&self) -> String {
        format!(
            "{} {:?} {}",
            self.status,
            self.headers,
            String::from_utf8_lossy(&self.body)
        )
    }

    /// Which error of the catalogue it is; it is one, in every part.
    fn code(&self) -> Code {
        let said = self.text();
        let error = serde_json::from_slice::<ErrorBody>(&self.body);
        let error = error
            .unwrap_or_else(|reason| panic!("{reason}: {said}"))
            .error;
        let code = Code::ALL.iter().find(|code| code.code() == error.code);
        let code = *code.unwrap_or_else(|| panic!("no code of the catalogue: {said}"));
        assert_eq!(code.status(), self.status.as_u16(), "{said}");
        let words = (
            error.kind.as_str(),
            error.message.as_str(),
            error.advice.as_str(),
        );
        assert_eq!(
            words,
            (code.kind(), code.message(), code.advice()),
            "{said}"
        );
        let header = |name: &str| self.headers.get(name).and_then(|it| it.to_str().ok());
        assert_eq!(header("content-type"), Some("application/json"), "{said}");
        assert_eq!(
            header("paymesh-request-id"),
            Some(error.request_id.as_str()),
            "{said}"
        );
        let passes_soon = [409, 429, 503].contains(&code.status());
        assert_eq!(header("retry-after").is_some(), passes_soon, "{said}");
        code
    }
}

/// A request near what is really sent; `None` if HTTP has none like it.
fn request(choices: &mut Choices<'_>, acts: &[Act]) -> Option<Request<Body>> {
    let act = choices.one_of(acts);
    let methods = [
        Method::GET,
        Method::POST,
        Method::DELETE,
        Method::PUT,
        Method::OPTIONS,
    ];
    let method = if choices.is_one_in(16) {
        choices.one_of(&methods).clone()
    } else {
        act.method.clone()
    };
    let path = if choices.is_one_in(4) {
        text(choices, &[&act.path])
    } else {
        act.path.clone()
    };
    let mut request = Request::builder().method(method).uri(path);
    let key = choices.one_of(&KEYS);
    for (name, value) in headers(key) {
        let count = match choices.below(16) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        for _ in 0..count {
            let value = if choices.is_one_in(6) {
                text(choices, &[&value])
            } else {
                value.clone()
            };
            request = request.header(&name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
    }
    let mut body = match act.bodies.as_slice() {
        [] => Vec::new(),
        bodies => document(choices, bodies).to_string().into_bytes(),
    };
    if choices.is_one_in(8) {
        body = bytes(choices, &body);
    }
    if choices.is_one_in(64) {
        body.resize(body.len() + 70_000, b' ');
    }
    request.body(Body::from(body)).ok()
}

/// Whatever is sent, the answer is one of the catalogue or the thing itself, db-controller is asked for
/// nothing that it does not take, and nobody is told what they sent.
#[test]
fn a_request() {
    let bed = AssertUnwindSafe(Bed::new());
    let acts = AssertUnwindSafe(acts());
    check!().for_each(|input: &[u8]| {
        let Some(request) = request(&mut Choices::new(input), &acts) else {
            return;
        };
        let asked = format!("{} {}", request.method(), request.uri());
        let answer = bed.ask(request);
        let said = answer.text();
        assert_eq!(bed.controller.refused(), None, "{asked}: {said}");
        assert!(!said.contains(samples::CANARY), "{asked}: {said}");
        let status = answer.status.as_u16();
        if [200, 201, 202].contains(&status) {
            assert!(is_a::<Value>(&answer.body), "{asked}: {said}");
        } else if status == 204 {
            assert!(is_nothing(&answer.body), "{asked}: {said}");
        } else {
            answer.code();
            assert!(status < 500, "{asked}: {said}");
        }
    });
}

/// Puts a card number somewhere into a request that is answered without it.
fn with_card(choices: &mut Choices<'_>, act: &Act) -> Request<Body> {
    // In an address there are no spaces.
    let in_address = |choices: &mut Choices<'_>| cards::spelled(choices, &PARTED_BY[1..]);
    let mut path = act.path.clone();
    let mut body = act.bodies.first().cloned();
    let mut more = None;
    match (choices.below(4), &mut body) {
        (0, Some(Value::Object(body))) => {
            let spelled = cards::spelled(choices, &PARTED_BY);
            let word = cards::around(choices, &spelled);
            let name = (*choices.one_of(&["reference", "amount", "more"])).to_owned();
            let value = match choices.below(4) {
                0 => json!(word),
                1 => json!([1, { "a": [null, word] }]),
                2 => json!({ word: true }),
                _ => json!({ "amount": 4_242_424_242_424_242_u64, "currency": "EUR" }),
            };
            body.insert(name, value);
        }
        (1, _) => {
            let spelled = in_address(choices);
            let parted_by = if path.contains('?') { "&x=" } else { "?x=" };
            path = format!("{path}{parted_by}{spelled}");
        }
        (2, _) if path.contains(samples::PAYMENT) => {
            let spelled = in_address(choices);
            path = path.replacen(samples::PAYMENT, &format!("pay_x{spelled}"), 1);
        }
        _ => {
            let names = [
                "idempotency-key",
                "prefer",
                "x-shop",
                "user-agent",
                "authorization",
            ];
            let name = *choices.one_of(&names);
            let spelled = cards::spelled(choices, &PARTED_BY);
            more = Some((HeaderName::from_static(name), format!("x{spelled}")));
        }
    }
    let mut request = Request::builder().method(act.method.clone()).uri(path);
    for (name, value) in headers("sk_1") {
        request = request.header(name, value);
    }
    if let Some((name, value)) = more {
        request = request.header(name, value);
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    request.body(Body::from(body)).expect("it is a request")
}

/// A request with a card number in any place that is kept, sent on or logged goes no further.
#[test]
fn a_request_with_a_card_number() {
    let bed = AssertUnwindSafe(Bed::new());
    let acts = AssertUnwindSafe(acts());
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let act = choices.one_of(acts.as_slice());
        let request = with_card(&mut choices, act);
        let asked = format!("{request:?}");
        let before = bed.controller.asked();
        let answer = bed.ask(request);
        let said = answer.text();
        assert_eq!(answer.code(), Code::CardNumberRefused, "{asked}: {said}");
        assert!(!looks_like_card_number(&said), "{asked}: {said}");
        assert_eq!(bed.controller.asked(), before, "{asked}");
    });
}

/// Whatever db-controller answers, the merchant gets what the document promises.
#[test]
fn an_answer_of_db_controller() {
    let bed = AssertUnwindSafe(Bed::new());
    let acts = AssertUnwindSafe(acts());
    let mut number = 0_u64;
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let act = choices.one_of(acts.as_slice());
        // Whose a key is, is believed for a while: so each has another.
        number += 1;
        let key = format!("sk_{number}");
        let mut request = Request::builder().method(act.method.clone()).uri(&act.path);
        for (name, value) in headers(&key) {
            request = request.header(name, value);
        }
        let body = act.bodies.first().map(ToString::to_string);
        let request = request.body(Body::from(body.unwrap_or_default()));
        bed.controller.follow(Some(choices.rest()));
        let answer = bed.ask(request.expect("it is a request"));
        if answer.headers.contains_key("paymesh-request-id") {
            answer.code();
        } else {
            bed.check_done(act, &answer);
        }
    });
}

/// The samples are what they stand for: each is answered.
#[test]
fn samples_are_understood() {
    let bed = Bed::new();
    for act in acts() {
        let mut request = Request::builder().method(&act.method).uri(&act.path);
        // A key that may do everything.
        for (name, value) in headers("sk_0") {
            request = request.header(name, value);
        }
        let body = act.bodies.first().map(ToString::to_string);
        let request = request.body(Body::from(body.unwrap_or_default()));
        let answer = bed.ask(request.expect("it is a request"));
        let said = format!("{} {}: {}", act.method, act.path, answer.text());
        assert!(answer.status.is_success(), "{said}");
        bed.check_done(&act, &answer);
    }
    assert_eq!(bed.controller.refused(), None);
}
