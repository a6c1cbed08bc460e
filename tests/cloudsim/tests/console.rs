//! The console over the wire: pages, their data, filters, acts by hand, and who may not ask.

mod bed;

use bed::Bed;
use reqwest::{Response, redirect::Policy};
use serde_json::{Value, json};

/// A look at the console without following where it sends.
struct Console {
    bed: Bed,
    client: reqwest::Client,
}

impl Console {
    fn start() -> Self {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            bed: Bed::start(),
            client,
        }
    }

    async fn open(&self, path: &str) -> Response {
        let base = self.bed.card["google"].as_str().unwrap();
        self.client
            .get(format!("{base}{path}"))
            .send()
            .await
            .unwrap()
    }

    async fn text(&self, path: &str) -> String {
        self.open(path).await.text().await.unwrap()
    }

    async fn data(&self, path: &str) -> Value {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = self.open(&format!("{path}{mark}format=json")).await;
        answer.json().await.unwrap()
    }

    async fn act(&self, act: &str, form: &[(&str, &str)]) -> Response {
        let base = self.bed.card["google"].as_str().unwrap();
        self.client
            .post(format!("{base}/console/settings/{act}"))
            .form(form)
            .send()
            .await
            .unwrap()
    }

    /// One request that the journal has and a cloud refuses.
    async fn refused(&self) {
        let answer = self
            .bed
            .send("GET", "/subscriptions", None, Value::Null)
            .await;
        assert_eq!(answer.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn the_root_leads_to_the_console_and_no_page_is_in_the_journal() {
    let console = Console::start();
    let root = console.open("/").await;
    assert_eq!(root.status(), 303);
    assert_eq!(root.headers()["location"], "/console");
    for path in [
        "/console",
        "/console/operations",
        "/console/requests",
        "/console/settings",
    ] {
        let page = console.open(path).await;
        assert_eq!(page.status(), 200, "{path}");
        assert!(
            page.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("'self'")
        );
    }
    assert_eq!(console.data("/console/requests").await["all"], 0);
}

#[tokio::test]
async fn requests_are_filtered_by_the_address_and_one_can_be_opened() {
    let console = Console::start();
    console.refused().await;
    console
        .bed
        .send("GET", "/_sim/terraform/prod", None, Value::Null)
        .await
        .unwrap();
    assert_eq!(console.data("/console/requests").await["found"], 2);
    let refused = console
        .data("/console/requests?cloud=azure&status=4xx")
        .await;
    assert_eq!(refused["found"], 1);
    assert_eq!(refused["lines"][0]["path"], "/subscriptions");
    assert_eq!(
        console.data("/console/requests?status=5xx").await["found"],
        0
    );
    assert_eq!(
        console.data("/console/requests/1").await["entry"]["status"],
        401
    );
    assert_eq!(console.open("/console/requests/99").await.status(), 404);
}

#[tokio::test]
async fn a_fault_ordered_by_hand_strikes_and_shows_as_trouble() {
    let console = Console::start();
    assert_eq!(console.data("/console").await["troubles"], json!([]));
    let form = [
        ("kind", "answer-html"),
        ("status", "502"),
        ("api", "azure"),
        ("path", "/subscriptions*"),
        ("nth", "1"),
        ("times", "1"),
        ("site", "before_effect"),
    ];
    assert_eq!(console.act("fault", &form).await.status(), 303);
    let troubles = console.data("/console").await["troubles"].to_string();
    assert!(troubles.contains("Fault on order"), "{troubles}");
    let answer = console
        .bed
        .send("GET", "/subscriptions", None, Value::Null)
        .await
        .unwrap();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().contains("502 Bad Gateway"));
    let troubles = console.data("/console").await["troubles"].to_string();
    assert!(
        troubles.contains("1 request was answered with a server error"),
        "{troubles}"
    );
    assert_eq!(
        console.act("forget", &[("id", "fault-1")]).await.status(),
        303
    );
    assert_eq!(console.data("/console/settings").await["faults"], json!([]));
}

#[tokio::test]
async fn a_form_that_cannot_be_obeyed_says_why() {
    let console = Console::start();
    for (act, form, words) in [
        ("fault", &[("kind", "lose_region")][..], "region is empty"),
        ("fault", &[("kind", "pending_pods")], "cluster is empty"),
        (
            "fault",
            &[("kind", "delay"), ("seconds", "soon")][..],
            "is no number",
        ),
        ("rate", &[("rate", "0")][..], "rate must be"),
        ("step", &[("seconds", "-1")][..], "out of range"),
        ("forget", &[("id", "nobody")][..], "no fault"),
        ("fly", &[][..], "there is no act"),
    ] {
        let answer = console.act(act, form).await;
        assert_eq!(answer.status(), 400, "{act}");
        let page = answer.text().await.unwrap();
        assert!(page.contains(words), "{act}: {page}");
    }
}

#[tokio::test]
async fn the_clock_obeys_and_the_page_returns_only_to_the_console() {
    let console = Console::start();
    for (back, seen) in [
        (
            "/console/requests?cloud=azure",
            "/console/requests?cloud=azure",
        ),
        ("https://elsewhere.example/", "/console/settings"),
    ] {
        let answer = console.act("freeze", &[("back", back)]).await;
        assert_eq!(answer.headers()["location"], seen);
    }
    assert_eq!(
        console.bed.control("GET", "clock", Value::Null).await["frozen"],
        true
    );
    assert!(console.text("/console").await.contains("frozen"));
}

#[tokio::test]
async fn text_from_outside_is_never_markup() {
    let console = Console::start();
    let page = console
        .text("/console/requests?text=%3Cscript%3Ealert(1)%3C/script%3E")
        .await;
    assert!(!page.contains("<script>alert"), "{page}");
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_act() {
    let console = Console::start();
    let base = console.bed.card["google"].as_str().unwrap();
    let answer = console
        .client
        .post(format!("{base}/console/settings/reset"))
        .header("origin", "https://elsewhere.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn whoever_watches_is_told_of_a_change() {
    let console = Console::start();
    let page = console.text("/console").await;
    let seen = page
        .split("data-version=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let watch = format!("/console/changes?seen={seen}");
    let (changed, ()) = tokio::join!(console.data(&watch), console.refused());
    assert_eq!(changed["changed"], true);
}
