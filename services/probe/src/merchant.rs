//! payment-api, as a merchant asks it.
//!
//! Each request has a connection of its own: a customer who comes now has none yet, and one that was
//! kept would go on to where a name or a balancer sends nobody any more.

use std::time::Duration;

use paymesh_contracts::{
    Money, PaymentId,
    http::{CaptureMethod, CreatePayment, EventPage, Ledger, Payment, PaymentPage, Share},
};
use paymesh_operations::Secret;
use reqwest::{Client, header::CONTENT_TYPE, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::{
    config::Probe,
    meter,
    run::STEPS,
    trouble::{Hope, Trouble, is_under_way},
};

/// By what the probe knows its payments.
pub(crate) const REFERENCE: &str = "synthetic probe";

/// How long payment-api is asked to wait for the acquirer's word, at most: its own default.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long after a lost answer the request is sent again.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a payment is looked at that is on its way.
const LOOK: Duration = Duration::from_millis(100);

/// A merchant of the probe's own.
pub struct Merchant {
    client: Client,
    api: Url,
    api_key: Secret,
    order: CreatePayment,
    step_max: Duration,
}

/// Something to ask.
struct Ask {
    address: Url,
    act: Option<Act>,
}

/// What moves money.
struct Act {
    key: String,
    body: Vec<u8>,
}

impl Merchant {
    /// The merchant that the settings tell of.
    pub fn new(settings: Probe) -> Result<Self, reqwest::Error> {
        meter::describe();
        let client = Client::builder()
            .user_agent("paymesh-probe")
            .pool_max_idle_per_host(0)
            .redirect(Policy::none())
            .no_proxy();
        let client = match settings.tls {
            Some(tls) => client.tls_backend_preconfigured(tls),
            None => client,
        };
        Ok(Self {
            client: client.build()?,
            api: settings.api,
            api_key: settings.api_key,
            order: CreatePayment {
                amount: settings.amount,
                payment_method: settings.payment_method,
                reference: Some(REFERENCE.to_owned()),
                capture: CaptureMethod::Automatic,
            },
            step_max: settings.step_max,
        })
    }

    /// How much is charged.
    pub(crate) fn amount(&self) -> Money {
        self.order.amount
    }

    /// How long one step may take.
    pub(crate) fn step_max(&self) -> Duration {
        self.step_max
    }

    /// How long a run may take.
    pub(crate) fn run_max(&self) -> Duration {
        self.step_max * STEPS
    }

    /// Charges under a key, and waits for what comes of it.
    pub(crate) async fn charge(&self, key: &str, until: Instant) -> Result<Payment, Trouble> {
        let ask = self.act("v1/payments", key.to_owned(), &self.order);
        let payment = self.ask(&ask, until).await?;
        self.settled(payment, until).await
    }

    /// Gives back all that is left of a payment, and waits until that is done.
    pub(crate) async fn refund(&self, id: PaymentId, until: Instant) -> Result<Payment, Trouble> {
        let path = format!("v1/payments/{id}/refunds");
        let ask = self.act(&path, format!("probe-refund-{id}"), &Share { amount: None });
        let asked = self.ask(&ask, until).await;
        let asked = asked.map_err(|trouble| trouble.about(id))?;
        let payment = self.settled(asked, until).await?;
        if payment.captured.is_some() && payment.refunded == payment.captured {
            return Ok(payment);
        }
        let back = payment
            .refunded
            .map_or_else(|| "nothing".to_owned(), |back| back.to_string());
        let declined = payment.attempts.last();
        let code = declined.and_then(|attempt| attempt.failure_code.clone());
        let came = format!("a payment of which {back} is refunded");
        Err(Trouble::stands(&payment, came, code))
    }

    /// What a payment moved.
    pub(crate) async fn ledger(&self, id: PaymentId, until: Instant) -> Result<Ledger, Trouble> {
        let ask = self.get(&format!("v1/ledger?payment={id}"));
        let ledger = self.ask(&ask, until).await;
        ledger.map_err(|trouble| trouble.about(id))
    }

    /// The newest of what happened.
    pub(crate) async fn events(&self, until: Instant) -> Result<EventPage, Trouble> {
        self.ask(&self.get("v1/events?limit=100"), until).await
    }

    /// A payment as it is now.
    pub(crate) async fn payment(&self, id: PaymentId, until: Instant) -> Result<Payment, Trouble> {
        let payment = self
            .ask(&self.get(&format!("v1/payments/{id}")), until)
            .await;
        payment.map_err(|trouble| trouble.about(id))
    }

    /// Some payments, older than `after` if that is given.
    pub(crate) async fn payments(
        &self,
        after: Option<&str>,
        until: Instant,
    ) -> Result<PaymentPage, Trouble> {
        let path = match after {
            None => "v1/payments?limit=100".to_owned(),
            Some(after) => format!("v1/payments?limit=100&after={after}"),
        };
        self.ask(&self.get(&path), until).await
    }

    /// Looks at a payment until nothing of it is on its way, or the time is over.
    async fn settled(&self, mut payment: Payment, until: Instant) -> Result<Payment, Trouble> {
        let id = payment.id;
        let look = self.get(&format!("v1/payments/{id}"));
        let mut lost = None;
        // Within twice the pause there would be no time for an answer.
        while is_under_way(&payment) && Instant::now() + 2 * LOOK < until {
            sleep(LOOK).await;
            match self.send::<Payment>(&look, until).await {
                Ok(seen) => (payment, lost) = (seen, None),
                Err(trouble) if trouble.hope == Hope::Now => lost = Some(trouble.about(id)),
                Err(trouble) => return Err(trouble.about(id)),
            }
        }
        lost.map_or(Ok(payment), Err)
    }

    fn get(&self, path: &str) -> Ask {
        let address = self.api.join(path);
        Ask {
            address: address.expect("a plain path can follow any http address"),
            act: None,
        }
    }

    fn act(&self, path: &str, key: String, body: &impl Serialize) -> Ask {
        let body = serde_json::to_vec(body).expect("a request is plain data");
        Ask {
            act: Some(Act { key, body }),
            ..self.get(path)
        }
    }

    /// Sends a request, and once more if its answer is lost. Half of the time is left for that.
    async fn ask<T: DeserializeOwned>(&self, ask: &Ask, until: Instant) -> Result<T, Trouble> {
        let now = Instant::now();
        let half = now + until.saturating_duration_since(now) / 2;
        match self.send(ask, half).await {
            Err(trouble) if trouble.hope == Hope::Now => {
                sleep(AGAIN).await;
                let sent = self.send(ask, until).await;
                // What came of the second says nothing of the first.
                sent.map_err(|again: Trouble| Trouble {
                    may_be_done: again.may_be_done || trouble.may_be_done,
                    ..again
                })
            }
            other => other,
        }
    }

    /// Sends a request once.
    async fn send<T: DeserializeOwned>(&self, ask: &Ask, until: Instant) -> Result<T, Trouble> {
        let request = match &ask.act {
            None => self.client.get(ask.address.clone()),
            Some(Act { key, body }) => {
                // The answer has to come before it is given up.
                let left = until.saturating_duration_since(Instant::now());
                let wait = (left / 2).min(WAIT_MAX).as_secs();
                let request = self.client.post(ask.address.clone());
                request
                    .header("idempotency-key", key)
                    .header("prefer", format!("wait={wait}"))
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.clone())
            }
        };
        let answer = async {
            let answer = request.bearer_auth(self.api_key.expose()).send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let (status, body) = timeout_at(until, answer)
            .await
            .map_err(|_| Trouble::lost("no answer in time"))?
            .map_err(Trouble::unreachable)?;
        if !status.is_success() {
            return Err(Trouble::refusal(status.as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|_| Trouble {
            status: Some(status.as_u16()),
            may_be_done: true,
            ..Trouble::wrong("an answer that cannot be read")
        })
    }
}
