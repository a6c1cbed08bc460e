//! Each promise of the server towards core, at the level of messages.

mod calls;
mod lives;
mod parts;

use std::{fmt::Write, sync::Arc};

use async_trait::async_trait;
use expect_test::{Expect, expect};
use tokio::sync::Notify;
use tonic::{Request, Streaming, body::Body, codec::Codec as _};
use tonic_prost::ProstCodec;

use super::{Server, private, rpc, service::Service};
use crate::{
    at,
    findings::Findings,
    provider::{Client, Parts, Provider},
    resource::{
        Applied, ApplyRequest, DeleteRequest, Deleted, Plan, PlanReason, PlanRequest, ReadRequest,
        Resource, Seen,
    },
    schema::AttributeType,
    spec::{self, Draft, Field, Secret, Spec, Status},
    value::Value,
    wire::{
        diagnostic, dynamic,
        tfplugin6::{
            ClientCapabilities, Diagnostic, DynamicValue, ResourceIdentityData,
            apply_resource_change, configure_provider, import_resource_state, invoke_action,
            list_resource, plan_resource_change, provider_server, read_state_bytes,
            upgrade_resource_state, validate_resource_config, write_state_bytes,
        },
    },
};

/// Nothing to set.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "test")]
struct Config {
    /// A word.
    word: Option<String>,
}

/// A thing.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "test_thing", version = 2, status = ThingStatus)]
struct ThingSpec {
    /// What it is; some words make it misbehave.
    #[attr(replace, identity, check = non_empty())]
    word: String,
    /// A secret.
    key: Option<Secret<String>>,
    /// Grows when the secret changes.
    key_version: Option<u32>,
}

/// The thing.
#[derive(Clone, Debug, PartialEq, Status)]
struct ThingStatus {
    /// Identifier.
    id: String,
}

struct Thing {
    /// Told when a slow thing is done.
    slow_done: Arc<Notify>,
}

#[async_trait]
impl Resource for Thing {
    type Spec = ThingSpec;
    type Session = ();

    async fn plan(&self, request: &PlanRequest<Self>, plan: &mut Plan<Self>) {
        plan.private = match request.reason {
            PlanReason::Create => b"create".to_vec(),
            PlanReason::Update => b"".to_vec(),
            PlanReason::Replacement => b"replacement".to_vec(),
        };
        if request.config.word.is("rewritten".to_owned()) {
            plan.spec.word = Field::Known("something else".to_owned());
        }
        if request.config.word.is("explained".to_owned()) && plan.is_replacement() {
            plan.replace(at!(word), "A word is not taken back");
        }
    }

    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self> {
        let mut found = Findings::new();
        match request.spec.word.as_str() {
            "silent" => return Applied::nothing(found),
            "failing" => {
                found.error(at!(word), "It failed");
                return Applied::nothing(found);
            }
            "slow" => {
                tokio::task::yield_now().await;
                self.slow_done.notify_one();
            }
            "patient" => request.call.stop().cancelled().await,
            "breaking" => panic!("it broke"),
            word if word.starts_with("breaking") => panic!("{word} broke"),
            "silently broken" => std::panic::panic_any(()),
            _ => {}
        }
        let id = request
            .spec
            .key
            .as_ref()
            .and_then(Secret::reveal)
            .map_or(0, String::len);
        Applied::done(
            request.spec,
            ThingStatus {
                id: format!("id-{id}"),
            },
        )
    }

    async fn delete(&self, _: DeleteRequest<Self>) -> Deleted<Self> {
        let mut found = Findings::new();
        found.error(at!(), "It stays");
        Deleted::failed(found)
    }

    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self> {
        Seen::state(request.prior, request.private)
    }
}

#[derive(Default)]
struct Test {
    slow_done: Arc<Notify>,
}

#[async_trait]
impl Provider for Test {
    type Config = Config;
    type Session = ();

    const VERSION: &'static str = "1";
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/test";

    fn parts(&self) -> Parts<()> {
        Parts::new().resource(Thing {
            slow_done: self.slow_done.clone(),
        })
    }

    async fn configure(&self, _: Draft<Config>, _: Client, _: &mut Findings) -> Option<()> {
        Some(())
    }
}

fn kind() -> AttributeType {
    spec::schema::<ThingSpec>().object_type()
}

fn message(json: &str) -> DynamicValue {
    let value = Value::from_json(&serde_json::from_str(json).unwrap());
    dynamic::encode(&value, &kind()).unwrap()
}

