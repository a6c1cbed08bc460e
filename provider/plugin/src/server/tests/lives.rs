//! What each answer about a resource holds, from its import to its end, at the level of messages.

use std::sync::Arc;

use async_trait::async_trait;
use expect_test::{Expect, expect};

use super::configured_of;
use crate::{
    at,
    findings::Findings,
    provider::{Client, Parts, Provider},
    resource::{
        Applied, ApplyRequest, DeleteRequest, Deleted, DestroyPlan, DestroyRequest, ForeignState,
        ImportBy, ImportRequest, Imported, ReadRequest, Resource, Seen, State,
    },
    schema::AttributeType,
    server::{Server, rpc},
    spec::{self, Draft, Field, Spec, Status},
    value::Value,
    wire::{
        dynamic,
        tfplugin6::{
            Diagnostic, DynamicValue, RawState, ResourceIdentityData, apply_resource_change,
            get_resource_identity_schemas, import_resource_state, move_resource_state,
            plan_resource_change, read_resource, upgrade_resource_identity, upgrade_resource_state,
        },
    },
};

/// Nothing to set.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "harbour")]
struct HarbourConfig {}

/// A ship.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "harbour_ship", version = 2, status = ShipStatus)]
struct ShipSpec {
    /// Its name; some do not fare well.
    #[attr(identity)]
    name: String,
    /// Where it is at home.
    #[attr(identity)]
    home: Option<String>,
}

/// The ship.
#[derive(Clone, Debug, PartialEq, Status)]
struct ShipStatus {
    /// How deep it lies.
    draught: u32,
}

/// A ship of which no more than this is known.
fn known_by_name(name: &str) -> State<ShipSpec> {
    let mut state = State::<ShipSpec>::blank();
    state.spec.name = Field::Known(name.to_owned());
    state
}

struct Ship;

#[async_trait]
impl Resource for Ship {
    type Spec = ShipSpec;
    type Session = ();

    async fn plan_destroy(&self, _: &DestroyRequest<Self>, plan: &mut DestroyPlan) {
        plan.private.extend(b", sold");
        plan.found.warning(at!(), "A ship is gone for good");
    }

    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self> {
        let mut spec = request.spec;
        if spec.name == "rechristened" {
            "argo".clone_into(&mut spec.name);
        }
        Applied::<Self>::done(spec, ShipStatus { draught: 3 }).with_private(request.private)
    }

    async fn delete(&self, _: DeleteRequest<Self>) -> Deleted<Self> {
        Deleted::gone()
    }

    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self> {
        let mut state = request.prior;
        if state.spec.name.is("lost".to_owned()) {
            return Seen::gone();
        }
        state.status.draught = if state.spec.name.is("foggy".to_owned()) {
            Field::Unknown
        } else {
            Field::Known(4)
        };
        let mut seen: Seen<Self> = Seen::state(state, request.private);
        seen.found.warning(at!(draught), "It lies deeper");
        seen
    }

    async fn import(&self, request: ImportRequest<Self>) -> Imported<Self> {
        let name = match &request.by {
            ImportBy::Id(id) => id.as_str(),
            ImportBy::Identity(identity) => identity.entry("name").as_str().unwrap_or_default(),
        };
        let mut answer: Imported<Self> = Imported::nothing();
        if name == "mutinous" {
            answer.found.error(at!(), "Its crew sends no papers");
        } else if name != "lost" {
            answer.state = Some(known_by_name(name));
            answer.private = b"papers".to_vec();
        }
        answer
    }

    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<State<ShipSpec>> {
        if foreign.type_name == "harbour_wreck" {
            found.error(at!(), "A wreck is no ship");
        }
        foreign.state["name"].as_str().map(known_by_name)
    }

    fn upgrade(
        &self,
        version: u64,
        mut state: serde_json::Value,
        found: &mut Findings,
    ) -> Option<serde_json::Value> {
        // Version 1 said "called" for the name.
        if version != 1 {
            return None;
        }
        let called = state["called"].take();
        if called.is_null() {
            found.error(at!(name), "It was never called anything");
        }
        state["name"] = called;
        Some(state)
    }
}

struct Harbour;

#[async_trait]
impl Provider for Harbour {
    type Config = HarbourConfig;
    type Session = ();

    const VERSION: &'static str = "1";
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/harbour";

    fn parts(&self) -> Parts<()> {
        Parts::new().resource(Ship)
    }

    async fn configure(&self, _: Draft<HarbourConfig>, _: Client, _: &mut Findings) -> Option<()> {
        Some(())
    }
}

