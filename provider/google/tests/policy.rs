//! Writing a policy that others write as well, against a small server that keeps one.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response, StatusCode},
};
use paymesh_clock::Clock;
use paymesh_cloud::{FixedToken, TokenSource};
use paymesh_engine::{Context, Fault, FaultKind, Holder, Mark, Object, StopToken};
use paymesh_google::{
    ClusterName, Endpoints, Google, Marked,
    access::{Grants, GrantsWant, Scope},
    cluster::Cluster,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CLUSTER: &str = "projects/pay/locations/europe-west1/clusters/main";
const OURS: &str = "group:payments@example.com";

/// The policy of a project in which nothing else exists.
#[derive(Default)]
struct Policy {
    bindings: Vec<Value>,
    version: u32,
    /// So often somebody else writes just before us.
    races: u32,
    /// What a refusal asks to wait, in seconds.
    retry_after: Option<&'static str>,
    /// What the next reads are answered with, in place of what is there.
    answers: Vec<Value>,
    writes: u32,
}

impl Policy {
    fn etag(&self) -> String {
        format!("etag-{}", self.version)
    }

    fn read(&self) -> Value {
        json!({ "version": 3, "etag": self.etag(), "bindings": self.bindings })
    }

    /// Whether `policy` replaces this one: nothing is taken without the etag of now.
    fn write(&mut self, policy: &Value) -> bool {
        self.writes += 1;
        if self.races > 0 {
            self.races -= 1;
            self.version += 1;
            let role = format!("roles/other.{}", self.version);
            let theirs = json!({ "role": role, "members": ["group:theirs@example.com"] });
            self.bindings.push(theirs);
        }
        let is_next = policy["etag"] == self.etag();
        if is_next {
            self.version += 1;
            self.bindings
                .clone_from(policy["bindings"].as_array().unwrap());
        }
        is_next
    }

    fn has(&self, words: &str) -> bool {
        json!(self.bindings).to_string().contains(words)
    }
}

async fn serve(State(policy): State<Arc<Mutex<Policy>>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut policy = policy.lock().unwrap();
    let (status, answer) = match head.uri.path().rsplit('/').next().unwrap() {
        "pay:getIamPolicy" if !policy.answers.is_empty() => (200, policy.answers.remove(0)),
        "pay:getIamPolicy" => (200, policy.read()),
        "pay:setIamPolicy" => {
            if policy.write(&sent["policy"]) {
                (200, policy.read())
            } else {
                let message = "There were concurrent policy changes.";
                (409, refusal(409, "ABORTED", message))
            }
        }
        "clusters" | "serviceAccounts" => (200, json!({})),
        _ => (404, refusal(404, "NOT_FOUND", "Not found.")),
    };
    let text = if answer.is_null() {
        String::new()
    } else {
        answer.to_string()
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = policy.retry_after.filter(|_| status == 409) {
        let headers = response.headers_mut();
        headers.insert("retry-after", seconds.parse().unwrap());
    }
    response
}

fn refusal(code: u16, status: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "status": status, "message": message } })
}

/// A project, and the grants of a cluster in it.
struct Bed {
    policy: Arc<Mutex<Policy>>,
    google: Arc<Google>,
    clock: Clock,
}

impl Bed {
    async fn with(policy: Policy) -> Self {
        let policy = Arc::new(Mutex::new(policy));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(policy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Clock::scaled(600.0).unwrap();
        let tokens: Arc<dyn TokenSource> = Arc::new(FixedToken("token".to_owned()));
        let google = Google::new(&Endpoints::at(&base), &clock, &tokens).unwrap();
        Self {
            policy,
            google: Arc::new(google),
            clock,
        }
    }

    async fn grant(&self) -> Result<(), Fault> {
        let cluster = ClusterName::parse(CLUSTER).unwrap();
        let cx = Context {
            mark: Mark::of("payments/prod", &Cluster::id_of(&cluster)),
            holder: Holder::fresh(),
            clock: self.clock.clone(),
            stop: StopToken::new(),
            observations: Arc::default(),
            remarks: Vec::new(),
        };
        let want = GrantsWant {
            cluster,
            scope: Scope::Project("pay".to_owned()),
            account: None,
            admins: vec![OURS.to_owned()],
        };
        let grants = Grants::new(self.google.clone(), want);
        grants.apply(&cx, None).await.map(|_| ())
    }

    /// What bears a mark.
    async fn marked(&self) -> Marked {
        let mut marked = self.google.marked("pay").await.unwrap();
        assert_eq!(marked.len(), 1, "{marked:?}");
        marked.remove(0)
    }

    /// Takes everything away that bears a mark, as the command line does.
    async fn remove(&self) -> Result<(), String> {
        let kept = self.google.remove(&self.marked().await).await;
        assert_eq!(kept.map_err(|error| error.to_string())?, None);
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Policy)) {
        change(&mut self.policy.lock().unwrap());
    }
}

