//! The client of one cloud endpoint: sends requests until there is an answer worth returning.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use paymesh_clock::Clock;
use serde_json::Value;
use tracing::{debug, info};
use url::Url;

use crate::{
    Error, ErrorKind, Rate, Reply, Request, Token, TokenSource, VerbClass,
    body::{self, Body},
    reads::Reads,
    redact::redacted,
    retry::{Verdict, backoff, retry_after, verdict},
    throttle::Budgets,
    token::TokenCache,
    transport::{endpoint, is_loopback, transport},
};

/// Tries that are made however fast the clock runs.
const TRIES_MIN: u32 = 4;
/// Tries after which even a cloud that asks for no wait is left alone.
const TRIES_MAX: u32 = 60;

/// How long a request is retried before its error is returned, on the clock.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Whatever goes wrong.
    pub request: Duration,
    /// While not even a connection can be made.
    pub outage: Duration,
}

/// The client of one cloud endpoint. Clones share connections, token, budgets and reads.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    base: Url,
    clock: Clock,
    http: reqwest::Client,
    tokens: TokenCache,
    budgets: Budgets,
    reads: Arc<Reads>,
    headers: HeaderMap,
    request_id_header: Option<HeaderName>,
    patience: Patience,
    numbers: AtomicU64,
}

/// What a [`Client`] is made of.
pub struct ClientBuilder {
    base: String,
    clock: Clock,
    tokens: Arc<dyn TokenSource>,
    extra_ca: Option<Vec<u8>>,
    budgets: Budgets,
    reads: Arc<Reads>,
    headers: HeaderMap,
    request_id_header: Option<HeaderName>,
    patience: Patience,
}

/// How one try ended.
enum Try {
    Done(Reply),
    Again {
        error: Error,
        wait: Option<Duration>,
        verdict: Verdict,
    },
    Refused {
        token: Token,
        error: Error,
    },
    Final(Error),
}

impl ClientBuilder {
    /// Also trusts the authorities in `pem`.
    #[must_use]
    pub fn extra_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_ca = Some(pem.into());
        self
    }

    /// The rate at which `api` lets requests of `class` pass.
    #[must_use]
    pub fn budget(mut self, api: &'static str, class: VerbClass, rate: Rate) -> Self {
        self.budgets.set(api, class, rate);
        self
    }

    /// Shares reads with `other`, another endpoint of the same cloud: a write to one ends the sharing
    /// at both.
    #[must_use]
    pub fn reads_of(mut self, other: &Client) -> Self {
        self.reads = other.inner.reads.clone();
        self
    }

    /// A header on every request.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The header that carries our own id of a request, the same over all its tries.
    #[must_use]
    pub fn request_id_header(mut self, name: &'static str) -> Self {
        self.request_id_header = Some(HeaderName::from_static(name));
        self
    }

    /// The client; an error if the endpoint would leak credentials or the authority is not PEM.
    pub fn build(self) -> Result<Client, Error> {
        let base = endpoint(&self.base)?;
        let http = transport(self.extra_ca.as_deref(), is_loopback(&base))?;
        Ok(Client {
            inner: Arc::new(Inner {
                base,
                clock: self.clock,
                http,
                tokens: TokenCache::new(self.tokens),
                budgets: self.budgets,
                reads: self.reads,
                headers: self.headers,
                request_id_header: self.request_id_header,
                patience: self.patience,
                numbers: AtomicU64::new(0),
            }),
        })
    }
}

impl Client {
    /// A client of the endpoint `base`.
    pub fn builder(
        base: &str,
        clock: Clock,
        tokens: Arc<dyn TokenSource>,
        patience: Patience,
    ) -> ClientBuilder {
        ClientBuilder {
            base: base.to_owned(),
            clock,
            tokens,
            extra_ca: None,
            budgets: Budgets::default(),
            reads: Arc::default(),
            headers: HeaderMap::new(),
            request_id_header: None,
            patience,
        }
    }

