//! Whole answers of both clouds, status and headers too, behind the provider's own clients: what is
//! read of a cluster to import, of its objects, before a plan, of all that bears a mark, and of an
//! operation.

use std::{
    fs,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bolero::check;
use paymesh::{
    cluster::Cluster, converge::Converged, session::Session, settings::Settings,
    simulator::Simulator,
};
use paymesh_clock::Clock;
use paymesh_engine::{Engine, Memory, Observation, Observations, Seen, Sent};
use paymesh_fuzz::{Choices, bytes, document, text};
use paymesh_plugin::findings::Findings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    bodies::{Wanted, check_kept},
    samples,
};

/// So fast that no wait takes time.
const RATE: f64 = 1_000_000.0;

/// What is left of the input.
type Input = Arc<Mutex<Vec<u8>>>;

/// Both clouds, which answer as the input says; and when it has ended, as it should be.
struct Bed {
    runtime: Runtime,
    input: Input,
    folder: TempDir,
    base: String,
}

impl Bed {
    fn new() -> Self {
        let runtime = samples::runtime();
        let input = Input::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&input), Arc::new(samples::answers())));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            runtime,
            input,
            folder: TempDir::new().expect("a temporary folder can be made"),
            base: format!("http://{address}"),
        }
    }

    /// A file of the simulated cloud's.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }

    fn session(&self) -> Session {
        let authority = samples::states()[0]["ca_certificate"].take();
        let credentials = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s",
            "refresh_token": "r", "token_uri": format!("{}/oauth2/token", self.base),
        });
        let simulator = json!({
            "version": 1,
            "azure": self.base,
            "google": self.base,
            "ca": self.file("ca.pem", authority.as_str().expect("an authority is text")),
            "clock_rate": RATE,
            "tenant_id": "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e52",
            "client_id": "c",
            "client_secret_file": self.file("secret", "s"),
            "subscription_ids": ["s"],
            "google_projects": ["payments-prod"],
            "google_credentials_file": self.file("google.json", &credentials.to_string()),
        });
        let simulator: Simulator =
            serde_json::from_value(simulator).expect("a simulator says so much");
        let settings: Settings =
            samples::settings_of(&json!({ "owner": "payments/prod", "simulator": true }));
        let clock = Clock::scaled(RATE).expect("there is such a clock");
        Session::new(Some(settings), Some(simulator), Engine::new(clock))
    }

    /// What a cluster on `cloud` wants. Something of it was written: until then one answer would
    /// serve all who read the same, and so all inputs.
    fn wanted(&self, cloud: &str) -> Wanted {
        let wanted = {
            let _runtime = self.runtime.enter();
            Wanted::on(cloud, self.session())
        };
        self.run(b"", async {
            let context = wanted.context(&Observations::default());
            for (id, node) in wanted.graph.nodes() {
                let seen = Seen::new(samples::body(id));
                let _ = node.object.delete(&context, &seen).await;
            }
        });
        wanted
    }

    /// Does `work` while the clouds answer as `input` says.
    fn run<T>(&self, input: &[u8], work: impl Future<Output = T>) -> T {
        let mut left = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        *left = input.to_vec();
        drop(left);
        self.runtime.block_on(work)
    }
}

type Answers = Arc<Vec<(&'static str, Value)>>;

async fn answer(State((input, answers)): State<(Input, Answers)>, request: Request) -> Response {
    let path = request.uri().path();
    if path.contains("oauth2") {
        let token =
            json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 100_000_000 });
        return Json(token).into_response();
    }
    let mut left = input.lock().unwrap_or_else(PoisonError::into_inner);
    let mut choices = Choices::new(&left);
    let answer = answered(&mut choices, path, &answers);
    let rest = choices.rest().to_vec();
    *left = rest;
    answer
}

