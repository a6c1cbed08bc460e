//! Those who vouch for a machine or a job on loopback: Azure's identity endpoint, a CI system's
//! issuer, Google's exchange of assertions, and its metadata server. What they trade in the end are
//! tokens of the simulated cloud.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use paymesh_acceptance::Cloud;
use serde_json::{Value, json};

/// What each is asked with, or answers with on the way to a token.
pub(crate) const IDENTITY_HEADER: &str = "canary-of-the-identity-header";
pub(crate) const JOB: &str = "canary-of-the-job";
pub(crate) const ASSERTION: &str = "canary-of-the-assertion";

/// All of them, at one address.
pub(crate) struct Vouchers {
    host: String,
    provider: String,
}

impl Vouchers {
    /// They vouch until the process ends.
    pub(crate) fn of(cloud: &Cloud) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let tokens = [cloud.azure().token(), cloud.google().token()];
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that is gone wants no answer.
                let _ = answer(stream, &tokens);
            }
        });
        let word = |key: &str| cloud.card()[key].as_str().expect("the card says");
        let provider = format!(
            "provider \"paymesh\" {{\n  owner = \"acceptance/one\"\n  azure = {{ endpoint = \"{}\", ca_file = \"{}\", subscription_id = \"{}\" }}\n  google = {{ endpoint = \"{}\", project = \"paymesh-hub\" }}\n}}\n",
            word("azure"),
            word("ca"),
            cloud.subscription(),
            word("google"),
        );
        Self { host, provider }
    }

    /// A provider block that talks to the cloud as to a real one.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// The environment of a machine with an identity in each cloud.
    pub(crate) fn machine(&self) -> Vec<(&str, String)> {
        let mut variables = self.identity(IDENTITY_HEADER);
        variables.push(("GCE_METADATA_HOST", self.host.clone()));
        variables
    }

    /// The environment of a job that Google trusts, on a machine that Azure knows by `header`.
    pub(crate) fn job(&self, header: &str, job: &str) -> Vec<(&str, String)> {
        let mut variables = self.identity(header);
        let at = |path: &str| format!("http://{}/{path}", self.host);
        let credentials = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": at("exchange"),
            "credential_source": {
                "url": at("issuer"),
                "headers": { "Authorization": format!("Bearer {job}") },
                "format": { "type": "json", "subject_token_field_name": "value" },
            },
        });
        variables.push(("GOOGLE_CREDENTIALS", credentials.to_string()));
        variables
    }

    fn identity(&self, header: &str) -> Vec<(&str, String)> {
        vec![
            ("ARM_USE_MSI", "true".to_owned()),
            ("ARM_USE_CLI", "false".to_owned()),
            ("IDENTITY_ENDPOINT", format!("http://{}/machine", self.host)),
            ("IDENTITY_HEADER", header.to_owned()),
        ]
    }
}

fn answer(stream: TcpStream, [azure, google]: &[String; 2]) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length = head.lines().find_map(|line| {
        let line = line.to_lowercase();
        line.strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    let google_token =
        json!({ "access_token": google, "expires_in": 3600, "token_type": "Bearer" });
    let given = match path {
        "/machine" if head.contains(IDENTITY_HEADER) => {
            json!({ "access_token": azure, "expires_on": "4102444800", "resource": "r", "token_type": "Bearer" })
        }
        "/issuer" if head.contains(JOB) => json!({ "value": ASSERTION }),
        "/exchange" if body.contains(ASSERTION) => {
            let mut token = google_token;
            token["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token".into();
            token
        }
        "/computeMetadata/v1/instance/service-accounts/default/token" => google_token,
        _ => Value::Null,
    };
    let status = if given.is_null() {
        "401 Unauthorized"
    } else {
        "200 OK"
    };
    let text = given.to_string();
    write!(
        reader.into_inner(),
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nmetadata-flavor: Google\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}
