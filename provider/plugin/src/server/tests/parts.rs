//! What a provider serves beside resources, at the level of messages.

use std::sync::Arc;

use async_trait::async_trait;

use super::configured_of;
use crate::{
    at,
    call::Call,
    data_source::DataSource,
    ephemeral::{EphemeralResource, Lease, Opened},
    findings::Findings,
    function::{ArgumentError, Function, Signature},
    provider::{Client, Parts, Provider},
    schema::AttributeType,
    server::rpc,
    spec::{self, Draft, Spec, Status},
    value::Value,
    wire::{
        dynamic,
        tfplugin6::{
            Diagnostic, DynamicValue, close_ephemeral_resource, get_provider_schema,
            open_ephemeral_resource, read_data_source, renew_ephemeral_resource,
            validate_data_resource_config, validate_ephemeral_resource_config,
        },
    },
};

/// Nothing to set.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sky")]
struct SkyConfig {}

/// A star.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sky_star", status = StarStatus)]
struct StarSpec {
    /// Its name; some are not to be seen.
    #[attr(check = dns_label(1..=10))]
    name: String,
}

/// The star.
#[derive(Clone, Debug, PartialEq, Status)]
struct StarStatus {
    /// How bright it is.
    brightness: u8,
}

/// What is seen of the star; one that is silent does not even say why it is not.
fn look(spec: &StarSpec, found: &mut Findings) -> Option<StarStatus> {
    if spec.name == "clouded" {
        found.error(at!(name), "Clouds are before it");
    }
    (spec.name == "sirius").then_some(StarStatus { brightness: 3 })
}

struct Atlas;

#[async_trait]
impl DataSource for Atlas {
    type Spec = StarSpec;
    type Session = ();

    async fn read(&self, _: Call<()>, spec: StarSpec, found: &mut Findings) -> Option<StarStatus> {
        look(&spec, found)
    }
}

/// It has nothing to renew.
struct Telescope;

#[async_trait]
impl EphemeralResource for Telescope {
    type Spec = StarSpec;
    type Session = ();

    async fn open(
        &self,
        _: Call<()>,
        spec: StarSpec,
        found: &mut Findings,
    ) -> Option<Opened<StarStatus>> {
        Some(Opened {
            status: look(&spec, found)?,
            lease: Lease {
                renew_at: None,
                private: b"dome".to_vec(),
            },
        })
    }

    async fn close(&self, _: Call<()>, private: Vec<u8>, found: &mut Findings) {
        let what = String::from_utf8_lossy(&private);
        found.error(at!(), format!("The {what} does not close"));
    }
}

struct Brightest;

impl Function for Brightest {
    fn signature(&self) -> Signature {
        Signature {
            name: "brightest".to_owned(),
            summary: "Names the brightest star".to_owned(),
            description: "Names the brightest star.".to_owned(),
            parameters: Vec::new(),
            variadic: None,
            result: AttributeType::String,
        }
    }

    fn call(&self, _: &[Value]) -> Result<Value, ArgumentError> {
        Ok("sirius".into())
    }
}

struct Sky;

#[async_trait]
impl Provider for Sky {
    type Config = SkyConfig;
    type Session = ();

    const VERSION: &'static str = "1";
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/sky";

    fn parts(&self) -> Parts<()> {
        Parts::new()
            .data_source(Atlas)
            .ephemeral(Telescope)
            .function(Brightest)
    }

    async fn configure(&self, _: Draft<SkyConfig>, _: Client, _: &mut Findings) -> Option<()> {
        Some(())
    }
}

const STAR: &str = "sky_star";

fn kind() -> AttributeType {
    spec::schema::<StarSpec>().object_type()
}

fn star(name: &str) -> DynamicValue {
    dynamic::encode(&Value::map([("name", Value::from(name))]), &kind()).unwrap()
}

