//! The client against a small server that answers from a script.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, extract::State, response::Response};
use futures::{StreamExt, stream};
use http::{Request as HttpRequest, StatusCode};
use paymesh_clock::Clock;
use paymesh_cloud::{
    Client, Error, ErrorKind, Operation, Patience, Progress, Request, Shape, Token, TokenError,
    TokenSource,
};
use serde_json::{Value, json};

/// One answer of the script.
#[derive(Clone)]
enum Answer {
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The connection ends before the answer begins.
    HangUp,
    /// The connection ends within the body.
    Cut,
    /// The body never ends.
    Endless,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Fixture {
    base: String,
    script: Script,
    client: Client,
    tokens: Arc<Counting>,
}

struct Counting(AtomicU32);

#[async_trait]
impl TokenSource for Counting {
    async fn token(&self) -> Result<Token, TokenError> {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Token::new(
            format!("canary-{count}"),
            Some(Duration::from_hours(1)),
        ))
    }
}

async fn answer(State(script): State<Script>, request: HttpRequest<Body>) -> Response {
    script
        .seen
        .lock()
        .unwrap()
        .push(format!("{} {}", request.method(), request.uri()));
    let next = script.answers.lock().unwrap().pop_front();
    match next {
        Some(Answer::Reply {
            status,
            headers,
            body,
        }) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Answer::HangUp) => {
            let cut = stream::once(async { Err::<String, _>(io::Error::other("cut")) });
            Response::new(Body::from_stream(cut))
        }
        Some(Answer::Cut) => {
            let cut = stream::iter(["{".to_owned()])
                .map(Ok)
                .chain(stream::once(async {
                    // Lets the server flush what it has.
                    for _ in 0..50 {
                        tokio::task::yield_now().await;
                    }
                    Err(io::Error::other("cut"))
                }));
            Response::new(Body::from_stream(cut))
        }
        Some(Answer::Endless) => {
            let spaces = stream::repeat_with(|| Ok::<_, io::Error>(" ".repeat(1 << 20)));
            Response::new(Body::from_stream(spaces))
        }
        None => panic!(
            "the script has no answer for {:?}",
            script.seen.lock().unwrap().last()
        ),
    }
}

fn reply(status: u16, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Answer::Reply {
        status,
        headers: Vec::new(),
        body,
    }
}

fn with(answer: Answer, name: &'static str, value: &str) -> Answer {
    match answer {
        Answer::Reply {
            status,
            mut headers,
            body,
        } => {
            headers.push((name, value.to_owned()));
            Answer::Reply {
                status,
                headers,
                body,
            }
        }
        other => other,
    }
}

const PATIENCE: Patience = Patience {
    request: Duration::from_mins(15),
    outage: Duration::from_mins(2),
};

async fn server(answers: impl IntoIterator<Item = Answer>) -> Fixture {
    let script = Script::default();
    script.answers.lock().unwrap().extend(answers);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let tokens = Arc::new(Counting(AtomicU32::new(0)));
    let clock = Clock::scaled(2000.0).unwrap();
    let client = Client::builder(&base, clock, tokens.clone(), PATIENCE)
        .build()
        .unwrap();
    Fixture {
        base,
        script,
        client,
        tokens,
    }
}

impl Fixture {
    fn seen(&self) -> Vec<String> {
        self.script.seen.lock().unwrap().clone()
    }

    fn check_seen(&self, expected: &[&str]) {
        assert_eq!(self.seen(), expected);
        assert!(
            self.script.answers.lock().unwrap().is_empty(),
            "answers are left over"
        );
    }
}

#[tokio::test]
async fn a_throttled_request_waits_as_long_as_the_cloud_says() {
    let throttled = with(
        reply(429, &json!({"error": {"code": "Throttled"}})),
        "retry-after",
        "30",
    );
    let it = server([throttled, reply(200, &json!({"ok": 1}))]).await;
    let before = it.client.clock().now();
    let answer = it.client.send(Request::put("/x", json!({}))).await.unwrap();
    assert!(it.client.clock().now().since(before) >= Duration::from_secs(30));
    assert!(!answer.may_have_been_received);
    it.check_seen(&["PUT /x", "PUT /x"]);
}

