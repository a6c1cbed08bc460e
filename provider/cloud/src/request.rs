//! One request and its answer.

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;

/// The verb classes clouds throttle by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VerbClass {
    /// GET, HEAD.
    Read,
    /// PUT, PATCH, POST.
    Write,
    /// DELETE.
    Delete,
}

/// A request, to be sent by [`crate::Client::send`].
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) address: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Value>,
    pub(crate) api: &'static str,
    pub(crate) shared: bool,
    pub(crate) reading: bool,
}

/// The answer to a [`Request`], always with a success status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// The JSON body; null if there was none.
    pub body: Value,
    /// Number of the request within this process.
    pub number: u64,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// An earlier try may have been received: the answer may be that of a second write.
    pub may_have_been_received: bool,
}

impl Request {
    /// A request to `address`: a path below the client's endpoint, or a whole URL that the cloud
    /// handed out, which is then sent byte for byte.
    pub fn new(method: Method, address: impl Into<String>) -> Self {
        Self {
            method,
            address: address.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            api: "",
            shared: false,
            reading: false,
        }
    }

    /// A read.
    pub fn get(address: impl Into<String>) -> Self {
        Self::new(Method::GET, address)
    }

    /// A create, or a replacement of the whole object.
    pub fn put(address: impl Into<String>, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::PUT, address)
        }
    }

    /// A change of the named fields.
    pub fn patch(address: impl Into<String>, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::PATCH, address)
        }
    }

    /// A create in a collection, or an action; a null body is not sent.
    pub fn post(address: impl Into<String>, body: Value) -> Self {
        Self {
            body: (!body.is_null()).then_some(body),
            ..Self::new(Method::POST, address)
        }
    }

    /// A delete.
    pub fn delete(address: impl Into<String>) -> Self {
        Self::new(Method::DELETE, address)
    }

    /// Adds `key=value` to the query.
    #[must_use]
    pub fn query(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Writes only if nothing of that name exists.
    #[must_use]
    pub fn if_absent(self) -> Self {
        #[cfg(feature = "seeded-bugs")]
        if std::env::var("PAYMESH_SEEDED_BUG").is_ok_and(|bug| bug == "no_conditional_create") {
            return self;
        }
        self.header("if-none-match", "*")
    }

    /// Writes only if the object still has this etag.
    #[must_use]
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// The API whose throttle budget pays for the request.
    #[must_use]
    pub fn api(mut self, api: &'static str) -> Self {
        self.api = api;
        self
    }

    /// A read that may be answered by an equal read of the same run, as long as the run has
    /// written nothing. Reads are fresh unless this is said.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// A POST that changes nothing: it may be repeated, and ends no sharing.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.reading = true;
        self
    }

    pub(crate) fn class(&self) -> VerbClass {
        match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS => VerbClass::Read,
            Method::POST if self.reading => VerbClass::Read,
            Method::DELETE => VerbClass::Delete,
            _ => VerbClass::Write,
        }
    }

    /// The path of the address, without scheme, host and query.
    pub fn path(&self) -> &str {
        let rest = match self.address.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => &self.address,
        };
        rest.split('?').next().unwrap_or_default()
    }
}

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
