//! Who runs this: read from the token, which says so to whoever holds it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use paymesh_cloud::{Error, ErrorKind};
use serde_json::Value;

use crate::{Azure, Principal, json::text};

/// The directory object that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Its object id.
    pub object_id: String,
    /// `User` or `ServicePrincipal`.
    pub kind: String,
}

impl SignedIn {
    /// The same as somebody to give a role to.
    pub fn principal(&self) -> Principal {
        Principal::Known {
            id: self.object_id.clone(),
            kind: self.kind.clone(),
        }
    }

    fn read(token: &str) -> Option<Self> {
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        // `idtyp` is sent to applications that ask for it; a user's token always has a scope.
        let is_app = match text(&claims, "/idtyp") {
            Some(kind) => kind == "app",
            None => text(&claims, "/scp").is_none(),
        };
        let kind = if is_app { "ServicePrincipal" } else { "User" };
        Some(Self {
            object_id: text(&claims, "/oid")?.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

impl Azure {
    /// Who is signed in.
    pub async fn signed_in(&self) -> Result<SignedIn, Error> {
        let token = self.client().token().await?;
        SignedIn::read(token.reveal()).ok_or_else(|| {
            let text = "the Azure token does not say whom it was given to (no claim oid)";
            Error::new(ErrorKind::Token, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_read(claims: &str, expected: Option<(&str, &str)>) {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let read = SignedIn::read(&token).map(|it| (it.object_id, it.kind));
        assert_eq!(
            read,
            expected.map(|(id, kind)| (id.to_owned(), kind.to_owned()))
        );
    }

    #[test]
    fn the_token_tells_users_from_applications() {
        check_read(
            r#"{"oid":"a","scp":"user_impersonation"}"#,
            Some(("a", "User")),
        );
        check_read(
            r#"{"oid":"b","idtyp":"app"}"#,
            Some(("b", "ServicePrincipal")),
        );
        check_read(r#"{"oid":"c"}"#, Some(("c", "ServicePrincipal")));
        check_read("{}", None);
        assert_eq!(SignedIn::read("opaque"), None);
    }
}
