//! The addresses of the page, and what every answer has.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, get},
};

use crate::{Api, frame, ledger, payment, payments, webhooks};

/// What a browser may do with any answer: show it, and ask this place alone for more.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// The page, in front of a payment-api.
pub fn router(api: Api) -> Router {
    let style = include_str!("../assets/page.css");
    let script = include_str!("../assets/page.js");
    let icon = include_str!("../assets/icon.svg");
    Router::new()
        .route("/", get(|| async { Redirect::to("/payments") }))
        .route("/payments", get(payments::list))
        .route("/payments/{id}", get(payment::read))
        .route("/ledger", get(ledger::read))
        .route("/webhooks", get(webhooks::read))
        .with_state(Arc::new(api))
        .route("/page.css", asset("text/css; charset=utf-8", style))
        .route("/page.js", asset("text/javascript; charset=utf-8", script))
        .route("/icon.svg", asset("image/svg+xml", icon))
        .fallback(|| async { frame::lost() })
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(guard))
}

fn asset(kind: &'static str, text: &'static str) -> MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, kind)], text) })
}

async fn wrong_method() -> impl IntoResponse {
    (
        StatusCode::METHOD_NOT_ALLOWED,
        "This page shows, and changes nothing: there is GET only.\n",
    )
}

/// Whether another site has a browser ask, which says the key by itself. To follow a link from there
/// is fine: that site sees nothing of what comes. Who does not say where it asks from is no browser,
/// and knows no key that it was not told.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    let site = "sec-fetch-site";
    let is_own = !headers.contains_key(site) || says(site, "same-origin") || says(site, "none");
    let is_followed = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    !(is_own || is_followed)
}

