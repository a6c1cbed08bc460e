//! The page of the merchant, as a browser gets it from really started services.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use futures::future::join_all;
use paymesh_beds::{Authority, Subject, write_private};
use paymesh_payments::{Client, Member, Shop, Stack, Wishes, order, shop::folder};
use serde_json::{Value, json};

/// How long a page may take to hold what happened.
const SEEN_MAX: Duration = Duration::from_secs(30);
/// More than the page looks through on either side of a payment's life.
const OTHERS: usize = 110;
const WHOLE: &str = "{}";

/// Somebody who looks at the page.
struct Browser {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Browser {
    fn new(stack: &Stack, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build();
        Self {
            http: http.unwrap(),
            url: stack.page_url(),
            key: key.to_owned(),
        }
    }

    async fn look(&self, path: &str) -> (u16, String) {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request.basic_auth("merchant", Some(&self.key)).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Looks until the page holds all of this.
    async fn see(&self, path: &str, words: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let (status, text) = self.look(path).await;
            let mut missing = words.to_vec();
            missing.retain(|word| !text.contains(*word));
            if status == 200 && missing.is_empty() {
                return text;
            }
            let late = start.elapsed() > SEEN_MAX;
            assert!(!late, "{path}: {status} without {missing:?}:\n{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn id_of(payment: &Value) -> &str {
    payment["id"].as_str().unwrap()
}

fn page_of(payment: &Value) -> String {
    format!("/payments/{}", id_of(payment))
}

/// Pays 1000; gives the payment when nothing of it is on its way.
async fn pay(shop: &Shop, key: &str, token: &str, capture: &str) -> Value {
    let body = json!({
        "amount": { "amount": 1000, "currency": "EUR" },
        "payment_method": token,
        "capture": capture,
        "reference": "<script>alert(1)</script>",
    });
    let answer = shop.client.pay(key, &body.to_string(), 10).await.unwrap();
    let id = answer.json();
    shop.client.end_of(id_of(&id), SEEN_MAX).await.unwrap()
}

async fn act(shop: &Shop, key: &str, payment: &Value, what: &str, body: &str) {
    let done = shop.client.act(key, id_of(payment), what, body).await;
    let done = done.unwrap();
    assert!(matches!(done.status, 200 | 202), "{done:?}");
}

/// The row of a list that is about a payment.
fn row<'a>(list: &'a str, payment: &Value) -> &'a str {
    let link = format!("href=\"{}\"", page_of(payment));
    let mut rows = list.split("<tr>");
    let found = rows.find(|row| row.contains(&link));
    found.unwrap_or_else(|| panic!("no {link} in {list}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_payments_in_every_state_and_what_came_of_them() {
    let mut shop = Shop::open(Wishes::default()).await;
    shop.stack.open_page().unwrap();
    shop.add_webhook().await;
    let browser = Browser::new(&shop.stack, &shop.stack.card.api_key);
    let host = shop.merchant.url.trim_end_matches("/webhook");

    let paid = pay(&shop, "paid", "tok_approve", "automatic").await;
    let share = json!({ "amount": { "amount": 400, "currency": "EUR" } }).to_string();
    act(&shop, "back", &paid, "refunds", &share).await;
    let declined = pay(&shop, "declined", "tok_decline", "automatic").await;
    let asked = pay(&shop, "asked", "tok_action", "automatic").await;
    let reserved = pay(&shop, "reserved", "tok_approve", "manual").await;
    let canceled = pay(&shop, "canceled", "tok_approve", "manual").await;
    act(&shop, "let-go", &canceled, "cancel", WHOLE).await;
    let disputed = pay(&shop, "disputed", "tok_dispute", "automatic").await;

    // One payment each, with all that came of it.
    let come_of_it = [
        "EUR 10.00",
        "EUR 4.00",
        "Charge",
        "Refund",
        "approved",
        "acquirer_receivable",
        "merchant_payable",
        "payment.succeeded",
        "refund.succeeded",
        "delivered",
        host,
    ];
    browser.see(&page_of(&paid), &come_of_it).await;
    let reason = ["failed", "declined", "insufficient_funds"];
    browser.see(&page_of(&declined), &reason).await;
    let action = asked["next_action"]["redirect_url"].as_str().unwrap();
    let customer = ["requires_action", action, "Expires"];
    browser.see(&page_of(&asked), &customer).await;
    let held = ["requires_capture", "Authorize", "Nothing is booked."];
    browser.see(&page_of(&reserved), &held).await;
    let gone = ["canceled", "Void", "payment.canceled"];
    browser.see(&page_of(&canceled), &gone).await;
    let taken_back = ["Disputes", "needs_response", "dispute.opened"];
    browser.see(&page_of(&disputed), &taken_back).await;

    // All of them, the ledger, and whom is told.
    let list = browser.see("/payments", &["Newest first"]).await;
    for (payment, word) in [
        (&paid, "EUR 4.00"),
        (&declined, "insufficient_funds"),
        (&asked, "requires_action"),
        (&reserved, "requires_capture"),
        (&canceled, "canceled"),
        (&disputed, "disputed"),
    ] {
        let row = row(&list, payment);
        assert!(row.contains(word), "{word}: {row}");
    }
    let books = ["merchant_payable", "fees", "chargeback", "refund"];
    browser.see("/ledger", &books).await;
    let news = [host, "dispute.opened", "delivered", "1 try"];
    browser.see("/webhooks", &news).await;

    // What a merchant calls a payment stays a text.
    for path in ["/payments", "/webhooks", &page_of(&paid)] {
        let (_, text) = browser.look(path).await;
        assert!(text.contains("alert("), "{path}: {text}");
        assert_eq!(text.matches("<script").count(), 1, "{path}: {text}");
    }

    // The events of a payment are found behind those of many others, and the page says that it did
    // not look at all of them.
    let body = order(990, "tok_approve");
    let others: Vec<String> = (0..OTHERS).map(|one| format!("other-{one}")).collect();
    let others = others.iter().map(|key| shop.client.pay(key, &body, 20));
    for other in join_all(others).await {
        assert_eq!(other.unwrap().status, 201);
    }
    act(&shop, "rest", &paid, "refunds", WHOLE).await;
    let start = Instant::now();
    loop {
        let (status, text) = browser.look(&page_of(&paid)).await;
        let found = text.matches("refund.succeeded").count();
        if (status, found) == (200, 2) {
            assert!(text.contains("payment.succeeded"), "{text}");
            assert!(text.contains("some may be missing"), "{text}");
            break;
        }
        assert!(start.elapsed() < SEEN_MAX, "{status}, {found}: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_what_is_its_merchants_and_is_in_no_log() {
    let mut shop = Shop::open(Wishes::default()).await;
    shop.stack.open_page().unwrap();
    let stack = &mut shop.stack;
    let own = stack.card.api_key.clone();
    let browser = Browser::new(stack, &own);
    let mine = shop
        .client
        .pay("mine", &order(990, "tok_approve"), 10)
        .await;
    let mine = mine.unwrap().json();
    browser.see("/payments", &[id_of(&mine)]).await;

    // Nobody without a key, or with one that nobody gave out.
    let wrong = "sk_00112233445566778899aabbccddeeff";
    let anybody = reqwest::get(format!("{}/payments", stack.page_url())).await;
    let anybody = anybody.unwrap();
    assert_eq!(anybody.status(), 401);
    let challenge = anybody.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic "), "{challenge}");
    let (status, text) = Browser::new(stack, wrong).look(&page_of(&mine)).await;
    assert_eq!(status, 401, "{text}");
    assert!(!text.contains("EUR 9.90"), "{text}");

    // Another merchant has their own, and nothing of anybody else's.
    let other = stack.add_merchant("Another shop", 0).unwrap();
    let theirs = shop.client.of_merchant(&other);
    let theirs = theirs.pay("theirs", &order(777, "tok_approve"), 10).await;
    let theirs = theirs.unwrap().json();
    let (status, text) = browser.look(&page_of(&theirs)).await;
    assert_eq!(status, 404, "{text}");
    assert!(!text.contains("EUR 7.77"), "{text}");
    let (_, text) = browser.look("/payments").await;
    assert!(!text.contains(id_of(&theirs)), "{text}");
    let other_browser = Browser::new(stack, &other);
    let text = other_browser.see("/payments", &[id_of(&theirs)]).await;
    assert!(!text.contains(id_of(&mine)), "{text}");

    // A key that may do less shows less, and says why.
    stack.add_merchant("Reader", 0).unwrap();
    let reader = stack.add_key("Reader", "payments:read").unwrap();
    let reading = Browser::new(stack, &reader);
    reading
        .see("/payments", &["There is no payment yet."])
        .await;
    let (status, text) = reading.look("/ledger").await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("it has not the scope ledger:read"), "{text}");
    let lacks = ["it has not the scope webhooks:read", "No event yet."];
    reading.see("/webhooks", &lacks).await;

    // payment-api is away: the page says so, and is as before when it is back.
    assert!(stack.stop(Member::Api), "{}", stack.logs());
    for path in ["/payments", "/ledger", "/webhooks", &page_of(&mine)] {
        let (status, text) = browser.look(path).await;
        assert_eq!(status, 503, "{path}: {text}");
        let is_said = text.contains("payment-api does not answer");
        assert!(is_said, "{path}: {text}");
    }
    assert!(stack.is_ready(Member::Page));
    stack.restart(Member::Api).unwrap();
    browser.see("/payments", &[id_of(&mine)]).await;

    let (logs, log) = (stack.logs(), stack.log(Member::Page));
    assert!(log.contains("payment-api does not answer"), "{log}");
    for key in [&*own, &*other, &*reader, wrong] {
        assert!(!logs.contains(key), "{logs}");
    }
    assert!(stack.stop(Member::Page), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_over_https_and_knows_payment_api_by_its_certificate() {
    let folder = folder();
    let mut stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write_private(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ours, other) = (
        Authority::new("ours").unwrap(),
        Authority::new("other").unwrap(),
    );
    let give = |name: &str| {
        let subject = Subject {
            hosts: &["127.0.0.1"],
            ..Subject::default()
        };
        let issued = ours.issue(subject).unwrap();
        let certificate = file(&format!("{name}.pem"), &issued.certificate);
        (certificate, file(&format!("{name}.key"), &issued.key))
    };
    stack.kill(Member::Api);
    stack.api_certificate = Some(give("api"));
    stack.restart(Member::Api).unwrap();
    let (certificate, key) = give("page");
    let api = stack.card.api_url.replace("http://", "https://");
    let settings = |authority: String| {
        vec![
            ("PAYMESH_PAGE_API_URL", api.clone()),
            ("PAYMESH_PAGE_API_CA", authority),
            ("PAYMESH_HTTP_CERTIFICATE", certificate.clone()),
            ("PAYMESH_HTTP_KEY", key.clone()),
        ]
    };
    let root = reqwest::Certificate::from_pem(ours.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([root])
        .no_proxy()
        .build();
    let browser = Browser {
        http: http.unwrap(),
        url: stack.page_url().replace("http://", "https://"),
        key: stack.card.api_key.clone(),
    };

    stack.page_settings = settings(file("ours.pem", ours.pem()));
    stack.open_page().unwrap();
    browser
        .see("/payments", &["There is no payment yet."])
        .await;

    // Whoever another authority vouches for is told no key.
    stack.kill(Member::Page);
    stack.page_settings = settings(file("other.pem", other.pem()));
    stack.open_page().unwrap();
    let (status, text) = browser.look("/payments").await;
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("payment-api does not answer"), "{text}");
}

/// What `make payments` starts. It ends when dropped.
struct Demo(PathBuf);

impl Demo {
    /// Runs the program; gives how it ended and what it said.
    fn run(&self, word: &str) -> (ExitStatus, String) {
        // Not a pipe: what is started goes on, and would keep it open.
        let said = self.0.with_extension("said");
        let file = File::create(&said).unwrap();
        // As in the background of a shell, where SIGINT is ignored by all that is started.
        let status = Command::new("sh")
            .args(["-c", "trap '' INT; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_paymesh-payments"))
            .arg(word)
            .arg(&self.0)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        (status, fs::read_to_string(said).unwrap())
    }

    fn check(&self, word: &str) -> String {
        let (status, said) = self.run(word);
        assert!(status.success(), "{word}: {said}");
        said
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.0.exists() {
            self.run("down");
        }
    }
}

fn webhooks(place: &Path) -> Vec<Value> {
    let text = fs::read_to_string(place.join("webhooks.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_its_payments_and_tells_of_them_as_often_as_it_is_started() {
    let folder = folder();
    let place = folder.path().join("payments");
    let demo = Demo(place.clone());
    let mut keys = Vec::new();
    for start in 1..=2 {
        let said = demo.check("up");
        let line = |name: &str| {
            let mut lines = said
                .lines()
                .filter_map(|line| line.trim().strip_prefix(name));
            let rest = lines.next().unwrap_or_else(|| panic!("{name} in {said}"));
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let told = webhooks(&place);
        assert_eq!(told.len(), start, "{told:?}");
        assert_eq!(told[start - 1]["event"]["type"], "payment.succeeded");
        let event = line("payment.succeeded ");
        assert_eq!(told[start - 1]["event"]["id"], event.as_str());
        assert_eq!(Path::new(&line("webhooks ")), place.join("webhooks.jsonl"));

        let card = fs::read(place.join("card.json")).unwrap();
        let card: Value = serde_json::from_slice(&card).unwrap();
        let word = |name: &str| card[name].as_str().unwrap();
        let browser = Browser {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: line("page ").trim_end_matches('/').to_owned(),
            key: word("page_key").to_owned(),
        };
        keys.push(browser.key.clone());
        let paid = &told[start - 1]["event"]["payment"];
        let holds = ["EUR 12.50", "order 7", "payment.succeeded", "delivered"];
        browser.see(&page_of(paid), &holds).await;

        // With the key that the demo gives out for it every page is whole, and nobody pays.
        browser.see("/ledger", &["merchant_payable"]).await;
        let hooks = browser.see("/webhooks", &["http://127.0.0.1:"]).await;
        assert!(!hooks.contains("has not the scope"), "{hooks}");
        let client = Client::without_history(word("api_url"), word("api_key")).unwrap();
        let looker = client.of_merchant(&browser.key);
        let refused = looker.pay("looker", &order(990, "tok_approve"), 0).await;
        assert_eq!(refused.unwrap().status, 403);
        let endpoints = "/v1/webhook_endpoints";
        let (_, listed) = client.get(endpoints, endpoints).await.unwrap();
        assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
        if start == 2 {
            demo.check("down");
            assert!(!place.exists());
            let address = browser.url.trim_start_matches("http://");
            let connected = TcpStream::connect(address);
            assert!(connected.is_err(), "{address}: {connected:?}");
        }
    }
    assert_eq!(keys[0], keys[1], "a key that is there goes on");
}