const SHIP: &str = "harbour_ship";

/// Private data as it is stored: behind a mark.
const LOG: &[u8] = b"\x01log";

fn kind() -> AttributeType {
    spec::schema::<ShipSpec>().object_type()
}

fn identity_kind() -> AttributeType {
    spec::identity_schema::<ShipSpec>().unwrap().object_type()
}

/// A ship of this name that lies so deep.
fn ship(name: impl Into<Value>, draught: impl Into<Value>) -> DynamicValue {
    let value = Value::map([("name", name.into()), ("draught", draught.into())]);
    dynamic::encode(&value, &kind()).unwrap()
}

fn identity(name: &str) -> ResourceIdentityData {
    let value = Value::map([("name", Value::from(name))]);
    ResourceIdentityData {
        identity_data: Some(dynamic::encode(&value, &identity_kind()).unwrap()),
    }
}

fn raw(json: &str) -> RawState {
    RawState {
        json: json.as_bytes().to_vec(),
        ..Default::default()
    }
}

fn shown(value: Option<&DynamicValue>, kind: &AttributeType) -> String {
    value.map_or_else(
        || "nothing".to_owned(),
        |value| dynamic::decode(Some(value), kind).unwrap().to_string(),
    )
}

/// What an answer holds, line by line.
fn told(
    state: Option<&DynamicValue>,
    identity: Option<&ResourceIdentityData>,
    private: &[u8],
    diagnostics: &[Diagnostic],
) -> String {
    let identity = identity.and_then(|it| it.identity_data.as_ref());
    let mut lines = vec![
        shown(state, &kind()),
        format!("identity {}", shown(identity, &identity_kind())),
        format!("private \"{}\"", private.escape_ascii()),
    ];
    lines.extend(diagnostics.iter().map(|it| format!("- {}", it.summary)));
    lines.join("\n") + "\n"
}

fn reading(name: &str) -> read_resource::Request {
    read_resource::Request {
        type_name: SHIP.to_owned(),
        current_state: Some(ship(name, 3)),
        private: LOG.to_vec(),
        current_identity: Some(identity(name)),
        ..Default::default()
    }
}

async fn read(server: Arc<Server<Harbour>>, request: read_resource::Request) -> String {
    let answer = rpc::read::answer(server, request).await;
    told(
        answer.new_state.as_ref(),
        answer.new_identity.as_ref(),
        &answer.private,
        &answer.diagnostics,
    )
}

async fn plan(server: Arc<Server<Harbour>>, request: plan_resource_change::Request) -> String {
    let answer = rpc::plan::answer(server, request).await;
    told(
        answer.planned_state.as_ref(),
        answer.planned_identity.as_ref(),
        &answer.planned_private,
        &answer.diagnostics,
    )
}

async fn apply(server: Arc<Server<Harbour>>, request: apply_resource_change::Request) -> String {
    let answer = rpc::apply::answer(server, request).await;
    told(
        answer.new_state.as_ref(),
        answer.new_identity.as_ref(),
        &answer.private,
        &answer.diagnostics,
    )
}

async fn check_read(name: &str, expected: Expect) {
    expected.assert_eq(&read(configured_of(Harbour).await, reading(name)).await);
}