#[tokio::test]
async fn a_write_that_meets_its_own_first_try_says_so() {
    let taken = json!({"code": "PreconditionFailed", "message": "exists"});
    let it = server([reply(503, &Value::Null), reply(412, &taken)]).await;
    let error = it
        .client
        .send(Request::put("/x", json!({})).if_absent())
        .await
        .unwrap_err();
    assert!(error.is_precondition_failed() && error.may_have_been_received);
    // Without an earlier try the same answer is plain.
    let it = server([reply(412, &taken)]).await;
    let error = it
        .client
        .send(Request::put("/x", json!({})).if_absent())
        .await
        .unwrap_err();
    assert!(error.is_precondition_failed() && !error.may_have_been_received);
}

#[tokio::test]
async fn a_write_whose_answer_is_cut_is_done_and_a_read_is_repeated() {
    let it = server([Answer::Cut]).await;
    let answer = it.client.send(Request::put("/x", json!({}))).await.unwrap();
    let operation = Operation::azure(&answer, "/x?api-version=1", false).unwrap();
    assert_eq!(operation.shape, Shape::Body);
    let it = server([Answer::HangUp, reply(200, &json!({}))]).await;
    let answer = it.client.send(Request::put("/x", json!({}))).await.unwrap();
    assert!(answer.may_have_been_received);
    let it = server([Answer::Cut, reply(200, &json!(7))]).await;
    assert_eq!(
        it.client.send(Request::get("/x")).await.unwrap().body,
        json!(7)
    );
}

