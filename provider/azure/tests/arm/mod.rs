//! A resource manager in memory: keeps what is put, takes two polls for every operation, and
//! honours the conditions that AKS honours.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Method, Request, Response, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use paymesh_azure::Azure;
use paymesh_clock::Clock;
use paymesh_cloud::FixedToken;
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub(crate) struct Arm(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) base: String,
    /// Bodies by lower-case path.
    pub(crate) bodies: BTreeMap<String, Value>,
    /// Polls left, and what to do at the end, by operation.
    operations: BTreeMap<String, (u32, End)>,
    /// Writes, in order.
    pub(crate) writes: Vec<String>,
    /// What somebody else does just before the next write below a path, once.
    pub(crate) before_write: Option<(String, Change)>,
    /// The page of a list that is asked for; each has one entry.
    page: usize,
    /// Fields that are accepted and not kept, by JSON pointer.
    pub(crate) ignored: Vec<&'static str>,
    etags: u32,
}

pub(crate) type Change = fn(&mut Value);

#[derive(Clone)]
enum End {
    Settle(String),
    Remove(String),
    Power(String, &'static str),
}

impl Arm {
    pub(crate) async fn start() -> (Self, Azure) {
        let arm = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        arm.lock().base.clone_from(&base);
        let router = Router::new().fallback(serve).with_state(arm.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Clock::scaled(2000.0).unwrap();
        let azure = Azure::with_tokens(&base, clock, None, token("o-1")).unwrap();
        (arm, azure)
    }

    /// The same resource manager for somebody else.
    pub(crate) fn signed_in_as(&self, object: &str) -> Azure {
        let base = self.lock().base.clone();
        Azure::with_tokens(&base, Clock::scaled(2000.0).unwrap(), None, token(object)).unwrap()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn body(&self, path: &str) -> Option<Value> {
        self.lock().bodies.get(&path.to_ascii_lowercase()).cloned()
    }

    /// Takes the names of all writes since the last call, each with the last two parts of its path.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }
}

/// A token that says whom it was given to.
fn token(object: &str) -> Arc<FixedToken> {
    let claims = URL_SAFE_NO_PAD.encode(json!({"oid": object, "idtyp": "app"}).to_string());
    Arc::new(FixedToken(format!("e30.{claims}.s")))
}

async fn serve(State(arm): State<Arm>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let header = |name: &str| {
        head.headers
            .get(name)
            .map(|it| it.to_str().unwrap().to_owned())
    };
    let (if_match, if_none_match) = (header("if-match"), header("if-none-match"));
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default();
    let page = query.split("page=").nth(1).and_then(|it| it.parse().ok());
    arm.lock().page = page.unwrap_or(0);
    arm.lock()
        .answer(&head.method, &path, body, if_match, if_none_match.is_some())
}

impl Inner {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        body: Value,
        if_match: Option<String>,
        if_absent: bool,
    ) -> Response<Body> {
        let key = path.to_ascii_lowercase();
        if *method != Method::GET && !path.ends_with("Credential") {
            let parts: Vec<_> = path.rsplit('/').take(2).collect();
            self.writes
                .push(format!("{method} {}/{}", parts[1], parts[0]));
        }
        if *method == Method::PUT && self.before_write.as_ref().is_some_and(|it| it.0 == key) {
            let (_, change) = self.before_write.take().unwrap();
            change(self.bodies.get_mut(&key).unwrap());
            self.etags += 1;
            let etag = self.etags.to_string();
            let body = self.bodies.get_mut(&key).unwrap();
            let place = if key.contains("/agentpools/") {
                "/properties/eTag"
            } else {
                "/eTag"
            };
            *body.pointer_mut(place).unwrap() = etag.into();
        }
        let known = self.bodies.get(&key).cloned();
        match *method {
            Method::GET if key.starts_with("/op/") => self.poll(&key),
            Method::GET if key.ends_with("/agentpools") || key.ends_with("/resources") => {
                let parent = key.trim_end_matches("/resources");
                let inside = |it: &&String| {
                    let rest = it.strip_prefix(parent).filter(|rest| rest.starts_with('/'));
                    rest.is_some_and(|it| !it.contains("/agentpools/"))
                };
                let found: Vec<_> = self
                    .bodies
                    .iter()
                    .filter(|(it, _)| inside(it))
                    .map(|(_, it)| it)
                    .collect();
                let entries: Vec<_> = found.iter().skip(self.page).take(1).collect();
                let mut list = json!({"value": entries});
                if self.page + 1 < found.len() {
                    let next = format!("{}{path}?page={}", self.base, self.page + 1);
                    list["nextLink"] = next.into();
                }
                reply(200, &list, None)
            }
            Method::GET if key.ends_with("/roleassignments") => {
                let found: Vec<_> = self
                    .bodies
                    .iter()
                    .filter(|(it, _)| it.starts_with(&format!("{key}/")))
                    .map(|(_, it)| it)
                    .collect();
                reply(200, &json!({"value": found}), None)
            }
            Method::GET => match known {
                Some(body) => reply(200, &body, None),
                None => reply(
                    404,
                    &json!({"error": {"code": "ResourceNotFound", "message": "no"}}),
                    None,
                ),
            },
            Method::PUT => {
                let etag = known
                    .as_ref()
                    .and_then(|it| it["eTag"].as_str().or(it["properties"]["eTag"].as_str()));
                if (if_absent && known.is_some())
                    || if_match.is_some_and(|it| Some(it.as_str()) != etag)
                {
                    return reply(
                        412,
                        &json!({"code": "PreconditionFailed", "message": "etag"}),
                        None,
                    );
                }
                if let Some((scope, _)) = key.split_once("/providers/microsoft.authorization/")
                    && self.has_twin(scope, &key, &body)
                {
                    let error = json!({"code": "RoleAssignmentExists", "message": "exists"});
                    return reply(409, &json!({"error": error}), None);
                }
                let status = if known.is_some() { 200 } else { 201 };
                let poll = self.put(path, body);
                reply(status, &self.bodies[&key], poll)
            }
            Method::PATCH => {
                let mut known = known.expect("patched what does not exist");
                known["tags"] = body["tags"].clone();
                self.bodies.insert(key, known.clone());
                reply(200, &known, None)
            }
            Method::POST => {
                let (target, action) = key.rsplit_once('/').unwrap();
                let code = if action == "stop" {
                    "Stopped"
                } else {
                    "Running"
                };
                let poll = self.begin(End::Power(target.to_owned(), code));
                reply(202, &Value::Null, Some(poll))
            }
            Method::DELETE if known.is_none() => reply(204, &Value::Null, None),
            Method::DELETE if !slow(&key) && !key.ends_with("/rg") => {
                self.bodies.remove(&key);
                reply(200, &Value::Null, None)
            }
            Method::DELETE => {
                let poll = self.begin(End::Remove(key));
                reply(202, &Value::Null, Some(poll))
            }
            _ => panic!("{method} {path}"),
        }
    }

    fn has_twin(&self, scope: &str, key: &str, body: &Value) -> bool {
        let same =
            |other: &Value, name: &str| other["properties"][name] == body["properties"][name];
        let inside = |it: &str| {
            it != key && it.starts_with(&format!("{scope}/providers/microsoft.authorization/"))
        };
        let mut others = self.bodies.iter().filter(|(it, _)| inside(it));
        others.any(|(_, it)| same(it, "principalId") && same(it, "roleDefinitionId"))
    }

    fn put(&mut self, path: &str, mut body: Value) -> Option<String> {
        let key = path.to_ascii_lowercase();
        if let Some((scope, _)) = path.split_once("/providers/Microsoft.Authorization/") {
            body["properties"]["scope"] = scope.into();
        }
        for pointer in &self.ignored {
            let was = self
                .bodies
                .get(&key)
                .and_then(|it| it.pointer(pointer))
                .cloned();
            if let (Some(was), Some(place)) = (was, body.pointer_mut(pointer)) {
                *place = was;
            }
        }
        let name = path.rsplit('/').next().unwrap();
        self.etags += 1;
        body["id"] = path.into();
        body["name"] = name.into();
        let slow = slow(&key);
        if key.contains("/userassignedidentities/") {
            body["properties"] = json!({"principalId": "p-1", "clientId": "c-1"});
        }
        if key.contains("/agentpools/") {
            body["properties"]["eTag"] = self.etags.to_string().into();
            let (cluster, _) = key.split_once("/agentpools").unwrap();
            if body["properties"]["orchestratorVersion"].is_null() {
                body["properties"]["orchestratorVersion"] =
                    self.bodies[cluster]["properties"]["currentKubernetesVersion"].clone();
            }
            let wanted = body["properties"]["orchestratorVersion"].clone();
            body["properties"]["currentOrchestratorVersion"] = wanted;
        } else if slow {
            body["eTag"] = self.etags.to_string().into();
            let properties = &mut body["properties"];
            let version = properties["kubernetesVersion"].as_str().unwrap().to_owned();
            let full = if version.matches('.').count() == 1 {
                version + ".1"
            } else {
                version
            };
            properties["currentKubernetesVersion"] = full.into();
            properties["powerState"] = json!({"code": "Running"});
            properties["resourceUID"] = "uid-1".into();
            let pools = properties["agentPoolProfiles"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            for mut pool in pools {
                let path = format!("{path}/agentPools/{}", pool["name"].as_str().unwrap());
                if !self.bodies.contains_key(&path.to_ascii_lowercase()) {
                    pool.as_object_mut().unwrap().remove("name");
                    self.bodies.insert(key.clone(), body.clone());
                    self.put(&path, json!({"properties": pool}));
                    let pool = self.bodies.get_mut(&path.to_ascii_lowercase()).unwrap();
                    pool["properties"]["provisioningState"] = "Succeeded".into();
                }
            }
        }
        body["properties"]["provisioningState"] =
            if slow { "Creating" } else { "Succeeded" }.into();
        self.bodies.insert(key.clone(), body);
        slow.then(|| self.begin(End::Settle(key)))
    }

    fn begin(&mut self, end: End) -> String {
        let path = format!("/op/{}", self.operations.len());
        self.operations.insert(path.clone(), (2, end));
        format!("{}{path}?t=1&s=signed", self.base)
    }

    fn poll(&mut self, key: &str) -> Response<Body> {
        let (left, end) = self.operations.get_mut(key).unwrap();
        *left = left.saturating_sub(1);
        if *left > 0 {
            return reply(200, &json!({"status": "InProgress"}), None);
        }
        match end.clone() {
            End::Settle(path) => {
                self.bodies.get_mut(&path).unwrap()["properties"]["provisioningState"] =
                    "Succeeded".into();
                self.mirror_pools(&path);
            }
            End::Remove(path) => {
                self.bodies.retain(|it, _| !it.starts_with(&path));
                self.mirror_pools(&path);
            }
            End::Power(path, code) => {
                self.bodies.get_mut(&path).unwrap()["properties"]["powerState"]["code"] =
                    code.into();
            }
        }
        reply(200, &json!({"status": "Succeeded"}), None)
    }

    /// Shows the pools of the cluster around `path` in its profiles.
    fn mirror_pools(&mut self, path: &str) {
        let cluster = path.split("/agentpools").next().unwrap().to_owned();
        let prefix = format!("{cluster}/agentpools/");
        let profiles: Vec<_> = self
            .bodies
            .iter()
            .filter(|(it, _)| it.starts_with(&prefix))
            .map(|(_, pool)| {
                let mut profile = pool["properties"].clone();
                profile["name"] = pool["name"].clone();
                profile
            })
            .collect();
        if let Some(body) = self
            .bodies
            .get_mut(&cluster)
            .filter(|_| cluster.contains("managedcl"))
        {
            body["properties"]["agentPoolProfiles"] = profiles.into();
        }
    }
}

/// Whether writes to `path` take time.
fn slow(path: &str) -> bool {
    path.contains("managedclusters") && !path.contains("roleassignments")
}

fn reply(status: u16, body: &Value, poll: Option<String>) -> Response<Body> {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(poll) = poll {
        response
            .headers_mut()
            .insert("azure-asyncoperation", poll.parse().unwrap());
    }
    response
}
