//! Whether a caller may call a method: asked before each call, in front of every service.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{Request, Response};
use metrics::{counter, describe_counter};
use paymesh_contracts::callers::{Service as Name, row};
use tokio_util::either::Either;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{connection::Caller, files::Renewed, identity::Identity, mutual::Mutual};

const REFUSED: &str = "paymesh_grpc_calls_refused_total";
/// Who has shown no certificate.
const UNKNOWN: &str = "somebody without an identity";

/// Puts a [`Guard`] in front of services.
#[derive(Clone)]
pub(crate) struct Guards(Option<Renewed<Mutual>>);

impl Guards {
    /// Guards for a server of this identity; without one it is only reached from this machine.
    pub(crate) fn of(ours: Option<Renewed<Mutual>>) -> Self {
        describe_counter!(
            REFUSED,
            "Calls that were refused because the caller may not make them"
        );
        Self(ours)
    }
}

impl<S> Layer<S> for Guards {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            ours: self.0.clone(),
        }
    }
}

/// Lets a call pass only if the table of callers says so.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    ours: Option<Renewed<Mutual>>,
}

impl<S: Service<Request<Body>, Response = Response<Body>>> Service<Request<Body>> for Guard<S> {
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ours = self.ours.as_ref().map(Renewed::now);
        let ours = ours.as_ref().map(|mutual| &mutual.identity);
        match judge(ours, request.extensions().get(), request.uri().path()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

/// Whether `caller` may call the method at `path` of a server that is `ours`.
fn judge(ours: Option<&Identity>, caller: Option<&Caller>, path: &str) -> Result<(), Status> {
    let row = row(path);
    let who = match (ours, caller) {
        (None, Some(Caller::Local)) => None,
        (Some(_), Some(Caller::Peer(Some(identity)))) => Some(identity),
        _ => return Err(refused(UNKNOWN, "other", row.map(|row| row.0))),
    };
    let name = who.and_then(|identity| {
        let is_near = ours.is_some_and(|ours| ours.is_near(identity));
        is_near.then(|| Name::from_name(identity.service()))?
    });
    let may = match (row, who, name) {
        (None, ..) | (_, Some(_), None) => false,
        (Some(_), None, _) => true,
        (Some((_, callers)), Some(_), Some(name)) => callers.contains(&name),
    };
    if may {
        return Ok(());
    }
    let who = who.map_or_else(|| UNKNOWN.to_owned(), Identity::to_string);
    Err(refused(
        &who,
        name.map_or("other", Name::name),
        row.map(|row| row.0),
    ))
}

/// Counts and tells a refusal. What has no row is not named: its name is the caller's.
fn refused(who: &str, label: &'static str, method: Option<&'static str>) -> Status {
    counter!(REFUSED, "caller" => label, "method" => method.unwrap_or("other")).increment(1);
    let text = match method {
        Some(method) => format!("{who} may not call {}", method.trim_start_matches('/')),
        None => format!("{who} called a method that nobody may call"),
    };
    tracing::warn!(caller = who, method, "a call is refused");
    Status::permission_denied(text)
}

#[cfg(test)]
mod tests {
    use paymesh_contracts::callers::CALLERS;
    use tonic::Code;

    use super::*;

    const PULL: &str = "/paymesh.persistence.v1.Queue/Pull";

    fn identity(text: &str) -> Identity {
        text.parse().unwrap()
    }

    fn check(caller: &Caller, path: &str, refusal: Option<&str>) {
        let ours = identity("spiffe://pay.example/db-controller");
        let judged = judge(Some(&ours), Some(caller), path);
        let said = judged.as_ref().err().map(Status::message);
        assert_eq!(said, refusal, "{caller:?} {path}");
        let code = judged.err().map(|status| status.code());
        assert_eq!(code, refusal.map(|_| Code::PermissionDenied));
    }

    fn peer(text: &str) -> Caller {
        Caller::Peer(Some(identity(text)))
    }

    #[test]
    fn each_method_is_open_to_those_of_its_row_and_to_nobody_else() {
        for name in Name::ALL {
            let who = format!("spiffe://pay.example/{}", name.name());
            for (path, callers) in CALLERS {
                let method = path.trim_start_matches('/');
                let text = format!("{who} may not call {method}");
                let refusal = (!callers.contains(&name)).then_some(text.as_str());
                check(&peer(&who), path, refusal);
            }
        }
    }

    #[test]
    fn a_service_of_another_domain_is_a_stranger() {
        let method = "paymesh.persistence.v1.Queue/Pull";
        for who in [
            "spiffe://other.example/payment-processor",
            "spiffe://pay.example/somebody",
        ] {
            check(
                &peer(who),
                PULL,
                Some(&format!("{who} may not call {method}")),
            );
        }
        let text = format!("{UNKNOWN} may not call {method}");
        check(&Caller::Peer(None), PULL, Some(&text));
        check(&Caller::Local, PULL, Some(&text));
    }

    #[test]
    fn what_has_no_row_is_nobodys_whoever_calls() {
        let who = "spiffe://pay.example/payment-processor";
        let text = format!("{who} called a method that nobody may call");
        for path in [
            "/paymesh.persistence.v1.Queue/Pull/",
            "//paymesh.persistence.v1.Queue/Pull",
            "/paymesh.persistence.v1.Queue/pull",
            "/paymesh.persistence.v1.Queue/%50ull",
            "/",
            "",
        ] {
            check(&peer(who), path, Some(&text));
        }
        let local = judge(None, Some(&Caller::Local), "/");
        assert_eq!(local.unwrap_err().code(), Code::PermissionDenied);
    }

    #[test]
    fn on_this_machine_nobody_is_asked_who_they_are_unless_there_is_tls() {
        assert!(judge(None, Some(&Caller::Local), PULL).is_ok());
        assert!(judge(None, None, PULL).is_err());
    }
}