#[tokio::test]
async fn a_body_that_never_ends_is_no_answer() {
    let it = server([Answer::Endless, Answer::Endless]).await;
    let error = it.client.send(Request::get("/x")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    // A write is done all the same; its headers tell of the operation.
    it.client.send(Request::put("/x", json!({}))).await.unwrap();
}

/// The list at `/x`, whose pages name the next as `next`.
async fn list(it: &Fixture) -> Result<Vec<Value>, Error> {
    let next = |page: &Value| Ok(page["next"].as_str().map(Request::get));
    it.client.list(Request::get("/x"), "items", next).await
}

#[tokio::test]
async fn a_list_of_several_pages_is_whole() {
    let it = server([
        reply(200, &json!({ "items": [1, 2], "next": "/x?page=2" })),
        // A cloud leaves an empty list out.
        reply(200, &json!({ "next": "/x?page=3" })),
        reply(200, &json!({ "items": [3] })),
    ])
    .await;
    assert_eq!(list(&it).await.unwrap(), [1, 2, 3]);
    it.check_seen(&["GET /x", "GET /x?page=2", "GET /x?page=3"]);
}

#[tokio::test]
async fn what_is_no_whole_list_is_an_error() {
    let refused = async |answers: Vec<Answer>| {
        let it = server(answers).await;
        let error = list(&it).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
        it.check_seen(&it.seen().iter().map(String::as_str).collect::<Vec<_>>());
        error.to_string()
    };
    let page = reply(200, &json!({ "items": [1], "next": "/x" }));
    let why = refused(vec![page.clone(); 1000]).await;
    assert_eq!(why, "the list at /x goes on after 1000 pages");
    for no_page in [Value::Null, json!([1])] {
        let why = refused(vec![page.clone(), reply(200, &no_page)]).await;
        assert_eq!(why, "the answer about the list at /x is no page of it");
    }
}

#[tokio::test]
async fn a_401_renews_the_token_once() {
    let no = reply(
        401,
        &json!({"error": {"code": "ExpiredAuthenticationToken"}}),
    );
    let it = server([no.clone(), reply(200, &json!({}))]).await;
    it.client.send(Request::get("/x")).await.unwrap();
    assert_eq!(it.tokens.0.load(Ordering::SeqCst), 2);
    let it = server([no.clone(), no]).await;
    let error = it.client.send(Request::get("/x")).await.unwrap_err();
    assert!(error.is_forbidden() && !format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn equal_reads_ask_once_until_something_is_written() {
    let it = server([
        reply(200, &json!(1)),
        reply(200, &Value::Null),
        reply(200, &json!(2)),
    ])
    .await;
    let read = || it.client.send(Request::get("/a/b").shared());
    let (first, second) = tokio::join!(read(), read());
    assert_eq!(
        (first.unwrap().body, second.unwrap().body),
        (json!(1), json!(1))
    );
    it.client.send(Request::delete("/a/b/c")).await.unwrap();
    assert_eq!(read().await.unwrap().body, json!(2));
    it.check_seen(&["GET /a/b", "DELETE /a/b/c", "GET /a/b"]);
}

#[tokio::test]
async fn no_token_leaves_the_endpoint() {
    let it = server([]).await;
    let error = it
        .client
        .send(Request::get("https://evil.example/op?s=sig"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Setup);
    assert!(!error.to_string().contains("sig="), "{error}");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = server([]).await;
    let location = format!("{}/x", elsewhere.base);
    for status in [301, 302, 303, 307, 308] {
        let it = server([with(reply(status, &Value::Null), "location", &location)]).await;
        let error = it.client.send(Request::get("/x")).await.unwrap_err();
        assert_eq!(error.status, Some(status), "{error}");
        it.check_seen(&["GET /x"]);
    }
    elsewhere.check_seen(&[]);
}

#[tokio::test]
async fn a_dead_endpoint_ends_with_an_error_in_bounded_time() {
    let dead = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let tokens = Arc::new(Counting(AtomicU32::new(0)));
    let clock = Clock::scaled(2000.0).unwrap();
    let client = Client::builder(&format!("http://{dead}"), clock, tokens, PATIENCE)
        .build()
        .unwrap();
    let error = client
        .send(Request::put("/x", json!({})))
        .await
        .unwrap_err();
    assert!(
        error.kind == ErrorKind::Connection && !error.may_have_been_received,
        "{error}"
    );
}

#[tokio::test]
async fn azure_async_operations_end_with_the_clouds_own_reason() {
    let signed = format!("/op/1?t=1&s={}", "x".repeat(4096));
    let it = server([]).await;
    let url = format!(
        "{}{signed}",
        it.client.base().as_str().trim_end_matches('/')
    );
    let put = with(
        reply(
            201,
            &json!({"properties": {"provisioningState": "Creating"}}),
        ),
        "azure-asyncoperation",
        &url,
    );
    let failed = json!({"name": "op-1", "status": "Failed", "error": {"code": "QuotaExceeded",
        "message": "no cores left"}});
    it.script.answers.lock().unwrap().extend([
        put,
        with(
            reply(200, &json!({"status": "InProgress"})),
            "retry-after",
            "10",
        ),
        reply(200, &failed),
    ]);
    let answer = it.client.send(Request::put("/x", json!({}))).await.unwrap();
    let operation = Operation::azure(&answer, "/x", false).unwrap();
    let saved = serde_json::to_string(&operation).unwrap();
    let operation: Operation = serde_json::from_str(&saved).unwrap();
    let error = it
        .client
        .wait(&operation, Duration::from_hours(1))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "QuotaExceeded: no cores left (operation op-1)"
    );
    let poll = format!("GET {signed}");
    it.check_seen(&["PUT /x", &poll, &poll]);
}

/// Polls `operation` once against `answers` and tells how it fares.
async fn check_poll(operation: Operation, answers: Vec<Answer>, expected: &str) {
    let it = server(answers).await;
    let told = match it.client.poll(&operation).await {
        Ok(Progress::Running { status, .. }) => format!("running {status}"),
        Ok(Progress::Succeeded(_)) => "succeeded".to_owned(),
        Ok(Progress::Failed(error)) => format!("failed {error}"),
        Err(error) => format!("unknown {error}"),
    };
    assert!(told.starts_with(expected), "{told:?} is not {expected:?}");
    it.check_seen(&it.seen().iter().map(String::as_str).collect::<Vec<_>>());
}

fn operation(shape: Shape, deleting: bool) -> Operation {
    Operation {
        shape,
        resource: "/x".to_owned(),
        deleting,
        wait_seconds: None,
    }
}

fn state(state: &str) -> Answer {
    reply(200, &json!({"properties": {"provisioningState": state}}))
}

#[tokio::test]
async fn a_forgotten_operation_is_judged_by_its_object() {
    let gone = || reply(404, &json!({"error": {"code": "NotFound"}}));
    let shape = || Shape::AzureAsync { url: "/op".into() };
    for (answer, expected) in [
        (state("Succeeded"), "succeeded"),
        (state("Updating"), "running Updating"),
        (state("Failed"), "failed"),
        (gone(), "failed"),
    ] {
        check_poll(operation(shape(), false), vec![gone(), answer], expected).await;
    }
    check_poll(operation(shape(), true), vec![gone(), gone()], "succeeded").await;
    check_poll(
        operation(shape(), true),
        vec![gone(), state("Deleting")],
        "running",
    )
    .await;
    // A body without a status says nothing either.
    check_poll(
        operation(shape(), false),
        vec![reply(200, &json!({})), state("Updating")],
        "running",
    )
    .await;
}

#[tokio::test]
async fn a_location_answers_202_until_it_gives_the_final_answer() {
    let shape = || Shape::Location { url: "/op".into() };
    check_poll(
        operation(shape(), true),
        vec![reply(202, &Value::Null)],
        "running",
    )
    .await;
    check_poll(
        operation(shape(), true),
        vec![reply(200, &Value::Null)],
        "succeeded",
    )
    .await;
    check_poll(
        operation(shape(), true),
        vec![reply(204, &Value::Null)],
        "succeeded",
    )
    .await;
    let refused = reply(409, &json!({"code": "InUse", "message": "still used"}));
    check_poll(operation(shape(), true), vec![refused], "failed").await;
    check_poll(
        operation(shape(), true),
        vec![reply(403, &json!({}))],
        "unknown",
    )
    .await;
}

#[tokio::test]
async fn google_operations_fail_although_they_are_done() {
    let shape = || Shape::Google { url: "/op".into() };
    let check = async |body: Value, expected: &str| {
        check_poll(operation(shape(), false), vec![reply(200, &body)], expected).await;
    };
    check(json!({"name": "o", "status": "RUNNING"}), "running RUNNING").await;
    check(json!({"name": "o", "status": "DONE"}), "succeeded").await;
    check(
        json!({"name": "o", "status": "DONE", "error": {"code": 8, "message": "no quota"}}),
        "failed RESOURCE_EXHAUSTED: no quota (operation o)",
    )
    .await;
    check(
        json!({"name": "o", "status": "DONE", "error": {"errors": [{"code": "STOCKOUT", "message": "none"}]}}),
        "failed STOCKOUT: none (operation o)",
    )
    .await;
    let gone = reply(404, &json!({}));
    let object = reply(200, &json!({"status": "PROVISIONING"}));
    check_poll(
        operation(shape(), false),
        vec![gone, object],
        "running PROVISIONING",
    )
    .await;
}

#[tokio::test]
async fn an_operation_that_never_ends_is_named_when_time_is_up() {
    let running = (0..4).map(|_| reply(200, &json!({"status": "InProgress"})));
    let it = server(running).await;
    let endless = operation(
        Shape::AzureAsync {
            url: "/ops/endless?s=1".into(),
        },
        false,
    );
    let error = it
        .client
        .wait(&endless, Duration::from_secs(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::OutOfTime);
    assert!(
        error
            .to_string()
            .contains("last status: InProgress (operation endless)"),
        "{error}"
    );
}
