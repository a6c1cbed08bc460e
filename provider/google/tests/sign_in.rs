//! Every way to sign in, through the variables that select it, against local endpoints.
//!
//! A process reads its variables once and for all, so each case runs [`a_process_that_signs_in`]
//! in a process of its own. What it logs, and what the libraries below it log, holds no secret.

use std::{
    collections::BTreeMap,
    env, fs, io,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, Response},
};
use expect_test::{Expect, expect};
use paymesh_cloud::TokenSource;
use paymesh_google::Credentials;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How every secret, every assertion and every token here can be known.
const SECRETS: [&str; 3] = ["canary", "assertion-of-", "token-of-"];

/// Who was asked for what, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// Google's token endpoints, a machine's metadata server, and an issuer of assertions.
struct Case {
    asked: Asked,
    base: String,
    home: TempDir,
}

impl Case {
    async fn new() -> Self {
        let asked = Asked::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(serve).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            asked,
            base,
            home: TempDir::new().unwrap(),
        }
    }

    /// A file below the home folder.
    fn file(&self, name: &str, content: &Value) -> String {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What `gcloud auth application-default login` leaves behind.
    fn login(&self) -> Value {
        json!({
            "type": "authorized_user",
            "client_id": "gcloud",
            "client_secret": "canary-secret",
            "refresh_token": "canary-refresh",
            "token_uri": format!("{}/token", self.base),
        })
    }

    /// Signs in with these variables, and tells who was asked and what came of it.
    async fn check(&self, variables: &[(&str, &str)], expected: &Expect) {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "a_process_that_signs_in", "--nocapture"])
            .env_clear()
            .env("PAYMESH_SIGN_IN", "1")
            .env("HOME", self.home.path())
            .envs(variables.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let [output, log] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(log.contains("the log begins"), "nothing is logged: {log}");
        for secret in SECRETS {
            assert!(!log.contains(secret), "{secret} is logged: {log}");
        }
        let outcome = output.lines().find_map(|line| line.split_once("=> "));
        let mut told = std::mem::take(&mut *self.asked.lock().unwrap());
        told.push(outcome.map_or(output.clone(), |(_, it)| it.to_owned()));
        let told = told.join("\n").replace(&self.base, "$BASE");
        assert!(!told.contains("canary"), "{told}");
        expected.assert_eq(&told.replace(self.home.path().to_str().unwrap(), "$HOME"));
    }
}

