//! Servers and operators.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use paymesh_beds::{Kubernetes, Postgres, Process, reserve_port};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{Api, Place};

/// Who the operator is.
const ACCOUNT: &str = "payments:paymesh-db-operator";
/// Who makes databases: no superuser, as on a managed server.
pub(crate) const ADMINISTRATOR: (&str, &str) = ("installer", "a-password-of-the-installer");
const READY_MAX: Duration = Duration::from_mins(1);

/// Both servers, with the resource's definition and without an operator.
pub struct World {
    /// PostgreSQL.
    pub postgres: Postgres,
    /// The API server.
    pub kubernetes: Kubernetes,
    folder: TempDir,
}

/// An operator's process.
pub struct Operator {
    /// The process; it is killed when dropped.
    pub process: Process,
    health: u16,
}

/// Looks until `look` gives a value; its errors say what was seen instead.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) => assert!(
                start.elapsed() < READY_MAX,
                "waited for {what}; last seen: {last}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

impl World {
    /// Starts both servers.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("paymesh")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder can be made");
        let place = folder.path().join("kubernetes");
        let kubernetes = std::thread::spawn(move || Kubernetes::start(&place, &[ACCOUNT]));
        let postgres = Postgres::start(&folder.path().join("postgres")).expect("PostgreSQL starts");
        let (name, password) = ADMINISTRATOR;
        let sql = format!("create role {name} login createdb createrole password '{password}'");
        postgres
            .sql("postgres", &sql)
            .expect("the administrator can be made");
        // What a server keeps of all that it was told.
        postgres
            .set("log_statement", "all")
            .expect("statements can be logged");
        let kubernetes = kubernetes
            .join()
            .expect("no panic")
            .expect("the API server starts");
        let world = Self {
            postgres,
            kubernetes,
            folder,
        };
        world.wait_for_api().await;
        world.install().await;
        world
    }

    /// Servers that the tests which run at the same time have together: each has a namespace of its
    /// own, and names of its own in PostgreSQL. They end with the last of these tests.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<World>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(Self::start().await);
        world.meet_operator().await;
        *shared = Arc::downgrade(&world);
        world
    }

    /// Lets an operator make its own database on the server, as with the first object there is.
    async fn meet_operator(&self) {
        let place = self.place("first").await;
        let _operator = self.operator(&place, "first", &[]);
        place.make(&place.database("first")).await;
        place.wait_until_ready("first").await;
    }

    /// A client of the API server; its connections end with the test that made it.
    pub fn api(&self) -> Api {
        let kubernetes = &self.kubernetes;
        Api::new(
            kubernetes.url(),
            kubernetes.token.clone(),
            &kubernetes.authority(),
        )
    }

    /// Waits until the API server takes requests.
    pub async fn wait_for_api(&self) {
        let api = self.api();
        until("the API server", async || api.is_ready().await).await;
    }

    async fn install(&self) {
        let api = self.api();
        let made = Self::manifest("database-crd.yaml").remove(0);
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (status, answer) = api.create(path, &made).await;
        assert_eq!(status, 201, "{answer}");
        until("the resource", async || {
            let (status, _) = api.get("/apis/paymesh.dev/v1alpha1/databases").await;
            (status == 200).then_some(()).ok_or(status.to_string())
        })
        .await;
    }

    /// The objects of a file that a cluster gets.
    fn manifest(file: &str) -> Vec<Value> {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gitops/payments/db-operator");
        let text = fs::read_to_string(folder.join(file)).expect("the repository has it");
        let parts = text.split("---\n").map(serde_saphyr::from_str);
        parts.map(|part| part.expect("it is YAML")).collect()
    }

    /// A new namespace with the administrator's Secret, in which the operator may do what its role
    /// says.
    pub async fn place(&self, name: &str) -> Place {
        let api = self.api();
        let namespace = json!({ "metadata": { "name": name } });
        let (status, answer) = api.create("/api/v1/namespaces", &namespace).await;
        assert_eq!(status, 201, "{answer}");
        for mut object in Self::manifest("rbac.yaml") {
            let path = match object["kind"].as_str() {
                Some("ServiceAccount") => continue,
                Some("Role") => "roles",
                _ => "rolebindings",
            };
            object["metadata"]["namespace"] = json!(name);
            let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/{path}");
            let (status, answer) = api.create(&path, &object).await;
            assert_eq!(status, 201, "{answer}");
        }
        let place = Place {
            api,
            namespace: name.to_owned(),
        };
        let port = self.postgres.port();
        place.make_server("admin", port, &json!({})).await;
        place
    }

    /// Starts an operator with a lease of its own, and more settings.
    pub fn operator(&self, place: &Place, lease: &str, settings: &[(&str, &str)]) -> Operator {
        let health = reserve_port().expect("a port is free");
        let kubeconfig = self.kubernetes.kubeconfig(ACCOUNT);
        let mut command = Command::new(program());
        command
            .env("KUBECONFIG", kubeconfig)
            .env("PAYMESH_NAMESPACE", &place.namespace)
            .env("PAYMESH_HEALTH_LISTEN", format!("127.0.0.1:{health}"))
            .env("PAYMESH_LEASE_NAME", lease)
            .env("PAYMESH_RESYNC_MS", "1000")
            .env("PAYMESH_RETRY_MS", "100")
            .env("PAYMESH_ROTATION_MIN_MS", "1000")
            .env("PAYMESH_LOG", "info,paymesh_db_operator=debug")
            .envs(settings.iter().copied());
        let log = self
            .folder
            .path()
            .join(format!("{}-{lease}.log", place.namespace));
        let process = Process::start("the operator", &mut command, &log);
        Operator {
            process: process.expect("the operator starts"),
            health,
        }
    }
}

fn program() -> PathBuf {
    let folder = std::env::var_os("PAYMESH_BIN_DIR").map_or_else(
        || {
            let this = std::env::current_exe().expect("a test has a path");
            this.ancestors()
                .nth(2)
                .expect("it is in target/PROFILE/deps")
                .to_owned()
        },
        PathBuf::from,
    );
    folder.join("paymesh-db-operator")
}

impl Operator {
    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> Result<(), String> {
        paymesh_beds::http_is_ready(self.health)
    }

    /// The writes that it made, in order.
    pub fn writes(&self) -> Vec<String> {
        let log = self.process.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter_map(|line| Some(line["write"].as_str()?.to_owned()))
            .collect()
    }

    /// Waits until it ended.
    pub async fn wait_until_ended(&mut self) -> String {
        let process = &mut self.process;
        until("the end of the operator", async || {
            process.ended().ok_or_else(|| process.log_end())
        })
        .await
    }
}
