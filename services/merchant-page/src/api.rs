//! payment-api, asked with a merchant's own key.

use std::{fmt, time::Duration};

use paymesh_contracts::{ErrorBody, Scope};
use reqwest::{Certificate, Client, Response, StatusCode, header::RETRY_AFTER, redirect::Policy};
use serde::de::DeserializeOwned;
use url::Url;

use crate::sign_in::{Key, Refused};

/// How long payment-api has for an answer. It does not wait for anything when it is only asked.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a connection to it may take.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// After how many seconds to try again if nobody says it: the script's own pace.
const AGAIN_SECONDS: u64 = 5;

/// payment-api.
pub struct Api {
    client: Client,
    /// Without a slash at its end.
    base: String,
}

/// What payment-api answered, or why it is not there.
pub(crate) type Part<T> = Result<T, Lack>;

/// Why something is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// The key has not the scope that this takes, where that is known.
    Scope(Option<Scope>),
    /// There is no such thing, or it is another merchant's.
    Nothing,
    /// Too much was asked of it; after how many seconds to try again.
    Busy(u64),
    /// It cannot answer now; after how many seconds to try again.
    Away(u64),
    /// It did not answer at all.
    Silent,
    /// It answered something that nobody can do anything about here.
    Strange(u16),
    /// Its answer is of no shape that is known here.
    Unreadable,
}

impl Lack {
    /// How a page ends whose main part this is.
    pub(crate) fn outcome(&self) -> Outcome {
        let again_seconds = match self {
            Self::Busy(seconds) | Self::Away(seconds) => Some(*seconds),
            Self::Silent => Some(AGAIN_SECONDS),
            _ => None,
        };
        let status = match self {
            Self::Scope(_) => StatusCode::FORBIDDEN,
            Self::Nothing => StatusCode::NOT_FOUND,
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Away(_) | Self::Silent => StatusCode::SERVICE_UNAVAILABLE,
            Self::Strange(_) | Self::Unreadable => StatusCode::BAD_GATEWAY,
        };
        Outcome {
            status,
            again_seconds,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = |out: &mut fmt::Formatter<'_>, seconds: u64| match seconds {
            1 => out.write_str("Try again in 1 second."),
            _ => write!(out, "Try again in {seconds} seconds."),
        };
        match self {
            Self::Scope(None) => out.write_str("Your API key may not read this."),
            Self::Scope(Some(scope)) => write!(
                out,
                "Your API key may not read this: it has not the scope {}.",
                scope.word()
            ),
            Self::Nothing => out.write_str("There is no such thing, or it is not yours."),
            Self::Busy(seconds) => {
                out.write_str("These were more requests than payment-api takes of you at once. ")?;
                again(out, *seconds)
            }
            Self::Away(seconds) => {
                out.write_str("payment-api cannot answer now. ")?;
                again(out, *seconds)
            }
            Self::Silent => {
                out.write_str("payment-api does not answer. Try again in a few seconds.")
            }
            Self::Strange(status) => write!(
                out,
                "payment-api answered with the status {status}. If it stays, tell whoever runs it."
            ),
            Self::Unreadable => out.write_str(
                "payment-api answered what this page cannot read; it may be of another version.",
            ),
        }
    }
}

/// How a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Its status.
    pub(crate) status: StatusCode,
    /// After how many seconds to look again, if it may be another then.
    pub(crate) again_seconds: Option<u64>,
}

impl From<StatusCode> for Outcome {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            again_seconds: None,
        }
    }
}

/// How a page ends whose main part this is.
pub(crate) fn outcome_of<T>(part: &Part<T>) -> Outcome {
    match part {
        Ok(_) => StatusCode::OK.into(),
        Err(lack) => lack.outcome(),
    }
}

impl Api {
    /// payment-api at an address. Of it these authorities are believed, or those of the machine if
    /// there are none.
    pub fn new(base: &Url, authorities: Vec<Certificate>) -> reqwest::Result<Self> {
        let mut client = Client::builder()
            .timeout(ANSWER_MAX)
            .connect_timeout(CONNECT_MAX)
            // A key goes nowhere but where the operator said.
            .redirect(Policy::none())
            .no_proxy();
        if !authorities.is_empty() {
            client = client.tls_certs_only(authorities);
        }
        Ok(Self {
            client: client.build()?,
            base: base.as_str().trim_end_matches('/').to_owned(),
        })
    }

    /// What it says at an address, which begins with a slash, to who has this key.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        key: &Key,
        address: &str,
    ) -> Result<Part<T>, Refused> {
        let request = self.client.get(format!("{}{address}", self.base));
        let answer = match request.bearer_auth(key.expose()).send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(silent(&error))),
        };
        match answer.status() {
            StatusCode::OK => Ok(answer.json().await.map_err(|error| {
                if error.is_decode() {
                    // Not what it says: it quotes what it read.
                    tracing::warn!("payment-api answered something that cannot be read");
                    Lack::Unreadable
                } else {
                    silent(&error)
                }
            })),
            StatusCode::UNAUTHORIZED => Err(Refused),
            _ => Ok(Err(lack(answer).await)),
        }
    }
}

/// Why no answer came, for the log without the address, which names what somebody looks at.
fn silent(error: &reqwest::Error) -> Lack {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer broke off"
    };
    tracing::warn!(reason, "payment-api does not answer");
    Lack::Silent
}

/// What another answer than the wanted one means.
async fn lack(answer: Response) -> Lack {
    let seconds = answer.headers().get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    let seconds = seconds.unwrap_or(1);
    match answer.status() {
        StatusCode::FORBIDDEN => {
            let body = answer.json::<ErrorBody>().await.ok();
            let param = body.and_then(|body| body.error.param);
            // Of what it says no other word is shown.
            Lack::Scope(param.and_then(|param| Scope::from_word(&param)))
        }
        StatusCode::NOT_FOUND => Lack::Nothing,
        StatusCode::TOO_MANY_REQUESTS => Lack::Busy(seconds),
        StatusCode::SERVICE_UNAVAILABLE => Lack::Away(seconds),
        status => Lack::Strange(status.as_u16()),
    }
}