fn text(value: Option<&DynamicValue>, diagnostics: &[Diagnostic]) -> String {
    let mut text = format!("{}\n", dynamic::decode(value, &kind()).unwrap());
    for diagnostic in diagnostics {
        writeln!(text, "- {}", diagnostic.summary).unwrap();
    }
    text
}

async fn configured() -> Arc<Server<Test>> {
    configured_of(Test::default()).await
}

async fn configured_of<P: Provider>(provider: P) -> Arc<Server<P>> {
    let server = Arc::new(Server::new(provider));
    rpc::configure::answer(Arc::clone(&server), configure_provider::Request::default()).await;
    server
}

/// Core hangs up after its request was received.
#[tokio::test]
async fn a_call_that_nobody_waits_for_goes_on_to_its_end() {
    let slow_done = Arc::new(Notify::new());
    let service = Service(
        configured_of(Test {
            slow_done: slow_done.clone(),
        })
        .await,
    );
    let slow = r#"{"word":"slow"}"#;
    let request = applying("null", slow, slow);
    let call = provider_server::Provider::apply_resource_change(&service, Request::new(request));
    tokio::select! {
        biased;
        _ = call => panic!("a slow thing is not made at once"),
        () = std::future::ready(()) => {}
    }
    tokio::select! {
        () = slow_done.notified() => {}
        () = turns(TURNS_MAX) => panic!("the thing is made although nobody waits for the answer"),
    }
}

