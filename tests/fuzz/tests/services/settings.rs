//! Settings of six programs, from their environments: all that is wrong is said at once, and
//! nothing of what was given.

use std::{collections::HashMap, panic::AssertUnwindSafe};

use bolero::check;
use paymesh_contracts::callers::Service;
use paymesh_db_operator::settings::Operator;
use paymesh_fuzz::{Choices, text};
use paymesh_merchant_page::config::Page;
use paymesh_operations::{Settings, SettingsError};
use paymesh_payment_api::config::Api;
use paymesh_payment_processor::config::Processor;
use paymesh_persistence::{config, store::Database};
use paymesh_probe::config::Probe;
use tempfile::TempDir;

use crate::samples::{self, CANARY};

/// A connection string whose password is or holds the canary, which stands nowhere else.
fn database_url(choices: &mut Choices<'_>) -> String {
    let password = [CANARY, "%40", "?", "=", "&", "@", "/", "sslmode=", ":", "#"];
    let password: String = (0..=choices.below(4))
        .map(|_| *choices.one_of(&password))
        .chain([CANARY])
        .collect();
    let role = text(choices, &["paymesh_controller"]);
    let rest = text(
        choices,
        &[
            "db.example:5432/payments?sslmode=require",
            "127.0.0.1:5432/payments?sslmode=disable&application_name=a",
            "127.0.0.1:1,[::1]:2/payments?sslmode=prefer&target_session_attrs=read-write",
            "localhost/payments?sslmode=verify-ca&sslrootcert=/no/such/file",
        ],
    );
    let scheme = *choices.one_of(&["postgres://", "postgresql://", "postgres:", ""]);
    format!("{scheme}{role}:{password}@{rest}")
}

/// A password in a connection string is not told, however the string is wrong.
#[test]
fn a_database_url() {
    check!().for_each(|input: &[u8]| {
        let given = database_url(&mut Choices::new(input));
        if let Err(said) = given.parse::<Database>() {
            assert!(!said.contains(CANARY), "{given:?}: {said}");
        }
    });
}