async fn guard(request: Request, next: Next) -> Response {
    let is_of_another_site = is_of_another_site(request.headers());
    let mode = request.headers().get("sec-fetch-mode");
    let is_script = mode.is_some_and(|mode| mode != "navigate");
    let mut response = if is_of_another_site {
        let text = "No other site may have a browser ask this page.\n";
        (StatusCode::FORBIDDEN, text).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if is_script {
        // A browser would ask for a key in the midst of what somebody reads; the script says it there.
        headers.remove(WWW_AUTHENTICATE);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{
        ENDPOINT, EVENT, KEY, PAYMENT, Seen, api_at, api_that_says, event, look, look_with, payment,
    };

    const PAGES: [&str; 3] = ["/payments", "/ledger", "/webhooks"];

    fn one() -> String {
        format!("/payments/{PAYMENT}")
    }

    /// Every page that shows something of a merchant's.
    fn pages() -> Vec<String> {
        let lists = PAGES.iter().map(|page| (*page).to_owned());
        lists.chain([one()]).collect()
    }

    /// A merchant with one payment, which their only endpoint was told of; some of the answers are
    /// these.
    fn answers(others: &[(&str, u16, Value)]) -> Vec<(String, u16, Value)> {
        let paid = payment(PAYMENT, "order 7");
        let posted = json!({
            "id": "pst_abgjcfkhmnepabcdefghijklmnopabcd",
            "kind": "charge",
            "debit": "acquirer_receivable",
            "credit": "merchant_payable",
            "amount": { "amount": 1250, "currency": "EUR" },
            "payment": PAYMENT,
            "created_at": "2026-11-21T05:00:00.120Z",
        });
        let balance = json!({
            "account": "merchant_payable",
            "posted": { "amount": 1250, "currency": "EUR" },
            "held": 5,
        });
        let told = json!({
            "endpoint": ENDPOINT,
            "status": "pending",
            "tries": 3,
            "last_try_at": "2026-11-21T05:00:10.000Z",
            "next_try_at": "2026-11-21T05:01:10.000Z",
            "delivered_at": null,
        });
        let endpoint = json!({ "id": ENDPOINT, "url": "https://shop.example/s3cret" });
        let happened = event("payment.succeeded", &paid);
        let mut all = vec![
            (format!("/v1/payments/{PAYMENT}"), 200, paid.clone()),
            ("/v1/payments".to_owned(), 200, json!({ "data": [paid] })),
            (
                "/v1/ledger".to_owned(),
                200,
                json!({ "balances": [balance], "postings": [posted] }),
            ),
            ("/v1/events".to_owned(), 200, json!({ "data": [happened] })),
            (
                format!("/v1/events/{EVENT}/deliveries"),
                200,
                json!({ "data": [told] }),
            ),
            (
                "/v1/webhook_endpoints".to_owned(),
                200,
                json!({ "data": [endpoint] }),
            ),
        ];
        let others = others.iter();
        // The last one counts.
        all.extend(others.map(|(path, status, body)| ((*path).to_owned(), *status, body.clone())));
        all
    }

    async fn see(address: &str, others: &[(&str, u16, Value)]) -> Seen {
        look(api_that_says(answers(others)).await, address, Some(KEY)).await
    }

    async fn check_holds(address: &str, others: &[(&str, u16, Value)], words: &[&str]) {
        let seen = see(address, others).await;
        assert_eq!(seen.status, StatusCode::OK, "{address}");
        for word in words {
            assert!(seen.text.contains(word), "{word} in {}", seen.text);
        }
    }

    #[tokio::test]
    async fn pages_hold_what_payment_api_tells() {
        let link = format!("href=\"/payments/{PAYMENT}\"");
        check_holds(
            "/payments",
            &[],
            &[&link, "pay_…mnopabcd", "succeeded", "EUR 12.50", "order 7"],
        )
        .await;
        let payment = [
            PAYMENT,
            "The money moved; the ledger says so.",
            "approved",
            "acq-1",
            "acquirer_receivable",
            "merchant_payable",
            "payment.succeeded",
            "pending",
            "3 tries",
            "https://shop.example",
            "<time datetime=\"2026-11-21T05:01:10.000Z\" title=\"2026-11-21T05:01:10.000Z\">2026-11-21 05:01:10</time>",
        ];
        check_holds(&one(), &[], &payment).await;
        let ledger = ["EUR 12.50", "EUR 0.05", "What is owed to you.", &link];
        check_holds("/ledger", &[], &ledger).await;
        let webhooks = ["https://shop.example", "3 tries", "next try", &link];
        check_holds("/webhooks", &[], &webhooks).await;
        for address in [one(), "/webhooks".to_owned()] {
            let seen = see(&address, &[]).await;
            assert!(!seen.text.contains("s3cret"), "{}", seen.text);
        }
    }

    #[tokio::test]
    async fn lists_are_followed_to_both_sides() {
        let paid = payment(PAYMENT, "order 7");
        let page = json!({ "data": [paid], "next": PAYMENT, "previous": PAYMENT });
        let others = [("/v1/payments", 200, page)];
        let older = format!("href=\"/payments?after={PAYMENT}\"");
        let newer = format!("href=\"/payments?before={PAYMENT}\"");
        check_holds("/payments", &others, &[&older, &newer]).await;
        let nowhere = see("/payments?after=7", &others).await;
        assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn hostile_texts_stay_texts() {
        let hostile = "</td><script>alert(1)</script>\"' onload=x";
        let mut paid = payment(PAYMENT, hostile);
        for place in ["failure_code", "payment_method"] {
            paid[place] = hostile.into();
        }
        paid["next_action"] = json!({ "redirect_url": "javascript:alert(1)//\"><script>" });
        paid["attempts"][0]["acquirer_reference"] = hostile.into();
        paid["attempts"][0]["failure_code"] = hostile.into();
        paid["disputes"] = json!([{
            "id": "dsp_abgjcfkhmnepabcdefghijklmnopabcd",
            "amount": { "amount": 1250, "currency": "EUR" },
            "reason": hostile,
            "status": "needs_response",
            "opened_at": hostile,
        }]);
        let posted = json!({
            "id": hostile, "kind": hostile, "debit": hostile, "credit": hostile,
            "amount": { "amount": 1, "currency": hostile }, "payment": hostile, "created_at": hostile,
        });
        let balance = json!({
            "account": hostile, "posted": { "amount": 1, "currency": hostile }, "held": 0,
        });
        let told = json!({
            "endpoint": hostile, "status": "given_up", "tries": 16,
            "last_try_at": hostile, "next_try_at": null, "delivered_at": null,
        });
        let endpoint = json!({ "id": hostile, "url": hostile, "rotating_until": hostile });
        let happened = event(hostile, &paid);
        let payment = format!("/v1/payments/{PAYMENT}");
        let deliveries = format!("/v1/events/{EVENT}/deliveries");
        let others = [
            (&*payment, 200, paid.clone()),
            ("/v1/payments", 200, json!({ "data": [paid] })),
            (
                "/v1/ledger",
                200,
                json!({ "balances": [balance], "postings": [posted] }),
            ),
            ("/v1/events", 200, json!({ "data": [happened] })),
            (&*deliveries, 200, json!({ "data": [told] })),
            ("/v1/webhook_endpoints", 200, json!({ "data": [endpoint] })),
        ];
        for address in pages() {
            let seen = see(&address, &others).await;
            assert_eq!(seen.status, StatusCode::OK, "{address}");
            let text = seen.text;
            // It is there, and is nothing but text: each page has one script, which is a file.
            assert!(text.contains("alert(1)"), "{address}: {text}");
            assert_eq!(text.matches("<script").count(), 1, "{address}: {text}");
            assert!(!text.contains("\"' onload"), "{address}: {text}");
            assert!(!text.contains("href=\"javascript"), "{address}: {text}");
        }
    }

    #[tokio::test]
    async fn what_is_lacking_is_said_where_it_would_be_and_the_rest_stays() {
        // payment-api of the version before knows no other scope for it than `webhooks:write`.
        for name in ["webhooks:read", "webhooks:write"] {
            let refused = json!({ "error": {
                "type": "authentication", "code": "missing_scope", "message": "-", "advice": "-",
                "param": name, "request_id": "req_x",
            } });
            let scope = [("/v1/webhook_endpoints", 403, refused)];
            let lacks = format!("it has not the scope {name}");
            check_holds("/webhooks", &scope, &[&lacks, "payment.succeeded"]).await;
            check_holds(&one(), &scope, &["order 7", "3 tries"]).await;
        }

        let busy = [("/v1/ledger", 429, Value::Null)];
        let words = ["Try again in 7 seconds.", "order 7", "payment.succeeded"];
        check_holds(&one(), &busy, &words).await;
        let away = [("/v1/events", 503, Value::Null)];
        let words = ["payment-api cannot answer now. Try again in 7", "order 7"];
        check_holds(&one(), &away, &words).await;
        // An earlier payment-api has no such address.
        let deliveries = format!("/v1/events/{EVENT}/deliveries");
        let unknown = [(&*deliveries, 404, Value::Null)];
        check_holds(&one(), &unknown, &["payment.succeeded", "There is no such"]).await;
        // Of what the version before told, nothing may be known.
        let none = [(&*deliveries, 200, json!({ "data": [] }))];
        check_holds(&one(), &none, &["payment.succeeded", "nothing known"]).await;
        let strange = [("/v1/ledger", 200, json!({ "balances": 7 }))];
        check_holds(&one(), &strange, &["cannot read", "order 7"]).await;
    }

    #[tokio::test]
    async fn a_page_without_its_main_part_says_so_by_its_status_too() {
        let asked = Some(HeaderValue::from_static("7"));
        for (said, status, text, again) in [
            (404, StatusCode::NOT_FOUND, "it is not yours", None),
            (
                429,
                StatusCode::TOO_MANY_REQUESTS,
                "in 7 seconds",
                asked.as_ref(),
            ),
            (
                503,
                StatusCode::SERVICE_UNAVAILABLE,
                "in 7 seconds",
                asked.as_ref(),
            ),
            (500, StatusCode::BAD_GATEWAY, "the status 500", None),
        ] {
            let path = format!("/v1/payments/{PAYMENT}");
            let seen = see(&one(), &[(&path, said, Value::Null)]).await;
            assert_eq!(seen.status, status, "{said}");
            assert!(seen.text.contains(text), "{said}: {}", seen.text);
            assert_eq!(seen.headers.get(RETRY_AFTER), again, "{said}");
            let is_away = seen.text.contains("data-away");
            assert_eq!(is_away, status != StatusCode::NOT_FOUND, "{said}");
        }
    }

    #[tokio::test]
    async fn who_has_no_key_or_another_is_told_what_to_type() {
        for key in [None, Some("sk_other")] {
            for address in pages() {
                let api = api_that_says(answers(&[])).await;
                let seen = look(api, &address, key).await;
                assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{address}");
                let challenge = seen.headers["www-authenticate"].to_str().unwrap();
                assert!(challenge.starts_with("Basic realm="), "{challenge}");
                assert!(seen.text.contains("your API key"), "{}", seen.text);
                assert!(!seen.text.contains("order 7"), "{}", seen.text);
            }
        }
    }

    #[tokio::test]
    async fn a_key_is_in_no_answer_whatever_payment_api_says_or_if_it_says_nothing() {
        let echo = json!({ "error": {
            "type": KEY, "code": KEY, "message": KEY, "advice": KEY, "param": KEY,
            "request_id": KEY,
        } });
        let path = format!("/v1/payments/{PAYMENT}");
        for status in [200, 400, 403, 404, 422, 429, 500, 503] {
            let seen = see(&one(), &[(&path, status, echo.clone())]).await;
            assert!(!seen.text.contains(KEY), "{status}: {}", seen.text);
            assert!(!format!("{:?}", seen.headers).contains(KEY), "{status}");
        }
        // Port 9 of this machine: nobody listens there, or nobody who speaks HTTP.
        let seen = look(api_at("127.0.0.1:9"), "/payments", Some(KEY)).await;
        assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(seen.text.contains("does not answer"), "{}", seen.text);
        assert_eq!(seen.headers[RETRY_AFTER], "5");
        assert!(!seen.text.contains(KEY), "{}", seen.text);
    }

    #[tokio::test]
    async fn how_far_they_were_told_is_asked_of_the_newest_events_only() {
        let paid = payment(PAYMENT, "order 7");
        let (start, _) = EVENT.split_at(EVENT.len() - 1);
        // Newest first, as payment-api lists them; it knows no deliveries of them.
        let happened = ('e'..='p').rev().map(|last| {
            let mut happened = event("payment.succeeded", &paid);
            happened["id"] = format!("{start}{last}").into();
            happened
        });
        let happened: Vec<Value> = happened.collect();
        assert_eq!(happened.len(), 12);
        let others = [("/v1/events", 200, json!({ "data": happened }))];
        for (address, asked) in [("/webhooks", 5), (&*one(), 10)] {
            let text = see(address, &others).await.text;
            let is_asked = |row: &&str| row.contains("There is no such");
            let rows = text.split("<tr>").filter(|row| row.contains(start));
            let (yes, no): (Vec<&str>, Vec<&str>) = rows.partition(is_asked);
            assert_eq!((yes.len(), no.len()), (asked, 12 - asked), "{text}");
            assert!(no.iter().all(|row| row.contains("not asked")), "{text}");
            let newest = format!("{start}p");
            assert!(yes.iter().any(|row| row.contains(&newest)), "{text}");
        }
    }

    #[tokio::test]
    async fn no_other_site_has_a_browser_ask() {
        for (site, mode, dest, status) in [
            ("cross-site", "no-cors", "script", StatusCode::FORBIDDEN),
            ("same-site", "cors", "empty", StatusCode::FORBIDDEN),
            ("cross-site", "navigate", "iframe", StatusCode::FORBIDDEN),
            ("cross-site", "navigate", "document", StatusCode::OK),
            ("same-origin", "cors", "empty", StatusCode::OK),
            ("none", "navigate", "document", StatusCode::OK),
        ] {
            let sent = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            for address in pages() {
                let api = api_that_says(answers(&[])).await;
                let seen = look_with(api, &address, Some(KEY), &sent).await;
                assert_eq!(seen.status, status, "{address} {sent:?}");
                let is_shown = seen.text.contains(PAYMENT);
                assert_eq!(is_shown, status == StatusCode::OK, "{}", seen.text);
                for (name, value) in HEADERS {
                    assert_eq!(seen.headers[name], value, "{address} {sent:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_browser_asks_for_a_key_when_somebody_goes_to_a_page_and_not_for_the_script() {
        for (mode, is_asked) in [("navigate", true), ("cors", false)] {
            let sent = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", mode)];
            let api = api_that_says(answers(&[])).await;
            let seen = look_with(api, "/payments", None, &sent).await;
            assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{mode}");
            let asks = seen.headers.contains_key(WWW_AUTHENTICATE);
            assert_eq!(asks, is_asked, "{mode}");
        }
    }

    #[tokio::test]
    async fn every_answer_lets_a_browser_show_it_and_do_nothing_else() {
        let assets = ["/page.css", "/page.js", "/icon.svg", "/nowhere", "/"];
        for address in PAGES.into_iter().chain(assets) {
            let seen = see(address, &[]).await;
            for (name, value) in HEADERS {
                assert_eq!(seen.headers[name], value, "{address}");
            }
            // The name of a format, and a merchant's host, which is text.
            let text = seen.text.replace("http://www.w3.org/2000/svg", "");
            let text = text.replace("https://shop.example", "");
            for elsewhere in ["http:", "https:", "@import", "url("] {
                assert!(!text.contains(elsewhere), "{address}: {text}");
            }
        }
        let seen = see("/", &[]).await;
        assert_eq!(seen.headers["location"], "/payments");
    }
}