#[tokio::test]
async fn a_process_that_signs_in() {
    if env::var_os("PAYMESH_SIGN_IN").is_none() {
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    tracing::trace!("the log begins");
    match Credentials::usual().token().await {
        Ok(token) => println!("=> {}", token.reveal().replace("canary", "***")),
        Err(error) => println!("=> {}", error.message),
    }
}

async fn serve(State(asked): State<Asked>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let word = |name: &str| {
        let text = sent[name].as_str().map(str::to_owned);
        text.or_else(|| form.get(name).cloned()).unwrap_or_default()
    };
    let bearer = head
        .headers
        .get("authorization")
        .map_or("nobody", |it| {
            it.to_str().unwrap().trim_start_matches("Bearer ")
        })
        .to_owned();
    let path = head.uri.path();
    let (who, answer) = if path.ends_with(":generateAccessToken") {
        let account = path.rsplit('/').next().unwrap().split(':').next().unwrap();
        (
            format!("IAM for {account}, by {bearer}"),
            json!({ "accessToken": "token-of-the-account", "expireTime": "2100-01-01T00:00:00Z" }),
        )
    } else {
        match path {
            "/expired" => {
                let body = json!({
                    "error": "invalid_grant",
                    "error_description": "Token has been expired or revoked.",
                });
                let mut response = Response::new(Body::from(body.to_string()));
                *response.status_mut() = axum::http::StatusCode::BAD_REQUEST;
                return response;
            }
            "/token" => (
                format!("OAuth, {} of {}", word("grant_type"), word("client_id")),
                json!({ "access_token": "token-of-a-login", "expires_in": 3600, "token_type": "Bearer" }),
            ),
            "/sts" => (
                format!("STS for {} by {}", word("audience"), word("subject_token")),
                json!({
                    "access_token": "token-of-a-federation", "expires_in": 3600,
                    "token_type": "Bearer",
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                }),
            ),
            "/issuer" => (
                format!("issuer, by {bearer}"),
                json!({ "value": "assertion-of-the-issuer" }),
            ),
            "/computeMetadata/v1/instance/service-accounts/default/token" => (
                format!("machine, {:?}", head.headers.get("metadata-flavor")),
                json!({ "access_token": "token-of-the-machine", "expires_in": 3600, "token_type": "Bearer" }),
            ),
            other => (format!("{} {other}", head.method), json!({})),
        }
    };
    asked.lock().unwrap().push(who.replace("canary", "***"));
    let mut response = Response::new(Body::from(answer.to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("metadata-flavor", "Google".parse().unwrap());
    response
}

#[tokio::test]
async fn the_login_that_gcloud_left_in_the_home_folder() {
    let case = Case::new().await;
    let login = case.login();
    case.file(
        ".config/gcloud/application_default_credentials.json",
        &login,
    );
    case.check(
        &[],
        &expect![[r#"
        OAuth, refresh_token of gcloud
        token-of-a-login"#]],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_a_variable_names() {
    let case = Case::new().await;
    let file = case.file("login.json", &case.login());
    let expected = expect![[r#"
        OAuth, refresh_token of gcloud
        token-of-a-login"#]];
    for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS"] {
        case.check(&[(variable, &file)], &expected).await;
    }
}

#[tokio::test]
async fn a_service_account_that_a_file_lets_act() {
    let case = Case::new().await;
    let file = case.file(
        "impersonated.json",
        &json!({
            "type": "impersonated_service_account",
            "source_credentials": case.login(),
            "service_account_impersonation_url": format!(
                "{}/v1/projects/-/serviceAccounts/tf@pay.iam.gserviceaccount.com:generateAccessToken",
                case.base
            ),
        }),
    );
    case.check(
        &[("GOOGLE_APPLICATION_CREDENTIALS", &file)],
        &expect![[r#"
        OAuth, refresh_token of gcloud
        IAM for tf@pay.iam.gserviceaccount.com, by token-of-a-login
        token-of-the-account"#]],
    )
    .await;
}

/// A federated login: the assertion comes from `source`.
fn federation(case: &Case, source: &Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", case.base),
        "credential_source": source,
    })
}

#[tokio::test]
async fn a_federation_by_an_assertion_in_a_file() {
    let case = Case::new().await;
    fs::write(
        case.home.path().join("assertion"),
        "assertion-of-the-cluster",
    )
    .unwrap();
    let source = json!({ "file": case.home.path().join("assertion") });
    let file = case.file("federation.json", &federation(&case, &source));
    case.check(&[("GOOGLE_APPLICATION_CREDENTIALS", &file)], &expect![[r#"
        STS for //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci by assertion-of-the-cluster
        token-of-a-federation"#]])
        .await;
}

#[tokio::test]
async fn a_federation_by_the_ci_systems_issuer_that_acts_for_a_service_account() {
    let case = Case::new().await;
    let source = json!({
        "url": format!("{}/issuer", case.base),
        "headers": { "Authorization": "Bearer canary-job" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    let mut content = federation(&case, &source);
    content["service_account_impersonation_url"] = format!(
        "{}/v1/projects/-/serviceAccounts/tf@pay.iam.gserviceaccount.com:generateAccessToken",
        case.base
    )
    .into();
    let file = case.file("federation.json", &content);
    case.check(&[("GOOGLE_APPLICATION_CREDENTIALS", &file)], &expect![[r#"
        issuer, by ***-job
        STS for //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci by assertion-of-the-issuer
        IAM for tf@pay.iam.gserviceaccount.com, by token-of-a-federation
        token-of-the-account"#]])
        .await;
}

#[tokio::test]
async fn the_account_of_the_machine() {
    let case = Case::new().await;
    let machine = case.base.trim_start_matches("http://");
    case.check(
        &[("GCE_METADATA_HOST", machine)],
        &expect![[r#"
        machine, Some("Google")
        token-of-the-machine"#]],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let case = Case::new().await;
    let file = case.home.path().join("nothing.json");
    let file = file.to_str().unwrap();
    case.check(&[("GOOGLE_APPLICATION_CREDENTIALS", file)], &expect!["no Google credentials: could not find or open the credentials file $HOME/nothing.json. This file name was found in the `GOOGLE_APPLICATION_CREDENTIALS` environment variable. Verify this environment variable points to a valid file. Run gcloud auth application-default login, or point GOOGLE_APPLICATION_CREDENTIALS at a credentials file that is still good"])
        .await;
    case.check(&[("GOOGLE_CREDENTIALS", file)], &expect!["the credentials file $HOME/nothing.json cannot be used: No such file or directory (os error 2)"])
        .await;
}

#[tokio::test]
async fn who_has_no_credentials_is_told_what_makes_some() {
    let case = Case::new().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let machine = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    case.check(&[("GCE_METADATA_HOST", &machine)], &expect!["no Google access token from the machine's metadata server (GOOGLE_APPLICATION_CREDENTIALS is not set, and gcloud has left no login): Connection refused (os error 111). Run gcloud auth application-default login, or point GOOGLE_APPLICATION_CREDENTIALS at a credentials file that is still good"])
        .await;
}

#[tokio::test]
async fn of_an_expired_login_the_cause_is_told_and_how_to_renew_it() {
    let case = Case::new().await;
    let mut login = case.login();
    login["token_uri"] = format!("{}/expired", case.base).into();
    let file = case.file("login.json", &login);
    case.check(&[("GOOGLE_CREDENTIALS", &file)], &expect!["no Google access token from the credentials file $HOME/login.json: invalid_grant (Token has been expired or revoked). Run gcloud auth application-default login, or point GOOGLE_APPLICATION_CREDENTIALS at a credentials file that is still good"])
        .await;
}

#[tokio::test]
async fn credentials_in_the_place_of_a_path_are_not_printed() {
    let case = Case::new().await;
    let login = case.login().to_string();
    case.check(
        &[("GOOGLE_APPLICATION_CREDENTIALS", &login)],
        &expect!["the application default credentials cannot be used: the value of GOOGLE_APPLICATION_CREDENTIALS is not the path of a file"],
    )
    .await;
    case.check(&[("GOOGLE_CREDENTIALS", "1//canary")], &expect!["the credentials in GOOGLE_CREDENTIALS cannot be used: it is neither JSON, plain or in base64, nor the path of a file"])
        .await;
    case.check(
        &[("GOOGLE_CREDENTIALS", &format!("'{login}'"))],
        &expect![[r#"
            OAuth, refresh_token of gcloud
            token-of-a-login"#]],
    )
    .await;
}
