//! What a provider serves beside resources, at the level of messages.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use prost_types::Timestamp;

use super::{Test, configured_of};
use crate::{
    at,
    call::Call,
    data_source::DataSource,
    ephemeral::{EphemeralResource, Lease, Opened},
    findings::Findings,
    function::{ArgumentError, Function, Parameter, Signature},
    provider::{Client, Parts, Provider},
    schema::AttributeType,
    server::{Server, rpc},
    spec::{self, Draft, Spec, Status},
    value::Value,
    wire::{
        dynamic,
        tfplugin6::{
            Diagnostic, DynamicValue, ServerCapabilities, call_function, close_ephemeral_resource,
            get_functions, get_metadata, get_provider_schema, open_ephemeral_resource,
            read_data_source, renew_ephemeral_resource, validate_data_resource_config,
            validate_ephemeral_resource_config,
        },
        types,
    },
};

/// Nothing to set.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sky")]
pub(super) struct SkyConfig {}

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

/// It lasts until dawn, and has nothing to renew.
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
                renew_at: Some(UNIX_EPOCH + Duration::new(90, 5)),
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

struct Seen;

impl Function for Seen {
    fn signature(&self) -> Signature {
        let parameter = |name: &str, kind| Parameter {
            name: name.to_owned(),
            kind,
            nullable: false,
            description: "Any.".to_owned(),
        };
        Signature {
            name: "seen".to_owned(),
            summary: "Names what is seen".to_owned(),
            description: "Names what is seen.".to_owned(),
            parameters: vec![parameter("hour", AttributeType::Number)],
            variadic: Some(parameter("star", AttributeType::String)),
            result: AttributeType::String,
        }
    }

    /// Without stars the result is not of its type.
    fn call(&self, arguments: &[Value]) -> Result<Value, ArgumentError> {
        let stars: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
        match stars.iter().position(|star| *star == "sun") {
            Some(sun) => Err(ArgumentError::at(sun + 1, "the sun is down")),
            None if stars.is_empty() => Ok(false.into()),
            None => Ok(stars.join(" and ").into()),
        }
    }
}

pub(super) struct Sky;

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
            .function(Seen)
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

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The attributes of the provider block; then resources, data sources, ephemeral resources and
/// functions.
async fn check_served<P: Provider>(provider: P, block: &[&str], named: [&[&str]; 4]) {
    let server = configured_of(provider).await;
    let request = get_provider_schema::Request::default();
    let schema = rpc::schema::answer(Arc::clone(&server), request).await;
    let metadata = rpc::schema::metadata(server, get_metadata::Request::default()).await;
    let capabilities = ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: false,
    };
    assert_eq!(schema.server_capabilities, Some(capabilities));
    assert_eq!(metadata.server_capabilities, Some(capabilities));
    let settings = schema.provider.unwrap().block.unwrap().attributes;
    let settings: Vec<_> = settings.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(settings, block);
    let described = [
        sorted(schema.resource_schemas.into_keys()),
        sorted(schema.data_source_schemas.into_keys()),
        sorted(schema.ephemeral_resource_schemas.into_keys()),
        sorted(schema.functions.into_keys()),
    ];
    assert_eq!(described, named);
    let listed = [
        sorted(metadata.resources.into_iter().map(|it| it.type_name)),
        sorted(metadata.data_sources.into_iter().map(|it| it.type_name)),
        sorted(
            metadata
                .ephemeral_resources
                .into_iter()
                .map(|it| it.type_name),
        ),
        sorted(metadata.functions.into_iter().map(|it| it.name)),
    ];
    assert_eq!(listed, named);
}