#[tokio::test]
async fn a_read_tells_what_is_there_what_is_gone_and_keeps_what_it_does_not_know() {
    let found = expect![[r#"
        { draught = 4, home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01log"
        - It lies deeper
    "#]];
    check_read("argo", found).await;
    let gone = expect![[r#"
        null
        identity nothing
        private ""
    "#]];
    check_read("lost", gone).await;
    let kept = expect![[r#"
        { draught = 3, home = null, name = "foggy" }
        identity { home = null, name = "foggy" }
        private "\x01log"
        - It lies deeper
        - The provider read an object without knowing all of it
    "#]];
    check_read("foggy", kept).await;
}

/// An error that takes the state along would lose the object.
#[tokio::test]
async fn what_cannot_be_answered_leaves_the_object_as_it_was() {
    let server = Arc::new(Server::new(Harbour));
    let planning = plan_resource_change::Request {
        type_name: SHIP.to_owned(),
        prior_state: Some(ship("argo", 3)),
        proposed_new_state: Some(ship("hydra", 3)),
        config: Some(ship("hydra", 3)),
        prior_private: LOG.to_vec(),
        ..Default::default()
    };
    let applying = apply_resource_change::Request {
        type_name: SHIP.to_owned(),
        prior_state: Some(ship("argo", 3)),
        planned_state: Some(ship("hydra", 3)),
        config: Some(ship("hydra", 3)),
        planned_private: LOG.to_vec(),
        ..Default::default()
    };
    let answers = [
        read(Arc::clone(&server), reading("argo")).await,
        plan(Arc::clone(&server), planning).await,
        apply(server, applying).await,
    ];
    expect![[r#"
        { draught = 3, home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01log"
        - The provider is not configured
        { draught = 3, home = null, name = "argo" }
        identity nothing
        private "\x01log"
        - The provider is not configured
        { draught = 3, home = null, name = "argo" }
        identity nothing
        private "\x01log"
        - The provider is not configured
    "#]]
    .assert_eq(&answers.concat());
}

async fn check_plan(name: Value, expected: Expect) {
    let config = ship(name, Value::Null);
    let request = plan_resource_change::Request {
        type_name: SHIP.to_owned(),
        proposed_new_state: Some(config.clone()),
        config: Some(config),
        ..Default::default()
    };
    expected.assert_eq(&plan(configured_of(Harbour).await, request).await);
}

/// What may be left out of an import may be null.
#[tokio::test]
async fn a_planned_object_has_an_identity_once_all_that_it_needs_is_known() {
    let known = expect![[r#"
        { draught = (known after apply), home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01"
    "#]];
    check_plan("argo".into(), known).await;
    let unknown = expect![[r#"
        { draught = (known after apply), home = null, name = (known after apply) }
        identity nothing
        private "\x01"
    "#]];
    check_plan(Value::Unknown, unknown).await;
}

#[tokio::test]
async fn the_plan_of_an_end_is_null_and_hands_private_data_to_the_deletion() {
    let request = plan_resource_change::Request {
        type_name: SHIP.to_owned(),
        prior_state: Some(ship("argo", 3)),
        prior_private: LOG.to_vec(),
        ..Default::default()
    };
    expect![[r#"
        null
        identity nothing
        private "\x01log, sold"
        - A ship is gone for good
    "#]]
    .assert_eq(&plan(configured_of(Harbour).await, request).await);
}

async fn check_apply(name: &str, expected: Expect) {
    let request = apply_resource_change::Request {
        type_name: SHIP.to_owned(),
        planned_state: Some(ship(name, Value::Unknown)),
        config: Some(ship(name, Value::Null)),
        planned_private: LOG.to_vec(),
        ..Default::default()
    };
    expected.assert_eq(&apply(configured_of(Harbour).await, request).await);
}

#[tokio::test]
async fn what_was_applied_has_its_identity_and_private_data_and_is_held_against_the_plan() {
    let made = expect![[r#"
        { draught = 3, home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01log"
    "#]];
    check_apply("argo", made).await;
    let other = expect![[r#"
        { draught = 3, home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01log"
        - The provider applied something else than it planned
    "#]];
    check_apply("rechristened", other).await;
}

#[tokio::test]
async fn what_was_deleted_leaves_neither_identity_nor_private_data() {
    let request = apply_resource_change::Request {
        type_name: SHIP.to_owned(),
        prior_state: Some(ship("argo", 3)),
        planned_private: LOG.to_vec(),
        ..Default::default()
    };
    expect![[r#"
        null
        identity nothing
        private ""
    "#]]
    .assert_eq(&apply(configured_of(Harbour).await, request).await);
}

async fn check_import(id: &str, named: Option<&str>, expected: Expect) {
    let request = import_resource_state::Request {
        type_name: SHIP.to_owned(),
        id: id.to_owned(),
        identity: named.map(identity),
        ..Default::default()
    };
    let answer = rpc::import::answer(configured_of(Harbour).await, request).await;
    let imported = answer.imported_resources.first();
    let private = imported.map(|it| it.private.as_slice());
    expected.assert_eq(&told(
        imported.and_then(|it| it.state.as_ref()),
        imported.and_then(|it| it.identity.as_ref()),
        private.unwrap_or_default(),
        &answer.diagnostics,
    ));
}

#[tokio::test]
async fn an_import_goes_by_the_id_or_else_by_the_identity() {
    for (id, named) in [("argo", None), ("", Some("argo")), ("argo", Some("hydra"))] {
        let imported = expect![[r#"
            { draught = null, home = null, name = "argo" }
            identity { home = null, name = "argo" }
            private "\x01papers"
        "#]];
        check_import(id, named, imported).await;
    }
}

#[tokio::test]
async fn an_import_that_finds_nothing_has_one_reason() {
    let untold = expect![[r#"
        nothing
        identity nothing
        private ""
        - There is nothing to import
    "#]];
    check_import("lost", None, untold).await;
    let reason = expect![[r#"
        nothing
        identity nothing
        private ""
        - Its crew sends no papers
    "#]];
    check_import("mutinous", None, reason).await;
}

async fn check_move(type_name: &str, json: &str, expected: Expect) {
    let request = move_resource_state::Request {
        source_type_name: type_name.to_owned(),
        source_state: Some(raw(json)),
        target_type_name: SHIP.to_owned(),
        ..Default::default()
    };
    let answer = rpc::moved::answer(configured_of(Harbour).await, request).await;
    expected.assert_eq(&told(
        answer.target_state.as_ref(),
        answer.target_identity.as_ref(),
        &answer.target_private,
        &answer.diagnostics,
    ));
}

#[tokio::test]
async fn an_object_of_another_type_is_taken_over_or_refused_with_one_reason() {
    let name = r#"{"name":"argo"}"#;
    let moved = expect![[r#"
        { draught = null, home = null, name = "argo" }
        identity { home = null, name = "argo" }
        private "\x01"
    "#]];
    check_move("harbour_boat", name, moved).await;
    let refused = expect![[r#"
        nothing
        identity nothing
        private ""
        - A wreck is no ship
    "#]];
    check_move("harbour_wreck", name, refused).await;
    let no_way = expect![[r#"
        nothing
        identity nothing
        private ""
        - There is no way from that resource type
    "#]];
    check_move("harbour_buoy", "{}", no_way).await;
    let unreadable = expect![[r#"
        nothing
        identity nothing
        private ""
        - The state of the other resource cannot be read
    "#]];
    check_move("harbour_boat", "", unreadable).await;
}

#[tokio::test]
async fn an_older_state_is_brought_to_this_version_or_refused_with_one_reason() {
    let upgrade = async |version, json: &str| {
        let request = upgrade_resource_state::Request {
            type_name: SHIP.to_owned(),
            version,
            raw_state: Some(raw(json)),
        };
        let answer = rpc::upgrade::answer(configured_of(Harbour).await, request).await;
        let found = answer.diagnostics.into_iter().map(|it| it.summary);
        (
            shown(answer.upgraded_state.as_ref(), &kind()),
            found.collect::<Vec<_>>(),
        )
    };
    let now = r#"{ draught = 3, home = null, name = "argo" }"#;
    for (version, json, state, found) in [
        (1, r#"{"called":"argo","draught":3}"#, now, None),
        (1, "{}", "nothing", Some("It was never called anything")),
        (0, "{}", "nothing", Some("The state is too old")),
    ] {
        let found: Vec<_> = found.into_iter().map(str::to_owned).collect();
        let expected = (state.to_owned(), found);
        assert_eq!(upgrade(version, json).await, expected, "{version} {json}");
    }
}

#[tokio::test]
async fn a_resource_tells_what_names_it() {
    let request = get_resource_identity_schemas::Request {};
    let answer = rpc::identity::schemas(configured_of(Harbour).await, request).await;
    let parts = &answer.identity_schemas[SHIP].identity_attributes;
    let parts: Vec<_> = parts
        .iter()
        .map(|it| (it.name.as_str(), it.required_for_import))
        .collect();
    assert_eq!(parts, [("name", true), ("home", false)]);
}

#[tokio::test]
async fn a_stored_identity_is_read_or_refused_with_a_reason() {
    for (type_name, json, identity, found) in [
        (
            SHIP,
            r#"{"name":"argo"}"#,
            r#"{ home = null, name = "argo" }"#,
            None,
        ),
        (
            SHIP,
            r#"{"name":["argo"]}"#,
            "nothing",
            Some("The identity does not fit the schema"),
        ),
        (
            "harbour_crane",
            "{}",
            "nothing",
            Some("There is no such resource identity"),
        ),
    ] {
        let request = upgrade_resource_identity::Request {
            type_name: type_name.to_owned(),
            version: 0,
            raw_identity: Some(raw(json)),
        };
        let answer = rpc::identity::upgrade(configured_of(Harbour).await, request).await;
        let upgraded = answer.upgraded_identity.and_then(|it| it.identity_data);
        assert_eq!(shown(upgraded.as_ref(), &identity_kind()), identity);
        let told = answer.diagnostics.first().map(|it| it.summary.as_str());
        assert_eq!(told, found, "{json}");
    }
}