#[tokio::test]
async fn what_others_write_meanwhile_stays() {
    let bed = Bed::with(Policy {
        races: 3,
        ..Policy::default()
    })
    .await;
    bed.grant().await.unwrap();
    bed.change(|policy| {
        assert_eq!((policy.writes, policy.bindings.len()), (4, 4));
        assert!(policy.has(OURS));
        (policy.races, policy.writes) = (3, 0);
    });
    bed.remove().await.unwrap();
    bed.change(|policy| {
        assert_eq!((policy.writes, policy.bindings.len()), (4, 6));
        assert!(!policy.has(OURS));
    });
}

#[tokio::test]
async fn who_gives_up_tells_what_it_is_about_how_long_and_how_often_and_what_next() {
    let bed = Bed::with(Policy::default()).await;
    bed.grant().await.unwrap();
    bed.change(|policy| {
        policy.races = 1;
        // Past every limit, so that there is no second try.
        policy.retry_after = Some("86400");
    });
    let granted = bed.grant().await.unwrap_err();
    assert_eq!(granted.kind, FaultKind::KeepsChanging);
    bed.change(|policy| policy.races = 1);
    let removed = bed.remove().await.unwrap_err();
    for text in [granted.to_string(), removed] {
        for words in [
            "projects/pay",
            CLUSTER,
            "There were concurrent policy changes.",
            "It was tried once in ",
            "Then run the command again.",
        ] {
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
    }
    bed.change(|policy| assert!(policy.has(OURS)));
}

#[tokio::test]
async fn what_was_listed_is_not_taken_for_gone_because_a_read_shows_nothing_of_it() {
    let bed = Bed::with(Policy::default()).await;
    let before = bed.policy.lock().unwrap().read();
    bed.grant().await.unwrap();
    let marked = bed.marked().await;
    bed.change(|policy| policy.answers = vec![before]);
    assert_eq!(bed.google.remove(&marked).await.unwrap(), None);
    bed.change(|policy| {
        // The grant, what the policy of before was refused for, and the removal.
        assert_eq!(policy.writes, 3);
        assert!(!policy.has(OURS));
    });
}

#[tokio::test]
async fn an_answer_without_an_etag_is_no_policy_and_nothing_is_written_over_what_is_there() {
    let theirs = json!({ "role": "roles/viewer", "members": ["group:theirs@example.com"] });
    for answer in [
        Value::Null,
        json!({ "bindings": [theirs] }),
        json!({ "bindings": [theirs], "etag": "" }),
    ] {
        let bed = Bed::with(Policy::default()).await;
        bed.grant().await.unwrap();
        let marked = bed.marked().await;
        bed.change(|policy| {
            policy.writes = 0;
            policy.answers = vec![answer; 4];
        });
        let granted = bed.grant().await.unwrap_err();
        assert_eq!(granted.kind, FaultKind::Unavailable);
        let cluster = ClusterName::parse(CLUSTER).unwrap();
        for text in [
            granted.to_string(),
            bed.google.remove(&marked).await.unwrap_err().to_string(),
            bed.google.marked("pay").await.unwrap_err().to_string(),
            bed.google.admins(&cluster).await.unwrap_err().to_string(),
        ] {
            assert!(text.contains("it has no etag"), "{text}");
        }
        bed.change(|policy| {
            assert_eq!((policy.writes, policy.answers.len()), (0, 0));
            assert!(policy.has(OURS));
        });
    }
}