/// Core takes names and capabilities from either answer.
#[tokio::test]
async fn the_short_list_and_the_schema_tell_the_same() {
    let functions: &[&str] = &["brightest", "seen"];
    check_served(Sky, &[], [&[], &[STAR], &[STAR], functions]).await;
    check_served(Test::default(), &["word"], [&["test_thing"], &[], &[], &[]]).await;
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

/// Core renews by the clock and closes with the private data.
#[tokio::test]
async fn what_is_opened_says_when_it_is_to_be_renewed() {
    let request = open_ephemeral_resource::Request {
        type_name: STAR.to_owned(),
        config: Some(star("sirius")),
        ..Default::default()
    };
    let opened = rpc::ephemeral::open(configured_of(Sky).await, request).await;
    let dawn = Timestamp {
        seconds: 90,
        nanos: 5,
    };
    assert_eq!(opened.renew_at, Some(dawn));
    assert_eq!(opened.private, Some(b"dome".to_vec()));
}

#[tokio::test]
async fn nothing_is_looked_up_or_opened_before_configuration() {
    const SAID: &str = "The provider is not configured";
    let server = Arc::new(Server::new(Sky));
    let request = read_data_source::Request {
        type_name: STAR.to_owned(),
        config: Some(star("sirius")),
        ..Default::default()
    };
    let looked = rpc::data::answer(Arc::clone(&server), request).await;
    check_answer(
        looked.state.as_ref(),
        &looked.diagnostics,
        ("null", &[SAID]),
    );
    let request = open_ephemeral_resource::Request {
        type_name: STAR.to_owned(),
        config: Some(star("sirius")),
        ..Default::default()
    };
    let opened = rpc::ephemeral::open(server, request).await;
    check_answer(
        opened.result.as_ref(),
        &opened.diagnostics,
        ("null", &[SAID]),
    );
}

#[tokio::test]
async fn functions_are_listed_as_the_schema_has_them() {
    let server = configured_of(Sky).await;
    let request = get_provider_schema::Request::default();
    let schema = rpc::schema::answer(Arc::clone(&server), request).await;
    let listed = rpc::functions::list(server, get_functions::Request::default()).await;
    assert_eq!(listed.functions, schema.functions);
}

/// The result, or the argument at fault and what is wrong with it.
type Called<'a> = Result<&'a str, (Option<i64>, &'a str)>;

async fn check_call(name: &str, arguments: &[Value], expected: Called<'_>) {
    let sent = |value: &Value| dynamic::encode(value, &types::of_value(value)).unwrap();
    let request = call_function::Request {
        name: name.to_owned(),
        arguments: arguments.iter().map(sent).collect(),
    };
    let answer = rpc::functions::call(configured_of(Sky).await, request).await;
    let result = answer.result.as_ref();
    let result = result.map(|it| dynamic::decode(Some(it), &AttributeType::String).unwrap());
    let result = result.as_ref().and_then(Value::as_str);
    let error = answer.error.as_ref();
    let error = error.map(|it| (it.function_argument, it.text.as_str()));
    assert_eq!((result, error), (expected.ok(), expected.err()), "{name}");
}

#[tokio::test]
async fn a_function_is_called_with_what_it_takes_or_says_which_argument_is_wrong() {
    let stars: [Value; 4] = [4.into(), "sirius".into(), "vega".into(), "sun".into()];
    check_call("brightest", &[], Ok("sirius")).await;
    check_call("seen", &stars[..2], Ok("sirius")).await;
    check_call("seen", &stars[..3], Ok("sirius and vega")).await;
    check_call("seen", &stars, Err((Some(3), "the sun is down"))).await;
    check_call("seen", &stars[1..], Err((Some(0), "not a number"))).await;
    let too_few = "seen takes 1 arguments, not 0";
    check_call("seen", &[], Err((None, too_few))).await;
    let too_many = "brightest takes 0 arguments, not 1";
    check_call("brightest", &stars[..1], Err((None, too_many))).await;
    let misfit = "the result does not fit the signature (the type is string, but the value is a \
                  bool), a defect of the provider";
    check_call("seen", &stars[..1], Err((None, misfit))).await;
    let unknown = r#"the provider has no function "heard""#;
    check_call("heard", &[], Err((None, unknown))).await;
}