/// What a variable stands for.
#[derive(Clone, Copy)]
enum Kind {
    /// A text like this one.
    Text(&'static str),
    /// One that nobody is told.
    Secret,
    /// Milliseconds.
    Milliseconds,
    /// The name of one of the files.
    File(&'static str),
    /// Where a database is.
    DatabaseUrl,
}

/// A program: what it reads, what it reads it with, and what has to be given.
struct Program {
    variables: Vec<(&'static str, Kind)>,
    required: Vec<&'static str>,
    read: fn(Settings) -> Result<(), SettingsError>,
}

const HEALTH: (&str, Kind) = ("PAYMESH_HEALTH_LISTEN", Kind::Text("127.0.0.1:1"));

/// What the programs of the ledger have beside their own.
fn shared() -> Vec<(&'static str, Kind)> {
    vec![
        HEALTH,
        ("PAYMESH_LISTEN", Kind::Text("127.0.0.1:2")),
        (
            "PAYMESH_CONTROLLER_URL",
            Kind::Text("https://db-controller:1"),
        ),
        ("PAYMESH_GRPC_PLAINTEXT", Kind::Text("false")),
        ("PAYMESH_TLS_CERTIFICATE", Kind::File("certificate")),
        ("PAYMESH_TLS_KEY", Kind::File("key")),
        ("PAYMESH_TLS_CA", Kind::File("authority")),
        ("PAYMESH_TRACES_URL", Kind::Text("http://127.0.0.1:4318/")),
        ("PAYMESH_TRACES_RATIO", Kind::Text("0.5")),
        ("PAYMESH_DRAIN_MS", Kind::Milliseconds),
    ]
}

/// Of those who speak to Kafka.
const KAFKA: [(&str, Kind); 4] = [
    (
        "PAYMESH_KAFKA_SERVERS",
        Kind::Text("kafka-1:9093,kafka-2:9093"),
    ),
    ("PAYMESH_KAFKA_CERTIFICATE", Kind::File("certificate")),
    ("PAYMESH_KAFKA_KEY", Kind::File("key")),
    ("PAYMESH_KAFKA_CA", Kind::File("authority")),
];

fn programs() -> [(Service, Program); 6] {
    let with = |more: &[(&'static str, Kind)]| {
        let mut variables = shared();
        variables.extend_from_slice(more);
        variables
    };
    let api = Program {
        variables: with(&[
            ("PAYMESH_HTTP_PLAINTEXT", Kind::Text("false")),
            ("PAYMESH_HTTP_CERTIFICATE", Kind::File("certificate")),
            ("PAYMESH_HTTP_KEY", Kind::File("key")),
            ("PAYMESH_REQUESTS_PER_SECOND", Kind::Text("100")),
        ]),
        required: vec![
            "PAYMESH_HEALTH_LISTEN",
            "PAYMESH_LISTEN",
            "PAYMESH_CONTROLLER_URL",
        ],
        read: |settings| Api::read(settings).map(drop),
    };
    let mut of_processor = with(&[
        (
            "PAYMESH_ACQUIRER_URL",
            Kind::Text("https://acquirer.example/"),
        ),
        ("PAYMESH_ACQUIRER_TOKEN", Kind::Secret),
        ("PAYMESH_ACQUIRER_ANSWER_MS_MAX", Kind::Milliseconds),
        ("PAYMESH_ACQUIRER_NOTICE_MS", Kind::Milliseconds),
        ("PAYMESH_PRIVATE_WEBHOOKS", Kind::Text("true")),
    ]);
    of_processor.extend(KAFKA);
    let processor = Program {
        variables: of_processor,
        required: vec![
            "PAYMESH_HEALTH_LISTEN",
            "PAYMESH_CONTROLLER_URL",
            "PAYMESH_ACQUIRER_URL",
            "PAYMESH_ACQUIRER_TOKEN",
        ],
        read: |settings| Processor::read(settings).map(drop),
    };
    let mut of_controller = with(&[
        ("PAYMESH_DATABASE_URL", Kind::DatabaseUrl),
        ("PAYMESH_KEY_PEPPER", Kind::Secret),
        ("PAYMESH_GRPC_CONNECTION_MS_MAX", Kind::Milliseconds),
        ("PAYMESH_BACKLOG_MS", Kind::Milliseconds),
        ("PAYMESH_WAITING_MAX", Kind::Text("1000")),
    ]);
    of_controller.extend(KAFKA);
    let controller = Program {
        variables: of_controller,
        required: vec![
            "PAYMESH_HEALTH_LISTEN",
            "PAYMESH_LISTEN",
            "PAYMESH_DATABASE_URL",
            "PAYMESH_KEY_PEPPER",
        ],
        read: |settings| config::Controller::read(settings).map(drop),
    };
    let operator = Program {
        variables: vec![
            HEALTH,
            ("PAYMESH_NAMESPACE", Kind::Text("payments")),
            ("PAYMESH_EXTENSIONS", Kind::Text("pgcrypto, citext")),
            ("PAYMESH_RESYNC_MS", Kind::Milliseconds),
            ("PAYMESH_RETRY_MS", Kind::Milliseconds),
            ("PAYMESH_STATEMENT_MS", Kind::Milliseconds),
            ("PAYMESH_RUN_MS", Kind::Milliseconds),
            ("PAYMESH_ROTATION_MIN_MS", Kind::Milliseconds),
            ("PAYMESH_LEASE_MS", Kind::Milliseconds),
            ("PAYMESH_LEASE_NAME", Kind::Text("paymesh-db-operator")),
        ],
        required: vec!["PAYMESH_HEALTH_LISTEN", "PAYMESH_NAMESPACE"],
        read: |settings| Operator::read(settings).map(drop),
    };
    [
        (Service::PaymentApi, api),
        (Service::PaymentProcessor, processor),
        (Service::DbController, controller),
        // No service knows the others, so whose certificate they are given is all the same.
        (Service::DbController, operator),
        (Service::PaymentApi, probe()),
        (Service::PaymentApi, page()),
    ]
}

fn probe() -> Program {
    Program {
        variables: vec![
            HEALTH,
            ("PAYMESH_PROBE_API_URL", Kind::Text("https://pay.example/")),
            ("PAYMESH_PROBE_API_KEY", Kind::Secret),
            ("PAYMESH_PROBE_CA", Kind::File("authority")),
            ("PAYMESH_PROBE_PAYMENT_METHOD", Kind::Text("tok_approve")),
            ("PAYMESH_PROBE_CURRENCY", Kind::Text("JPY")),
            ("PAYMESH_PROBE_EVERY_MS", Kind::Milliseconds),
            ("PAYMESH_PROBE_MS_MAX", Kind::Milliseconds),
            ("PAYMESH_HTTP_PLAINTEXT", Kind::Text("true")),
        ],
        required: vec![
            "PAYMESH_HEALTH_LISTEN",
            "PAYMESH_PROBE_API_URL",
            "PAYMESH_PROBE_API_KEY",
            "PAYMESH_PROBE_PAYMENT_METHOD",
        ],
        read: |settings| Probe::read(settings).map(drop),
    }
}

fn page() -> Program {
    Program {
        variables: vec![
            HEALTH,
            ("PAYMESH_PAGE_LISTEN", Kind::Text("127.0.0.1:2")),
            ("PAYMESH_PAGE_API_URL", Kind::Text("https://pay.example/")),
            ("PAYMESH_PAGE_API_CA", Kind::File("authority")),
            ("PAYMESH_HTTP_PLAINTEXT", Kind::Text("false")),
            ("PAYMESH_HTTP_CERTIFICATE", Kind::File("certificate")),
            ("PAYMESH_HTTP_KEY", Kind::File("key")),
            ("PAYMESH_DRAIN_MS", Kind::Milliseconds),
        ],
        required: vec![
            "PAYMESH_HEALTH_LISTEN",
            "PAYMESH_PAGE_LISTEN",
            "PAYMESH_PAGE_API_URL",
        ],
        read: |settings| Page::read(settings).map(drop),
    }
}

/// The files of a service, by what they are.
fn files(folder: &TempDir, service: Service) -> HashMap<&'static str, String> {
    let uri = format!("spiffe://pay.example/{}", service.name());
    let texts = samples::certificate(&uri);
    let kinds = ["certificate", "key", "authority"];
    let write = |(kind, text): (&'static str, String)| {
        let path = folder.path().join(format!("{}.{kind}", service.name()));
        std::fs::write(&path, text).expect("a file can be written");
        (kind, path.display().to_string())
    };
    kinds.into_iter().zip(texts).map(write).collect()
}

/// What is given for a variable. A secret may be given in place of anything.
fn given(choices: &mut Choices<'_>, kind: Kind, files: &HashMap<&'static str, String>) -> String {
    let is_odd = choices.is_one_in(6);
    match kind {
        Kind::File(_) if is_odd => {
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
            let line = pem.replace('\n', " ");
            let odd: [&str; 6] = ["/no/such/file", "/", ".", &pem, &line, CANARY];
            (*choices.one_of(&odd)).to_owned()
        }
        Kind::File(name) => files[name].clone(),
        Kind::DatabaseUrl => database_url(choices),
        Kind::Secret if is_odd => text(choices, &[CANARY]),
        Kind::Secret => CANARY.repeat(5),
        Kind::Text(sample) if is_odd => text(choices, &[sample, "-1", "true", CANARY]),
        Kind::Text(sample) => sample.to_owned(),
        Kind::Milliseconds if is_odd => text(choices, &["5000", "18446744073709551615", CANARY]),
        Kind::Milliseconds => "5000".to_owned(),
    }
}

/// Whatever is wrong with the settings of a program, each mistake names its variable and none tells what
/// was given; what is missing is among them.
#[test]
fn an_environment() {
    samples::install_crypto();
    let folder = TempDir::new().expect("a temporary folder can be made");
    let programs = programs().map(|(service, program)| (files(&folder, service), program));
    let programs = AssertUnwindSafe(programs);
    let runtime = AssertUnwindSafe(samples::runtime());
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let (files, program) = choices.one_of(programs.as_slice());
        let mut said = HashMap::new();
        for (name, kind) in &program.variables {
            if !choices.is_one_in(8) {
                said.insert(*name, given(&mut choices, *kind, files));
            }
        }
        let known = said.clone();
        let settings = Settings::new(move |name| known.get(name).cloned());
        // Files are followed by tasks, which end as soon as nobody wants to know.
        let read = runtime.block_on(async {
            let read = (program.read)(settings);
            tokio::task::yield_now().await;
            read
        });
        let mistakes = read.as_ref().err().map(|error| error.0.as_slice());
        let mistakes = mistakes.unwrap_or_default();
        assert_eq!(read.is_err(), !mistakes.is_empty(), "{said:?}");
        for mistake in mistakes {
            assert!(!mistake.contains(CANARY), "{mistake:?} of {said:?}");
            // Of a database the name of an option is told, as it was given.
            let is_plain =
                samples::is_plain(mistake) || mistake.starts_with("PAYMESH_DATABASE_URL");
            assert!(
                is_plain && mistake.starts_with("PAYMESH_"),
                "{mistake:?} of {said:?}"
            );
        }
        let is_told = |start: String| mistakes.iter().any(|mistake| mistake.starts_with(&start));
        for name in &program.required {
            let is_missing = said.get(name).is_none_or(String::is_empty);
            assert!(
                !is_missing || is_told(format!("{name} is missing")),
                "{name} {mistakes:?}"
            );
        }
        for (name, kind) in &program.variables {
            let is_number = said
                .get(name)
                .is_none_or(|it| it.is_empty() || it.parse::<u64>().is_ok());
            if matches!(kind, Kind::Milliseconds) && READ_BY_ALL.contains(name) && !is_number {
                assert!(
                    is_told(format!("{name} cannot be read")),
                    "{name} {mistakes:?}"
                );
            }
        }
    });
}

/// Numbers that whoever is given them reads.
const READ_BY_ALL: [&str; 12] = [
    "PAYMESH_ACQUIRER_ANSWER_MS_MAX",
    "PAYMESH_ACQUIRER_NOTICE_MS",
    "PAYMESH_GRPC_CONNECTION_MS_MAX",
    "PAYMESH_BACKLOG_MS",
    "PAYMESH_PROBE_EVERY_MS",
    "PAYMESH_PROBE_MS_MAX",
    "PAYMESH_RESYNC_MS",
    "PAYMESH_RETRY_MS",
    "PAYMESH_STATEMENT_MS",
    "PAYMESH_RUN_MS",
    "PAYMESH_ROTATION_MIN_MS",
    "PAYMESH_LEASE_MS",
];