    /// The clock all waits go through.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The endpoint.
    pub fn base(&self) -> &Url {
        &self.inner.base
    }

    /// The token that requests carry now.
    pub async fn token(&self) -> Result<Token, Error> {
        let found = self.inner.tokens.token(&self.inner.clock, None).await;
        found.map_err(|fault| Error::new(ErrorKind::Token, fault.message))
    }

    /// Forgets all shared reads, and shares again if a write has ended that: a new run begins.
    pub fn forget_reads(&self) {
        self.inner.reads.begin();
    }

    /// Forgets shared reads at, above and below `path`: something changed it.
    pub fn forget_reads_around(&self, path: &str) {
        self.inner
            .reads
            .forget_around(path.split('?').next().unwrap_or_default());
    }

    /// Sends `request` until it is answered, refused for good, or patience ends.
    pub async fn send(&self, request: Request) -> Result<Reply, Error> {
        let reads = &self.inner.reads;
        if request.class() != VerbClass::Read {
            reads.end();
            return self.exchange(&request).await;
        }
        let place = if request.shared {
            reads.place(&request)
        } else {
            None
        };
        let Some(place) = place else {
            reads.forget(&request);
            return self.exchange(&request).await;
        };
        let answer = place.get_or_init(|| self.exchange(&request)).await.clone();
        // Absence may be a matter of moments, and so may a failure.
        if answer.is_err() {
            reads.forget(&request);
        }
        answer
    }

    async fn exchange(&self, request: &Request) -> Result<Reply, Error> {
        let inner = &*self.inner;
        let number = inner.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let class = request.class();
        let url = inner.url(request)?;
        let name = format!("{} {}", request.method, redacted(&request.address));
        let own_id = inner.request_id_header.is_some().then(new_id);
        let started = inner.clock.now();
        let mut unclear = false;
        let mut refused = None;
        for tries in 1.. {
            inner.budgets.pass(&inner.clock, request.api, class).await;
            let sent = inner.clock.now();
            let outcome = inner
                .once(request, &url, own_id.as_deref(), refused.as_ref())
                .await;
            outcome.log(number, &name, tries, inner.clock.now().since(sent));
            let (mut error, wait) = match outcome {
                Try::Done(mut reply) => {
                    reply.number = number;
                    reply.may_have_been_received = unclear;
                    return Ok(reply);
                }
                Try::Refused { token, error } if refused.is_none() => {
                    refused = Some(token);
                    (error, Some(Duration::ZERO))
                }
                Try::Refused { error, .. } | Try::Final(error) => {
                    return Err(finished(error, &name, number, unclear));
                }
                Try::Again {
                    error,
                    wait,
                    verdict,
                } => {
                    unclear |= verdict == Verdict::Unclear && class != VerbClass::Read;
                    if verdict == Verdict::NotTaken
                        && let Some(wait) = wait
                    {
                        inner.budgets.close(&inner.clock, request.api, class, wait);
                    }
                    (error, wait)
                }
            };
            let wait = wait.unwrap_or_else(|| backoff(tries));
            let patience = match error.kind {
                ErrorKind::Connection if !unclear => {
                    inner.patience.request.min(inner.patience.outage)
                }
                _ => inner.patience.request,
            };
            let late = inner.clock.now().since(started) + wait > patience;
            if tries >= TRIES_MAX || (late && tries >= TRIES_MIN) || wait > patience {
                if let Some(asked) = error.retry_after.filter(|asked| *asked > patience) {
                    let text = format!(" (the cloud asks to wait {} s)", asked.as_secs());
                    error.detail().message.push_str(&text);
                }
                return Err(finished(error, &name, number, unclear));
            }
            inner.clock.sleep(wait).await;
        }
        unreachable!("the loop returns at its limit of tries")
    }
}

fn finished(mut error: Error, name: &str, number: u64, unclear: bool) -> Error {
    let detail = error.detail();
    name.clone_into(&mut detail.request);
    detail.number = number;
    detail.may_have_been_received |= unclear;
    error
}

