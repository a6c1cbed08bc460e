//! Every way to sign in, through the variables that select it, against local endpoints.
//!
//! A process reads its variables once and for all, so each case runs [`a_process_that_signs_in`]
//! in a process of its own. What it logs, and what the libraries below it log, holds no secret.

use std::{
    collections::BTreeMap,
    env, fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use expect_test::{Expect, expect};
use paymesh_azure::{Azure, AzureSettings, Credential, Sovereign};
use paymesh_clock::Clock;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const TENANT: &str = "7c0a1c5e-5f0e-4a51-9b7e-2f3c5a6d7e01";

/// How every secret, every assertion and every token here can be known.
const SECRETS: [&str; 2] = ["canary", "assertion-of-"];

/// Connections that are encrypted: nobody hands credentials to others.
struct Tls {
    plain: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// Listens, and tells the certificate to trust.
    async fn listen() -> (Self, String) {
        install_crypto();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let params = rcgen::CertificateParams::new(names).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self { plain, acceptor }, certificate.pem())
    }
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.plain.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.plain.local_addr()
    }
}

fn install_crypto() {
    // Another test of the process may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Entra, an issuer of assertions, and a machine's identity endpoint.
#[derive(Clone, Default)]
struct Endpoints(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    asked: Vec<String>,
    refusal: Option<(&'static str, &'static str)>,
}

struct Case {
    endpoints: Endpoints,
    base: String,
    folder: TempDir,
}

impl Case {
    async fn new() -> Self {
        let endpoints = Endpoints::default();
        let (listener, authority) = Tls::listen().await;
        let base = format!("https://{}", listener.plain.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(endpoints.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), authority).unwrap();
        Self {
            endpoints,
            base,
            folder,
        }
    }

    /// Entra refuses everybody with this code.
    async fn refusing(code: &'static str, text: &'static str) -> Self {
        let case = Self::new().await;
        case.endpoints.0.lock().unwrap().refusal = Some((code, text));
        case
    }

    /// A file with this content.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Signs in with these variables, and tells who was asked and what came of it.
    async fn check(&self, variables: &[(&str, &str)], expected: &Expect) {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "a_process_that_signs_in", "--nocapture"])
            .env_clear()
            .env("PAYMESH_SIGN_IN", &self.base)
            .env("PAYMESH_SIGN_IN_CA", self.folder.path().join("ca.pem"))
            .env("PATH", self.folder.path())
            .envs(variables.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let [output, log] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(log.contains("the log begins"), "nothing is logged: {log}");
        let outcome = output.lines().find_map(|line| line.split_once("=> "));
        let said = outcome.map_or(&*output, |(_, it)| it);
        for secret in SECRETS {
            assert!(!log.contains(secret), "{secret} is logged: {log}");
            assert!(!said.contains(secret), "{secret} is printed: {said}");
        }
        let mut told = std::mem::take(&mut self.endpoints.0.lock().unwrap().asked);
        told.push(said.to_owned());
        let told = told.join("\n").replace(&self.base, "$BASE");
        expected.assert_eq(&told.replace(self.folder.path().to_str().unwrap(), "$FOLDER"));
    }
}

#[tokio::test]
async fn a_process_that_signs_in() {
    let Ok(base) = env::var("PAYMESH_SIGN_IN") else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    tracing::trace!("the log begins");
    install_crypto();
    let azure = Azure::connect(AzureSettings {
        sovereign: Sovereign::Public,
        endpoint: Some(base.clone()),
        authority: Some(base),
        extra_ca: Some(fs::read(env::var("PAYMESH_SIGN_IN_CA").unwrap()).unwrap()),
        credential: Credential::usual(Some(TENANT)),
        clock: Clock::real(),
    })
    .unwrap();
    match azure.signed_in().await {
        Ok(who) => println!("=> {} {}", who.kind, who.object_id),
        Err(error) => println!("=> {error}"),
    }
}

