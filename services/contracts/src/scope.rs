//! What an API key may do.

use std::str::FromStr;

use crate::http::words;

/// Something that an API key may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Make payments, and do all that can be done with them.
    PaymentsWrite,
    /// Read payments, events and how far endpoints were told of these.
    PaymentsRead,
    /// Read balances and movements.
    LedgerRead,
    /// Add, change and remove webhook endpoints, list them, and have events told again.
    WebhooksWrite,
    /// List webhook endpoints.
    WebhooksRead,
}

words!(Scope { PaymentsWrite "payments:write", PaymentsRead "payments:read", LedgerRead "ledger:read", WebhooksWrite "webhooks:write", WebhooksRead "webhooks:read", });

/// A text that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of payments:write, payments:read, ledger:read, webhooks:write and webhooks:read")]
pub struct NotAScope;

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [
        Self::PaymentsWrite,
        Self::PaymentsRead,
        Self::LedgerRead,
        Self::WebhooksWrite,
        Self::WebhooksRead,
    ];

    /// Whether a key with these scopes has it; words that this version does not know are passed over.
    ///
    /// Endpoints were listed by `webhooks:write` before there was another scope for it. That this goes
    /// on is decided here and written into no key: a version before finds each key as it knew it.
    pub fn is_among(self, scopes: &[String]) -> bool {
        let has = |scope: Self| scopes.iter().any(|word| word == scope.word());
        has(self) || self == Self::WebhooksRead && has(Self::WebhooksWrite)
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        Self::from_word(text).ok_or(NotAScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_scopes_and_who_changes_endpoints_may_list_them() {
        for given in Scope::ALL {
            let scopes = ["of:tomorrow", given.word()].map(str::to_owned);
            for wanted in Scope::ALL {
                let lists = (given, wanted) == (Scope::WebhooksWrite, Scope::WebhooksRead);
                let expected = given == wanted || lists;
                assert_eq!(wanted.is_among(&scopes), expected, "{wanted:?} {scopes:?}");
            }
        }
    }

    #[test]
    fn every_scope_is_read_as_it_is_written_and_named_to_who_writes_another_one() {
        for scope in Scope::ALL {
            assert_eq!(scope.word().parse(), Ok(scope));
            assert!(NotAScope.to_string().contains(scope.word()), "{scope:?}");
        }
        for other in ["", "payments", "Payments:Read", "payments:read "] {
            assert_eq!(other.parse::<Scope>(), Err(NotAScope), "{other}");
        }
    }
}