/// An id for one request: unique enough to find it in the cloud's logs.
fn new_id() -> String {
    let (a, b): (u64, u64) = (rand::random(), rand::random());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

impl Inner {
    fn url(&self, request: &Request) -> Result<Url, Error> {
        let text = if request.address.contains("://") {
            request.address.clone()
        } else {
            format!(
                "{}{}",
                self.base.as_str().trim_end_matches('/'),
                request.address
            )
        };
        let mut url = Url::parse(&text).map_err(|fault| {
            Error::new(
                ErrorKind::Setup,
                format!("address {:?}: {fault}", redacted(&text)),
            )
        })?;
        if !self.is_own(&url) {
            return Err(Error::new(
                ErrorKind::Setup,
                format!(
                    "the cloud names {:?} as the place to ask, which is not part of the endpoint \
                     {}; no token is sent there",
                    redacted(&text),
                    self.base
                ),
            ));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    /// Whether `url` is of our endpoint: the same place, or over https a host below it.
    fn is_own(&self, url: &Url) -> bool {
        let same = url.origin() == self.base.origin();
        let below = match (url.host_str(), self.base.domain()) {
            (Some(host), Some(base)) => {
                url.scheme() == "https"
                    && host
                        .strip_suffix(base)
                        .is_some_and(|rest| rest.ends_with('.'))
            }
            _ => false,
        };
        same || below
    }

    async fn once(
        &self,
        request: &Request,
        url: &Url,
        own_id: Option<&str>,
        refused: Option<&Token>,
    ) -> Try {
        let token = match self.tokens.token(&self.clock, refused).await {
            Ok(token) => token,
            Err(fault) => {
                let error = Error::new(ErrorKind::Token, fault.message);
                return if fault.transient {
                    Try::Again {
                        error,
                        wait: None,
                        verdict: Verdict::NotTaken,
                    }
                } else {
                    Try::Final(error)
                };
            }
        };
        let mut headers = self.headers.clone();
        headers.extend(request.headers.clone());
        if let (Some(name), Some(id)) = (&self.request_id_header, own_id)
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert(name.clone(), id);
        }
        let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) else {
            let text = "the token contains characters that no header can carry";
            return Try::Final(Error::new(ErrorKind::Token, text));
        };
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        let mut call = self
            .http
            .request(request.method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = &request.body {
            call = call.json(body);
        }
        match call.send().await {
            Ok(response) => read(request, response, token).await,
            Err(fault) => no_answer(&fault),
        }
    }
}

/// What an answer that has begun to arrive means.
async fn read(request: &Request, response: reqwest::Response, token: Token) -> Try {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = match body::read(response).await {
        Body::Whole(bytes) => Some(bytes),
        Body::Endless if status.is_success() && request.class() == VerbClass::Read => {
            let text = format!(
                "the cloud answered {status} with more than {} MiB",
                body::MIB_MAX
            );
            let mut error = Error::new(ErrorKind::Malformed, text);
            error.detail().status = Some(status.as_u16());
            return Try::Final(error);
        }
        Body::Cut | Body::Endless => None,
    };
    let wait = retry_after(&headers);
    if status.is_success() {
        let json = match &body {
            Some(bytes) if bytes.is_empty() => Some(Value::Null),
            Some(bytes) => serde_json::from_slice(bytes).ok(),
            None => None,
        };
        let body = match json {
            Some(json) => json,
            // The write is done, and its headers tell of the operation: that is enough.
            None if request.class() != VerbClass::Read => Value::Null,
            None => {
                let mut error = Error::new(
                    ErrorKind::Malformed,
                    format!("the cloud answered {status} with a body that is cut or not JSON"),
                );
                error.detail().status = Some(status.as_u16());
                return Try::Again {
                    error,
                    wait,
                    verdict: Verdict::Unclear,
                };
            }
        };
        let request_id = crate::error::request_id(&headers);
        return Try::Done(Reply {
            status,
            headers,
            body,
            number: 0,
            request_id,
            may_have_been_received: false,
        });
    }
    let mut error = Error::answer(status, &headers, &body.unwrap_or_default());
    error.detail().retry_after = wait;
    if status == http::StatusCode::UNAUTHORIZED {
        return Try::Refused { token, error };
    }
    match verdict(status, error.code.as_deref()) {
        Verdict::Final => Try::Final(error),
        verdict => Try::Again {
            error,
            wait,
            verdict,
        },
    }
}

/// What a request without an answer means.
fn no_answer(fault: &reqwest::Error) -> Try {
    let mut text = "no answer".to_owned();
    let mut cause = fault.source();
    let mut untrusted = false;
    while let Some(it) = cause {
        // The outermost text carries the URL, which may be signed: only the causes are told.
        text = format!("{text}: {it}");
        let inner = it
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|it| it.downcast_ref::<rustls::Error>());
        untrusted |= tls
            .or_else(|| it.downcast_ref::<rustls::Error>())
            .is_some_and(|it| matches!(it, rustls::Error::InvalidCertificate(_)));
        cause = it.source();
    }
    if fault.is_builder() {
        return Try::Final(Error::new(ErrorKind::Setup, text));
    }
    if untrusted {
        text.push_str("; if this endpoint has an authority of its own, name its certificate file");
        return Try::Final(Error::new(ErrorKind::Connection, text));
    }
    let error = Error::new(ErrorKind::Connection, text);
    let verdict = if fault.is_connect() {
        Verdict::NotTaken
    } else {
        Verdict::Unclear
    };
    Try::Again {
        error,
        wait: None,
        verdict,
    }
}

impl Try {
    fn log(&self, number: u64, name: &str, tries: u32, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Done(reply) => {
                let (status, id) = (reply.status.as_u16(), reply.request_id.as_deref());
                debug!(number, tries, status, ms, request_id = id, "{name}");
            }
            Self::Again { error, .. } | Self::Refused { error, .. } | Self::Final(error) => {
                let (status, id) = (error.status, error.request_id.as_deref());
                let code = error.code.as_deref();
                info!(number, tries, status, code, ms, request_id = id, "{name}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Token, TokenError};

    struct Nobody;

    #[async_trait]
    impl TokenSource for Nobody {
        async fn token(&self) -> Result<Token, TokenError> {
            unreachable!("nothing is sent")
        }
    }

    #[track_caller]
    fn check_own(base: &str, own: &[&str], foreign: &[&str]) {
        let patience = Patience {
            request: Duration::ZERO,
            outage: Duration::ZERO,
        };
        let client = Client::builder(base, Clock::real(), Arc::new(Nobody), patience);
        let client = client.build().unwrap();
        let is_own = |url: &&&str| client.inner.is_own(&Url::parse(url).unwrap());
        assert_eq!(own.iter().find(|url| !is_own(url)), None, "{base}");
        assert_eq!(foreign.iter().find(is_own), None, "{base}");
    }

    #[test]
    fn a_token_is_for_the_endpoint_and_for_hosts_below_it_over_tls() {
        check_own(
            "https://management.azure.com",
            &[
                "https://management.azure.com/op",
                "https://MANAGEMENT.azure.com:443/op",
                "https://westeurope.management.azure.com/op",
            ],
            &[
                "http://management.azure.com/op",
                "http://westeurope.management.azure.com/op",
                "https://management.azure.com:8443/op",
                "https://azure.com/op",
                "https://evilmanagement.azure.com/op",
                "https://management.azure.com.evil.example/op",
                "https://management.azure.com@evil.example/op",
                "https://evil.example/management.azure.com",
                "https://.management.azure.com.evil.example/",
            ],
        );
        check_own(
            "http://127.0.0.1:5000",
            &["http://127.0.0.1:5000/op", "http://2130706433:5000/op"],
            &[
                "http://127.0.0.1:5001/op",
                "https://127.0.0.1:5000/op",
                "http://localhost:5000/op",
            ],
        );
    }
}