async fn serve(State(endpoints): State<Endpoints>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let header = |name: &str| head.headers.get(name).map(|it| it.to_str().unwrap());
    let mut inner = endpoints.0.lock().unwrap();
    let path = head.uri.path();
    let (asked, answer) = match path {
        "/issuer" => (
            format!("issuer for {}", query["audience"]),
            match header("authorization") {
                Some("Bearer canary-job") => (200, json!({"value": "assertion-of-the-issuer"})),
                _ => (401, json!({})),
            },
        ),
        "/machine" => (
            format!(
                "machine for {} as {:?}",
                query["resource"],
                query.get("client_id")
            ),
            match header("x-identity-header") {
                Some("canary-header") => {
                    let expires = "4102444800";
                    (
                        200,
                        json!({"access_token": token("m-1"), "expires_on": expires, "resource": "r", "token_type": "Bearer"}),
                    )
                }
                _ => (400, json!({"error": "invalid_request"})),
            },
        ),
        _ => {
            let proof = match (form.get("client_secret"), form.get("client_assertion")) {
                (Some(_), _) => "a secret".to_owned(),
                (_, Some(assertion)) => format!("the assertion {assertion}"),
                _ => "nothing".to_owned(),
            };
            let answer = match inner.refusal {
                Some((code, text)) => (
                    401,
                    json!({"error": "invalid_client", "error_description": format!("{code}: {text}")}),
                ),
                None => (
                    200,
                    json!({"access_token": token("a-1"), "expires_in": 3600, "token_type": "Bearer"}),
                ),
            };
            let tenant = path.split('/').nth(1).unwrap_or_default();
            assert_eq!(tenant, TENANT);
            (
                format!("Entra for {} by {proof}", form["client_id"]),
                answer,
            )
        }
    };
    inner.asked.push(asked);
    let mut response = Response::new(Body::from(answer.1.to_string()));
    *response.status_mut() = answer.0.try_into().unwrap();
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}