fn answered(choices: &mut Choices<'_>, path: &str, answers: &Answers) -> Response {
    let about = answers.iter().find(|(part, _)| path.contains(part));
    let mut sample = about.map_or_else(|| json!({}), |(_, sample)| sample.clone());
    // An answer about anything else is refused.
    if sample["id"] == "" {
        sample["id"] = path.into();
    }
    if sample["name"].is_string() {
        sample["name"] = path.rsplit('/').next().into();
    }
    let refusal = json!({ "error": {
        "code": "NotFound", "status": "NOT_FOUND", "message": "it is not there",
        "details": [{ "code": "X", "message": "deep" }],
    } });
    let body = document(choices, &[sample]);
    let (status, body) = if choices.is_one_in(5) {
        let statuses = [
            201, 202, 204, 301, 400, 403, 404, 404, 409, 410, 412, 429, 503,
        ];
        (
            *choices.one_of(&statuses),
            document(choices, &[body, refusal]),
        )
    } else {
        (200, body)
    };
    let mut body = body.to_string().into_bytes();
    if choices.is_one_in(12) {
        body = bytes(choices, &body);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("it is a status");
    for (name, samples) in [
        ("retry-after", ["5", "Wed, 21 Oct 2026 07:28:00 GMT"]),
        ("azure-asyncoperation", ["/operations/1?t=1", "/x"]),
        ("location", ["/operations/1?t=1", "/x"]),
    ] {
        if choices.is_one_in(8)
            && let Ok(value) = HeaderValue::from_str(&text(choices, &samples))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A cluster that is imported is described in words that a state holds.
fn check_import(cloud: &str, id: &str) {
    let bed = AssertUnwindSafe(Bed::new());
    let wanted = AssertUnwindSafe(bed.wanted(cloud));
    check!(name = format!("import-{cloud}")).for_each(|input: &[u8]| {
        bed.run(input, async {
            let found = Cluster::find(&wanted.session, id, &mut Findings::new()).await;
            if let Some((spec, status)) = found {
                check_kept(&spec);
                check_kept(&status);
            }
        });
    });
}

#[test]
fn an_import_from_azure() {
    check_import(
        samples::CLOUDS[0],
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/a",
    );
}

#[test]
fn an_import_from_google() {
    check_import(
        samples::CLOUDS[1],
        "projects/payments-prod/locations/europe-west1/clusters/a",
    );
}

/// Every object of a cluster is observed, compared, changed and deleted.
fn check_objects(cloud: &str) {
    let bed = AssertUnwindSafe(Bed::new());
    let wanted = AssertUnwindSafe(bed.wanted(cloud));
    check!(name = format!("answers-{cloud}")).for_each(|input: &[u8]| {
        bed.run(input, async {
            let mut all = Observations::default();
            for (id, node) in wanted.graph.nodes() {
                let context = wanted.context(&all);
                let Ok(observation) = node.object.observe(&context).await else {
                    continue;
                };
                all.insert(id.clone(), observation);
            }
            let context = wanted.context(&all);
            for (id, node) in wanted.graph.nodes() {
                let object = &node.object;
                let Some(Observation::Present(seen)) = all.observation(id) else {
                    continue;
                };
                let _ = object.differ(&context, seen);
                let _ = object.children(&context, seen).await;
                for sent in [
                    object.apply(&context, Some(seen)).await,
                    object.hold(&context, seen).await,
                    object.delete(&context, seen).await,
                ] {
                    if let Ok(Sent::Started(operation)) = sent {
                        let _ = operation.poll().await;
                    }
                }
            }
        });
    });
}

#[test]
fn objects_of_azure() {
    check_objects(samples::CLOUDS[0]);
}

#[test]
fn objects_of_google() {
    check_objects(samples::CLOUDS[1]);
}

/// What a plan asks before it is shown.
fn check_facts(cloud: &str) {
    let bed = AssertUnwindSafe(Bed::new());
    let wanted = AssertUnwindSafe(bed.wanted(cloud));
    check!(name = format!("facts-{cloud}")).for_each(|input: &[u8]| {
        bed.run(input, async {
            let mut found = Findings::new();
            let memory = Memory::default();
            Cluster::preflight(&wanted.session, &wanted.spec, None, &memory, &mut found).await;
        });
    });
}

#[test]
fn facts_of_azure() {
    check_facts(samples::CLOUDS[0]);
}

#[test]
fn facts_of_google() {
    check_facts(samples::CLOUDS[1]);
}

/// All that bears a mark, of whatever owner.
#[test]
fn what_bears_a_mark() {
    let bed = AssertUnwindSafe(Bed::new());
    let session = AssertUnwindSafe(bed.session());
    check!().for_each(|input: &[u8]| {
        bed.run(input, async {
            let azure = session.azure().expect("the cloud is known");
            azure.forget_reads();
            for it in azure.marked("s").await.unwrap_or_default() {
                let _ = azure.remove(&it).await;
            }
            let google = session.google().expect("the cloud is known");
            for it in google.marked("payments-prod").await.unwrap_or_default() {
                let _ = google.remove(&it).await;
            }
        });
    });
}

/// How an operation fares that an earlier run wrote down.
#[test]
fn an_operation() {
    let bed = AssertUnwindSafe(Bed::new());
    let session = AssertUnwindSafe(bed.session());
    let shapes = [
        samples::operation(),
        json!({ "shape": { "location": { "url": "/operations/1" } }, "resource": "/x" }),
        json!({ "shape": { "google": { "url": "/operations/1" } }, "resource": "/clusters/c" }),
        json!({ "shape": "body", "resource": "/managedClusters/c", "deleting": true }),
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let operation = document(&mut choices, &shapes);
        let Ok(operation) = serde_json::from_value(operation) else {
            return;
        };
        bed.run(choices.rest(), async {
            let azure = session.azure().expect("the cloud is known");
            let _ = azure.client().poll(&operation).await;
        });
    });
}
