//! Webhooks: an event, signed, to where a merchant wants it.
//!
//! Any 2xx answer confirms it. Everything else is tried again later by a message of its own.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use metrics::{counter, describe_counter};
use paymesh_contracts::{
    EventId,
    event::ENDPOINT_REMOVED,
    persistence::{DeliverWebhook, WebhookTried, complete_request::Effect, message::Work},
    signature,
};
use paymesh_operations::{Place, Span, SpanKind};
use reqwest::Client;
use url::{Host, Url};

use crate::{
    consumer::{Consumer, Unreadable},
    public::{PublicNames, is_public},
};

/// How long a merchant has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Tells merchants.
pub struct Webhooks {
    client: Client,
    private_allowed: bool,
}

impl Webhooks {
    /// A sender. It follows no redirect: what is signed goes where the merchant said.
    /// With `private_allowed` merchants may name addresses of our own network.
    pub fn new(private_allowed: bool) -> Result<Self, reqwest::Error> {
        describe_counter!(
            "paymesh_webhook_tries_total",
            "Tries to tell a merchant of an event"
        );
        let mut client = Client::builder()
            .timeout(ANSWER_MAX)
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if !private_allowed {
            client = client.dns_resolver(Arc::new(PublicNames));
        }
        Ok(Self {
            client: client.build()?,
            private_allowed,
        })
    }

    /// Whether a webhook may go to an address, as far as its text says. One that is written as a number
    /// is not looked up, so it is checked here.
    pub fn may_call(&self, url: &str) -> bool {
        self.private_allowed
            || Url::parse(url).is_ok_and(|url| match url.host() {
                Some(Host::Ipv4(address)) => is_public(address.into()),
                Some(Host::Ipv6(address)) => is_public(address.into()),
                Some(Host::Domain(_)) => url.scheme() == "https",
                None => false,
            })
    }

    async fn deliver(&self, delivery: DeliverWebhook) -> Result<WebhookTried, Unreadable> {
        let event = EventId::from_bytes(&delivery.event_id).map_err(|_| Unreadable)?;
        let untried = |reason: &str| WebhookTried {
            delivered: false,
            status: 0,
            error: reason.to_owned(),
            is_removed: delivery.is_removed,
        };
        if delivery.is_removed {
            return Ok(untried(ENDPOINT_REMOVED));
        }
        if !self.may_call(&delivery.url) {
            return Ok(untried("the address is not public"));
        }
        let secrets: Vec<&str> = [&delivery.secret, &delivery.previous_secret]
            .into_iter()
            .map(String::as_str)
            .filter(|secret| !secret.is_empty())
            .collect();
        let now = jiff::Timestamp::now().as_second();
        let answer = self
            .client
            .post(&delivery.url)
            .header("content-type", "application/json")
            .header("paymesh-event", event.to_string())
            .header(
                signature::HEADER,
                signature::sign(&secrets, now, &delivery.body),
            )
            .body(delivery.body.clone())
            .send()
            .await;
        Ok(match answer {
            Ok(answer) => WebhookTried {
                delivered: answer.status().is_success(),
                status: u32::from(answer.status().as_u16()),
                error: String::new(),
                is_removed: false,
            },
            Err(error) => WebhookTried {
                delivered: false,
                status: 0,
                error: if error.is_timeout() {
                    "no answer in time"
                } else {
                    "no connection"
                }
                .to_owned(),
                is_removed: false,
            },
        })
    }
}

/// What came of a try, as a label.
fn word(tried: &WebhookTried) -> &'static str {
    match (tried.delivered, tried.status) {
        (true, _) => "delivered",
        (false, 0) => "unanswered",
        (false, _) => "refused",
    }
}

#[async_trait]
impl Consumer for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    async fn work(&self, work: Work) -> Result<Effect, Unreadable> {
        match work {
            Work::DeliverWebhook(delivery) => {
                let span = Span::of(&Place::current(), SpanKind::Client, "merchant");
                let tried = self.deliver(delivery).await?;
                span.word("outcome", word(&tried));
                if !tried.delivered {
                    span.failed();
                }
                counter!("paymesh_webhook_tries_total", "outcome" => word(&tried)).increment(1);
                Ok(Effect::Webhook(tried))
            }
            _ => Err(Unreadable),
        }
    }
}
