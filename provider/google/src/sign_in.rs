//! Signing in within a limit: who has no credentials is told so, instead of waiting for a metadata
//! server that is not there.
//!
//! The limit is of the first token. Once there was one, the credentials are good, and who renews it
//! is as patient with the issuer as with any other answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use paymesh_clock::{Clock, Moment};
use paymesh_cloud::{Token, TokenError, TokenSource};
use paymesh_engine::async_trait;

use crate::credentials::LOG_IN;

/// How long it may take, on the machine's clock.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a refusal stands for all who ask, on the machine's clock.
const REST: Duration = Duration::from_mins(1);

/// Another source, within the limit. The APIs share it.
pub(crate) struct SignIn {
    source: Arc<dyn TokenSource>,
    clock: Clock,
    tries: Mutex<Tries>,
}

#[derive(Default)]
struct Tries {
    was_in: bool,
    /// When the first try began that has not ended well.
    since: Option<Moment>,
    /// What was said last, and when.
    last: Option<(Moment, String)>,
}

impl SignIn {
    pub(crate) fn new(source: Arc<dyn TokenSource>, clock: Clock) -> Self {
        Self {
            source,
            clock,
            tries: Mutex::default(),
        }
    }

    /// How long a try that begins now may take, or why there is none.
    fn begin(&self) -> Result<Duration, TokenError> {
        let [limit, rest] = [LIMIT, REST].map(|it| self.clock.of_the_machine(it));
        let now = self.clock.now();
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.was_in {
            return Ok(limit);
        }
        let left = limit.saturating_sub(now.since(*tries.since.get_or_insert(now)));
        match &tries.last {
            Some((told, message)) if left.is_zero() => {
                if now.since(*told) < rest {
                    return Err(refusal(message.clone()));
                }
                *tries = Tries {
                    since: Some(now),
                    ..Tries::default()
                };
                Ok(limit)
            }
            _ => Ok(left),
        }
    }

    /// Notes how a try ended. The last one within the limit is final.
    fn end(&self, outcome: Result<Token, TokenError>) -> Result<Token, TokenError> {
        let now = self.clock.now();
        let limit = self.clock.of_the_machine(LIMIT);
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = &outcome else {
            *tries = Tries {
                was_in: true,
                ..Tries::default()
            };
            return outcome;
        };
        if tries.was_in || !error.transient {
            return outcome;
        }
        tries.last = Some((now, error.message.clone()));
        if tries.since.is_some_and(|since| now.since(since) >= limit) {
            return Err(refusal(error.message.clone()));
        }
        outcome
    }
}

fn refusal(message: String) -> TokenError {
    TokenError {
        message,
        transient: false,
    }
}

#[async_trait]
impl TokenSource for SignIn {
    async fn token(&self) -> Result<Token, TokenError> {
        let left = self.begin()?;
        let asked = self.clock.timeout(left, self.source.token()).await;
        self.end(asked.unwrap_or_else(|_| {
            Err(TokenError {
                message: format!(
                    "no Google access token: where the credentials say that it is to be had, \
                     nothing answered within {} s. {LOG_IN}",
                    LIMIT.as_secs()
                ),
                transient: true,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Credentials;

    /// Asks for a token by a login whose issuer is at `port` until the answer is final; how long that
    /// took and what was said.
    async fn signed_in(port: u16) -> (SignIn, Duration, String) {
        let login = json!({
            "type": "authorized_user", "client_id": "gcloud", "client_secret": "canary",
            "refresh_token": "canary", "token_uri": format!("http://127.0.0.1:{port}/token"),
        });
        let clock = Clock::real();
        let source = Arc::new(Credentials::Text(login.to_string().into()));
        let sign_in = SignIn::new(source, clock.clone());
        let began = clock.now();
        loop {
            let error = sign_in.token().await.unwrap_err();
            if !error.transient {
                let took = clock.now().since(began);
                return (sign_in, took, error.message);
            }
            clock.sleep(Duration::from_secs(4)).await;
        }
    }

    async fn check_gives_up(port: u16) {
        let (sign_in, took, message) = signed_in(port).await;
        assert!(took <= LIMIT + Duration::from_secs(4), "{took:?}");
        assert!(
            message.contains("gcloud auth application-default login"),
            "{message}"
        );
        assert!(!message.contains("canary"), "{message}");
        let began = sign_in.clock.now();
        let again = sign_in.token().await.unwrap_err();
        assert_eq!((again.message, again.transient), (message, false));
        assert_eq!(sign_in.clock.now().since(began), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_answer_is_told_within_the_limit() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        check_gives_up(silent.local_addr().unwrap().port()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_turned_away_is_told_within_the_limit() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = gone.local_addr().unwrap().port();
        drop(gone);
        check_gives_up(port).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_forgotten_after_a_while() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sign_in, ..) = signed_in(silent.local_addr().unwrap().port()).await;
        sign_in.clock.sleep(REST).await;
        let began = sign_in.clock.now();
        assert!(sign_in.token().await.is_err());
        assert!(sign_in.clock.now().since(began) >= LIMIT);
    }
}