fn token(object: &str) -> String {
    let claims: Value = json!({"oid": object, "idtyp": "app"});
    format!("e30.{}.canary", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn a_client_secret() {
    let variables = [("ARM_CLIENT_ID", "app"), ("ARM_CLIENT_SECRET", "canary")];
    let case = Case::new().await;
    case.check(
        &variables,
        &expect![[r#"
        Entra for app by a secret
        ServicePrincipal a-1"#]],
    )
    .await;
    let case = Case::refusing(
        "AADSTS7000222",
        "The provided client secret keys are expired.",
    )
    .await;
    case.check(&variables, &expect![[r#"
        Entra for app by a secret
        no Azure credentials. Tried: client secret of app: ClientSecretCredential authentication failed. AADSTS7000222: The provided client secret keys are expired. To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#client-secret. What to do: the client secret has expired: make a new one with `az ad app credential reset`; Azure command line (az login): AzureCliCredential authentication failed. az not found on PATH To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"#]]).await;
}

#[tokio::test]
async fn an_assertion_in_a_file_as_workload_identity_keeps_it() {
    let case = Case::new().await;
    let file = case.file("token", "assertion-of-the-cluster\n");
    let variables = [
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_FEDERATED_TOKEN_FILE", &*file),
    ];
    case.check(
        &variables,
        &expect![[r#"
        Entra for app by the assertion assertion-of-the-cluster
        ServicePrincipal a-1"#]],
    )
    .await;
    fs::remove_file(&file).unwrap();
    case.check(&variables, &expect!["no Azure credentials. Tried: federated assertion of app in $FOLDER/token: ClientAssertionCredential authentication failed. the assertion in $FOLDER/token cannot be read: No such file or directory (os error 2); Azure command line (az login): AzureCliCredential authentication failed. az not found on PATH To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"]).await;
}

#[tokio::test]
async fn an_assertion_of_the_ci_system() {
    let case = Case::new().await;
    let url = format!("{}/issuer?api-version=2", case.base);
    let variables = [
        ("ARM_CLIENT_ID", "app"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &*url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-job"),
    ];
    case.check(
        &variables,
        &expect![[r#"
        issuer for api://AzureADTokenExchange
        Entra for app by the assertion assertion-of-the-issuer
        ServicePrincipal a-1"#]],
    )
    .await;
    let stale = [
        variables[0],
        variables[1],
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-old"),
    ];
    case.check(&stale, &expect![[r#"
        issuer for api://AzureADTokenExchange
        no Azure credentials. Tried: federated assertion of app from $BASE/issuer: ClientAssertionCredential authentication failed. the assertion from $BASE/issuer cannot be read: the issuer answers 401 Unauthorized without an assertion; Azure command line (az login): AzureCliCredential authentication failed. az not found on PATH To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"#]]).await;
}

#[tokio::test]
async fn an_assertion_in_a_variable_that_nobody_trusts() {
    let case = Case::refusing(
        "AADSTS700213",
        "No matching federated identity record found for presented assertion subject 'repo:a'.",
    )
    .await;
    let variables = [
        ("ARM_CLIENT_ID", "app"),
        ("ARM_OIDC_TOKEN", "assertion-of-a-job"),
    ];
    case.check(&variables, &expect![[r#"
        Entra for app by the assertion assertion-of-a-job
        no Azure credentials. Tried: federated assertion of app in the variable ARM_OIDC_TOKEN: ClientAssertionCredential authentication failed. AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:a'.. What to do: the application trusts no such subject: add a federated credential with the issuer, subject and audience of the assertion (`az ad app federated-credential create`); Azure command line (az login): AzureCliCredential authentication failed. az not found on PATH To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"#]]).await;
}

#[tokio::test]
async fn the_identity_of_the_machine() {
    let case = Case::new().await;
    let endpoint = format!("{}/machine", case.base);
    let variables = [
        ("ARM_USE_MSI", "true"),
        ("IDENTITY_ENDPOINT", &*endpoint),
        ("IDENTITY_HEADER", "canary-header"),
    ];
    case.check(
        &variables,
        &expect![[r#"
        machine for https://management.azure.com as None
        ServicePrincipal m-1"#]],
    )
    .await;
    let named = [
        variables[0],
        variables[1],
        variables[2],
        ("ARM_CLIENT_ID", "app"),
    ];
    case.check(
        &named,
        &expect![[r#"
        machine for https://management.azure.com as Some("app")
        ServicePrincipal m-1"#]],
    )
    .await;
    let refused = [
        variables[0],
        variables[1],
        ("IDENTITY_HEADER", "canary-old"),
    ];
    case.check(&refused, &expect![[r#"
        machine for https://management.azure.com as None
        no Azure credentials. Tried: managed identity: ManagedIdentityCredential authentication failed. The requested identity has not been assigned to this resource To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#managed-id. What to do: assign the identity to this machine, name it in ARM_CLIENT_ID if there are several, or unset ARM_USE_MSI; Azure command line (az login): AzureCliCredential authentication failed. az not found on PATH To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"#]]).await;
}

#[tokio::test]
async fn the_command_line() {
    let case = Case::new().await;
    let answer = json!({"accessToken": token("u-1"), "expires_on": 4_102_444_800_u64,
        "expiresOn": "2100-01-01 00:00:00.000000", "tenant": TENANT, "tokenType": "Bearer"});
    case.file("az", &format!("#!/bin/sh\necho '{answer}'\n"));
    let shell = [(
        "PATH",
        &*format!("{}:/bin:/usr/bin", case.folder.path().display()),
    )];
    case.check(&shell, &expect!["ServicePrincipal u-1"]).await;
    case.file(
        "az",
        "#!/bin/sh\necho 'ERROR: Please run az login to setup account.' >&2\nexit 1\n",
    );
    case.check(&shell, &expect!["no Azure credentials. Tried: Azure command line (az login): AzureCliCredential authentication failed. ERROR: Please run az login to setup account.  To troubleshoot, visit https://aka.ms/azsdk/rust/identity/troubleshoot#azure-cli. Sign in with `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID, and one of ARM_CLIENT_SECRET and ARM_OIDC_TOKEN_FILE_PATH"]).await;
}