fn check_answer(
    value: Option<&DynamicValue>,
    diagnostics: &[Diagnostic],
    expected: (&str, &[&str]),
) {
    let value = dynamic::decode(value, &kind()).unwrap().to_string();
    let told: Vec<_> = diagnostics.iter().map(|it| it.summary.as_str()).collect();
    assert_eq!((value.as_str(), told.as_slice()), expected);
}

#[tokio::test]
async fn everything_that_is_served_is_in_the_schema_with_what_it_reports() {
    let server = configured_of(Sky).await;
    let request = get_provider_schema::Request::default();
    let told = rpc::schema::answer(server, request).await;
    for schemas in [told.data_source_schemas, told.ephemeral_resource_schemas] {
        let block = schemas[STAR].block.as_ref().unwrap();
        let names: Vec<_> = block.attributes.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["name", "brightness"]);
    }
    assert!(told.functions.contains_key("brightest"));
}

#[tokio::test]
async fn a_configuration_that_breaks_a_rule_is_refused_by_validation() {
    let server = configured_of(Sky).await;
    for (name, problems) in [("sirius", 0), ("Sirius!", 1)] {
        let request = validate_data_resource_config::Request {
            type_name: STAR.to_owned(),
            config: Some(star(name)),
        };
        let answer = rpc::validate::data_source(Arc::clone(&server), request).await;
        let told = answer.diagnostics;
        assert_eq!(told.len(), problems, "{told:?}");
        let request = validate_ephemeral_resource_config::Request {
            type_name: STAR.to_owned(),
            config: Some(star(name)),
        };
        let answer = rpc::validate::ephemeral(Arc::clone(&server), request).await;
        let told = answer.diagnostics;
        assert_eq!(told.len(), problems, "{told:?}");
    }
}

async fn check_read(name: &str, expected: (&str, &[&str])) {
    let request = read_data_source::Request {
        type_name: STAR.to_owned(),
        config: Some(star(name)),
        ..Default::default()
    };
    let answer = rpc::data::answer(configured_of(Sky).await, request).await;
    check_answer(answer.state.as_ref(), &answer.diagnostics, expected);
}

#[tokio::test]
async fn what_a_data_source_does_not_find_has_a_reason() {
    let found = r#"{ brightness = 3, name = "sirius" }"#;
    let silent = "The provider found nothing and does not say why";
    check_read("sirius", (found, &[])).await;
    check_read("clouded", ("null", &["Clouds are before it"])).await;
    check_read("silent", ("null", &[silent])).await;
}

async fn check_open(name: &str, expected: (&str, &[&str])) {
    let request = open_ephemeral_resource::Request {
        type_name: STAR.to_owned(),
        config: Some(star(name)),
        ..Default::default()
    };
    let answer = rpc::ephemeral::open(configured_of(Sky).await, request).await;
    check_answer(answer.result.as_ref(), &answer.diagnostics, expected);
}

#[tokio::test]
async fn an_ephemeral_resource_that_does_not_open_has_a_reason() {
    let opened = r#"{ brightness = 3, name = "sirius" }"#;
    let silent = "The provider opened nothing and does not say why";
    check_open("sirius", (opened, &[])).await;
    check_open("clouded", ("null", &["Clouds are before it"])).await;
    check_open("silent", ("null", &[silent])).await;
}

/// Core hands each call the private data that the call before answered.
#[tokio::test]
async fn who_renews_nothing_keeps_its_private_data_for_the_close() {
    let server = configured_of(Sky).await;
    let request = renew_ephemeral_resource::Request {
        type_name: STAR.to_owned(),
        private: Some(b"dome".to_vec()),
    };
    let renewed = rpc::ephemeral::renew(Arc::clone(&server), request).await;
    assert_eq!((renewed.renew_at, renewed.diagnostics), (None, Vec::new()));
    let request = close_ephemeral_resource::Request {
        type_name: STAR.to_owned(),
        private: renewed.private,
    };
    let closed = rpc::ephemeral::close(server, request).await;
    assert_eq!(closed.diagnostics[0].summary, "The dome does not close");
}
