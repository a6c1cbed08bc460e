//! Bearer tokens: had just in time, renewed before they end, renewed once more after a 401.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use paymesh_clock::{Clock, Moment};
use tokio::sync::Mutex;

/// A token is renewed when less than this of its life is left (or a tenth, if that is shorter).
const MARGIN: Duration = Duration::from_mins(5);

/// A bearer token. It never prints.
#[derive(Clone)]
pub struct Token {
    value: Arc<str>,
    lifetime: Option<Duration>,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub struct TokenError {
    /// What happened and what to do; never a secret.
    pub message: String,
    /// Whether another try may help: the issuer was away, or said to wait.
    pub transient: bool,
}

/// Where tokens come from. Asked anew for each token, so a source must not remember tokens, and
/// re-reads whatever it proves itself with.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A new token.
    async fn token(&self) -> Result<Token, TokenError>;
}

/// A source that always returns the same token: for servers that check none.
pub struct FixedToken(pub String);

pub(crate) struct TokenCache {
    source: Arc<dyn TokenSource>,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: Token,
    until: Option<Moment>,
}

impl Token {
    /// A token that the issuer gave `lifetime` from now on; without one it is used until refused.
    pub fn new(value: impl Into<Arc<str>>, lifetime: Option<Duration>) -> Self {
        Self {
            value: value.into(),
            lifetime,
        }
    }

    /// The secret itself, for the authorization header.
    pub fn reveal(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TokenError {}

#[async_trait]
impl TokenSource for FixedToken {
    async fn token(&self) -> Result<Token, TokenError> {
        Ok(Token::new(self.0.as_str(), None))
    }
}

impl TokenCache {
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self {
            source,
            held: Mutex::new(None),
        }
    }

    /// A token good for a while. `refused` is the token that just earned a 401, if any: it is
    /// replaced unless somebody else has replaced it meanwhile.
    pub(crate) async fn token(
        &self,
        clock: &Clock,
        refused: Option<&Token>,
    ) -> Result<Token, TokenError> {
        let mut held = self.held.lock().await;
        if let Some(it) = &*held {
            let ended = it.until.is_some_and(|until| clock.now() >= until);
            let refused = refused.is_some_and(|old| Arc::ptr_eq(&old.value, &it.token.value));
            if !ended && !refused {
                return Ok(it.token.clone());
            }
        }
        // The life counts from before the request: the answer may have been slow.
        let asked = clock.now();
        let token = self.source.token().await?;
        let until = token
            .lifetime
            .map(|life| asked + life.saturating_sub(MARGIN.min(life / 10)));
        *held = Some(Held {
            token: token.clone(),
            until,
        });
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Counting(AtomicU32);

    #[async_trait]
    impl TokenSource for Counting {
        async fn token(&self) -> Result<Token, TokenError> {
            let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Token::new(
                format!("t{count}"),
                Some(Duration::from_hours(1)),
            ))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_shortly_before_it_ends_and_once_when_refused() {
        let clock = Clock::real();
        let cache = TokenCache::new(Arc::new(Counting(AtomicU32::new(0))));
        let first = cache.token(&clock, None).await.unwrap();
        clock.sleep(Duration::from_mins(54)).await;
        assert_eq!(cache.token(&clock, None).await.unwrap().reveal(), "t1");
        clock.sleep(Duration::from_mins(2)).await;
        let second = cache.token(&clock, None).await.unwrap();
        assert_eq!(second.reveal(), "t2");
        // Two requests got a 401 for the same token: one renewal serves both.
        assert_eq!(
            cache.token(&clock, Some(&second)).await.unwrap().reveal(),
            "t3"
        );
        assert_eq!(
            cache.token(&clock, Some(&second)).await.unwrap().reveal(),
            "t3"
        );
        assert_eq!(
            cache.token(&clock, Some(&first)).await.unwrap().reveal(),
            "t3"
        );
    }

    #[test]
    fn a_token_never_prints() {
        assert!(!format!("{:?}", Token::new("canary", None)).contains("canary"));
    }
}