/// Core asks to stop once, and the provider goes on living.
#[tokio::test]
async fn an_interrupt_ends_the_wait_of_what_runs_and_of_nothing_later() {
    let server = configured().await;
    let patient = || {
        let planned = r#"{"word":"patient","id":"id-0"}"#;
        let request = applying("null", planned, r#"{"word":"patient"}"#);
        rpc::apply::answer(Arc::clone(&server), request)
    };
    let interrupt = async {
        server.stop();
        turns(TURNS_MAX).await;
    };
    tokio::select! {
        biased;
        answer = patient() => assert_eq!(
            text(answer.new_state.as_ref(), &answer.diagnostics),
            "{ id = \"id-0\", key = null, key_version = null, word = \"patient\" }\n"
        ),
        () = interrupt => panic!("what runs ends when it is asked to stop"),
    }
    tokio::select! {
        biased;
        _ = patient() => panic!("what comes later is not asked to stop"),
        () = turns(TURNS_MAX) => {}
    }
}

/// More turns of the runtime than anything here takes that nothing holds up.
const TURNS_MAX: u32 = 1000;

async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

fn planning(prior: &str, config: &str) -> plan_resource_change::Request {
    plan_resource_change::Request {
        type_name: "test_thing".to_owned(),
        prior_state: Some(message(prior)),
        proposed_new_state: Some(message(config)),
        config: Some(message(config)),
        ..Default::default()
    }
}

async fn check_plan(prior: &str, config: &str, prior_private: &[u8], expected: (&[u8], Expect)) {
    let request = plan_resource_change::Request {
        prior_private: prior_private.to_vec(),
        ..planning(prior, config)
    };
    let answer = rpc::plan::answer(configured().await, request).await;
    assert_eq!(answer.planned_private, expected.0);
    expected
        .1
        .assert_eq(&text(answer.planned_state.as_ref(), &answer.diagnostics));
}

#[tokio::test]
async fn planned_private_data_is_never_empty_and_tells_a_replacement() {
    let config = r#"{"word":"a"}"#;
    let created = expect![[r#"
        { id = (known after apply), key = null, key_version = null, word = "a" }
    "#]];
    let replaced = expect![[r#"
        { id = (known after apply), key = null, key_version = null, word = "a" }
    "#]];
    check_plan("null", config, b"", (b"\x01create", created)).await;
    check_plan(
        "null",
        config,
        &private::wrap(b""),
        (b"\x01replacement", replaced),
    )
    .await;
    let known = expect![[r#"
        { id = "x", key = null, key_version = null, word = "a" }
    "#]];
    check_plan(r#"{"word":"b","id":"x"}"#, config, b"", (b"\x01", known)).await;
}

#[tokio::test]
async fn a_plan_that_rewrites_the_configuration_is_our_own_defect() {
    let expected = expect![[r#"
        { id = (known after apply), key = null, key_version = null, word = "something else" }
        - The provider made a plan that does not follow the configuration
    "#]];
    check_plan(
        "null",
        r#"{"word":"rewritten"}"#,
        b"",
        (b"\x01create", expected),
    )
    .await;
}

/// Core shows which attribute takes a new object, and cannot know why.
#[tokio::test]
async fn what_is_replaced_is_named_once_with_the_authors_reason() {
    let plan = async |prior: &str, config: &str| {
        let answer = rpc::plan::answer(configured().await, planning(prior, config)).await;
        let told = answer.diagnostics.into_iter().map(|it| it.summary);
        (answer.requires_replace, told.collect::<Vec<_>>())
    };
    let word = diagnostic::path(&at!(word));
    let why = "A change of word replaces test_thing".to_owned();
    let (old, new) = (r#"{"word":"a","id":"x"}"#, r#"{"word":"explained"}"#);
    assert_eq!(plan(old, new).await, (vec![word.clone()], vec![why]));
    let untold = plan(old, r#"{"word":"b"}"#).await;
    assert_eq!(untold, (vec![word], Vec::new()));
    let prior = r#"{"word":"explained","id":"x"}"#;
    let in_place = plan(prior, r#"{"word":"explained","key_version":1}"#).await;
    assert_eq!(in_place, (Vec::new(), Vec::new()));
}

fn applying(prior: &str, planned: &str, config: &str) -> apply_resource_change::Request {
    apply_resource_change::Request {
        type_name: "test_thing".to_owned(),
        prior_state: Some(message(prior)),
        planned_state: Some(message(planned)),
        config: Some(message(config)),
        ..Default::default()
    }
}

async fn check_apply(prior: &str, planned: &str, config: &str, expected: Expect) {
    let request = applying(prior, planned, config);
    let answer = rpc::apply::answer(configured().await, request).await;
    expected.assert_eq(&text(answer.new_state.as_ref(), &answer.diagnostics));
}

#[tokio::test]
async fn a_secret_reaches_the_apply_and_never_the_state() {
    let (planned, config) = (r#"{"word":"a","id":"id-3"}"#, r#"{"word":"a","key":"abc"}"#);
    let expected = expect![[r#"
        { id = "id-3", key = null, key_version = null, word = "a" }
    "#]];
    check_apply("null", planned, config, expected).await;
}

#[tokio::test]
async fn a_failed_delete_is_never_forgotten() {
    let expected = expect![[r#"
        { id = "x", key = null, key_version = null, word = "a" }
        - It stays
    "#]];
    check_apply(r#"{"word":"a","id":"x"}"#, "null", "null", expected).await;
}

#[tokio::test]
async fn a_failed_update_keeps_what_was_and_a_failed_create_nothing() {
    let config = r#"{"word":"failing"}"#;
    let kept = expect![[r#"
        { id = "x", key = null, key_version = null, word = "a" }
        - It failed
    "#]];
    check_apply(r#"{"word":"a","id":"x"}"#, config, config, kept).await;
    let nothing = expect![[r"
        null
        - It failed
    "]];
    check_apply("null", config, config, nothing).await;
    let silent = expect![[r"
        null
        - The provider made nothing and does not say why
    "]];
    check_apply(
        "null",
        r#"{"word":"silent"}"#,
        r#"{"word":"silent"}"#,
        silent,
    )
    .await;
}

#[tokio::test]
async fn a_configuration_is_refused_where_it_breaks_a_rule_or_the_schema() {
    let word = diagnostic::path(&at!(word));
    for (json, told) in [
        (r#"{"word":"a"}"#, None),
        (
            r#"{"word":""}"#,
            Some("Value breaks the rule of its attribute"),
        ),
        (
            r#"{"word":["a"]}"#,
            Some("The configuration does not fit the schema"),
        ),
    ] {
        let config = DynamicValue {
            json: json.into(),
            ..Default::default()
        };
        let request = validate_resource_config::Request {
            type_name: "test_thing".to_owned(),
            config: Some(config),
            client_capabilities: None,
        };
        let answer = rpc::validate::resource(configured().await, request).await;
        let found = answer.diagnostics.first();
        let found = found.map(|it| (it.summary.as_str(), it.attribute.as_ref()));
        assert_eq!(found, told.map(|told| (told, Some(&word))), "{json}");
    }
}

#[tokio::test]
async fn what_cannot_be_imported_is_named_as_the_user_named_it() {
    let identity = Value::map([("word", Value::from("a"))]);
    let kind = spec::identity_schema::<ThingSpec>().unwrap().object_type();
    let identity = ResourceIdentityData {
        identity_data: Some(dynamic::encode(&identity, &kind).unwrap()),
    };
    for (id, identity, named) in [
        ("a", None, r#"id "a""#),
        ("", Some(identity), r#"identity { word = "a" }"#),
    ] {
        let request = import_resource_state::Request {
            type_name: "test_thing".to_owned(),
            id: id.to_owned(),
            identity,
            ..Default::default()
        };
        let answer = rpc::import::answer(configured().await, request).await;
        let told = &answer.diagnostics[0].detail;
        assert!(told.contains(named), "{told}");
    }
}

#[tokio::test]
async fn a_client_that_would_store_secrets_gets_none() {
    for (allowed, problems) in [(true, 0), (false, 1)] {
        let request = validate_resource_config::Request {
            type_name: "test_thing".to_owned(),
            config: Some(message(r#"{"word":"a","key":"abc","key_version":1}"#)),
            client_capabilities: Some(ClientCapabilities {
                write_only_attributes_allowed: allowed,
                ..Default::default()
            }),
        };
        let answer = rpc::validate::resource(configured().await, request).await;
        assert_eq!(
            answer.diagnostics.len(),
            problems,
            "{:?}",
            answer.diagnostics
        );
    }
}

#[tokio::test]
async fn states_of_other_versions_are_read_or_refused_with_a_reason() {
    let upgrade = async |version, json: &str| {
        let request = upgrade_resource_state::Request {
            type_name: "test_thing".to_owned(),
            version,
            raw_state: Some(crate::wire::tfplugin6::RawState {
                json: json.as_bytes().to_vec(),
                ..Default::default()
            }),
        };
        let answer = rpc::upgrade::answer(configured().await, request).await;
        text(answer.upgraded_state.as_ref(), &answer.diagnostics)
    };
    let dropped = upgrade(2, r#"{"word":"a","id":"x","colour":"red"}"#).await;
    assert_eq!(
        dropped,
        "{ id = \"x\", key = null, key_version = null, word = \"a\" }\n"
    );
    assert!(upgrade(3, "{}").await.contains("newer version"));
    assert!(upgrade(1, "{}").await.contains("too old"));
    let endless = "[".repeat(1 << 20);
    assert!(upgrade(2, &endless).await.contains("cannot be read"));
}

#[tokio::test]
async fn work_before_configuration_and_unknown_types_are_explained() {
    let request = plan_resource_change::Request {
        type_name: "test_thing".to_owned(),
        proposed_new_state: Some(message(r#"{"word":"a"}"#)),
        config: Some(message(r#"{"word":"a"}"#)),
        ..Default::default()
    };
    let answer = rpc::plan::answer(Arc::new(Server::new(Test::default())), request).await;
    assert_eq!(
        answer.diagnostics[0].summary,
        "The provider is not configured"
    );
    let request = plan_resource_change::Request {
        type_name: "test_other".to_owned(),
        ..Default::default()
    };
    let answer = rpc::plan::answer(configured().await, request).await;
    assert_eq!(answer.diagnostics[0].summary, "There is no such resource");
}

#[tokio::test]
async fn what_is_not_supported_still_answers() {
    use provider_server::Provider as _;
    use tonic::codegen::tokio_stream::StreamExt as _;
    const SAID: &str = "This provider does not support that";
    let service = Service(configured().await);
    macro_rules! check_answers {
        ($($call:ident)*) => {$(
            let request = Request::new(Default::default());
            let answer = service.$call(request).await.unwrap().into_inner();
            assert_eq!(answer.diagnostics[0].summary, SAID, stringify!($call));
        )*};
    }
    check_answers! {
        generate_resource_config validate_list_resource_config validate_action_config plan_action
        validate_state_store_config configure_state_store lock_state unlock_state get_states
        delete_state
    }
    macro_rules! check_streams {
        ($($call:ident: $diagnostics:expr;)*) => {$(
            let request = Request::new(Default::default());
            let mut events = service.$call(request).await.unwrap().into_inner();
            let diagnostics: fn(_) -> Vec<_> = $diagnostics;
            let said = diagnostics(events.next().await.unwrap().unwrap());
            assert_eq!(said[0].summary, SAID, stringify!($call));
            assert!(events.next().await.is_none());
        )*};
    }
    check_streams! {
        list_resource: |event: list_resource::Event| event.diagnostic;
        invoke_action: |event: invoke_action::Event| match event.r#type {
            Some(invoke_action::event::Type::Completed(completed)) => completed.diagnostics,
            _ => Vec::new(),
        };
        read_state_bytes: |chunk: read_state_bytes::ResponseChunk| chunk.diagnostics;
    }
    let decoder = ProstCodec::<(), write_state_bytes::RequestChunk>::default().decoder();
    let chunks = Request::new(Streaming::new_empty(decoder, Body::empty()));
    let answer = service.write_state_bytes(chunks).await.unwrap();
    assert_eq!(answer.into_inner().diagnostics[0].summary, SAID);
}
