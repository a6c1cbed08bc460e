//! The typed layer, from the outside: one declaration, and everything that follows from it.

#![allow(clippy::needless_pass_by_value, reason = "an expectation is used once")]

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use paymesh_plugin::at;
use paymesh_plugin::findings::Findings;
use paymesh_plugin::path::Path;
use paymesh_plugin::schema::{AttributeType, Presence};
use paymesh_plugin::spec::{
    Attribute, Attributes, Choice, Draft, DraftObject, DurationText, Field, Secret, Sensitive,
    Spec, Status, Text, Timeouts, provider_schema, state_value,
};
use paymesh_plugin::value::{Number, Value};
use proptest::prelude::*;
use proptest::strategy::Strategy;

/// A fortress of towers.
///
/// It is created when every tower stands.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "test_fortress", version = 2, status = FortressStatus, rule = no_open_ruin)]
struct FortressSpec {
    /// Name of the fortress.
    #[attr(replace, identity, check = dns_label(1..=10))]
    name: String,
    /// How it is built.
    #[attr(default = Style::RoundTower)]
    style: Style,
    /// Towers by name.
    #[attr(check = elements(1..=3))]
    towers: BTreeMap<TowerName, Tower>,
    /// A moat; exactly one of `moat` and `wall`.
    #[attr(one_of = "guard", replace)]
    moat: Option<Moat>,
    /// A wall; exactly one of `moat` and `wall`.
    #[attr(one_of = "guard")]
    wall: Option<Wall>,
    /// Word that opens the gate.
    password: Secret<String>,
    /// Grows when the password changes.
    password_version: u32,
    /// Names of the owners.
    #[attr(default = Vec::new(), check = each(non_empty()))]
    owners: Vec<String>,
    /// Its old name.
    #[deprecated(note = "use `name`")]
    #[attr(since = "0.2")]
    title: Option<String>,
    /// Whether the gate is open.
    #[attr(default = false)]
    open: bool,
    /// Longest times.
    timeouts: Option<Timeouts>,
}

/// What stands there.
#[derive(Clone, Debug, PartialEq, Status)]
struct FortressStatus {
    /// Identifier.
    id: String,
    /// Towers as they are.
    running_towers: BTreeMap<String, Tower>,
}

/// How a fortress is built.
#[derive(Clone, Debug, PartialEq, Choice)]
enum Style {
    /// Round towers.
    RoundTower,
    /// Fallen walls.
    Ruin,
}

/// Name of a tower.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Text)]
#[text(check = dns_label(1..=6))]
struct TowerName(String);

/// A tower.
#[derive(Clone, Debug, PartialEq, Attributes)]
#[attributes(rule = windows_need_height)]
struct Tower {
    /// Height in metres.
    #[attr(check = range(1..=100))]
    height: u16,
    /// Number of windows.
    #[attr(default = 4)]
    windows: u8,
}

/// A moat.
#[derive(Clone, Debug, PartialEq, Attributes)]
struct Moat {
    /// Depth in metres.
    #[attr(replace)]
    depth: u8,
}

/// A wall.
#[derive(Clone, Debug, PartialEq, Attributes)]
struct Wall {
    /// Its stones.
    stones: Option<u32>,
}

/// A road to a fortress.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "test_road", version = 3)]
struct RoadSpec {
    /// Length in leagues.
    #[attr(rolling)]
    leagues: f64,
    /// Whether it is paved.
    paved: bool,
    /// Who pays no toll.
    free: BTreeSet<String>,
    /// Its stages in order.
    stages: Vec<Stage>,
    /// Signs by place.
    signs: BTreeMap<String, String>,
    /// What its bridges are like.
    bridges: Vec<Style>,
    /// Longest ride.
    #[attr(check = lasting("5m", "24h"))]
    ride: DurationText,
    /// Lamps beside it.
    #[attr(default = Lamps::default())]
    lamps: Lamps,
    /// A river beside it.
    #[attr(at_most_one = "side")]
    river: Option<String>,
    /// A canal beside it.
    #[attr(at_most_one = "side")]
    canal: Option<String>,
    /// Word of its guards.
    watchword: Sensitive<String>,
}

/// A stage of a road.
#[derive(Clone, Debug, PartialEq, Attributes)]
struct Stage {
    /// Where it ends.
    end: String,
    /// Nights that it takes.
    #[attr(default = 1)]
    nights: u8,
}

/// Lamps beside a road.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
struct Lamps {
    /// Days that their oil lasts.
    #[attr(default = 0)]
    days: u8,
}

fn no_open_ruin(draft: &Draft<FortressSpec>, _: &Path, found: &mut Findings) {
    if draft.style.is(Style::Ruin) && draft.open.is(true) {
        found
            .error(at!(open), "A ruin has no gate")
            .hint("remove open");
    }
}

fn windows_need_height(draft: &Draft<Tower>, at: &Path, found: &mut Findings) {
    if let (Field::Known(height), Field::Known(windows)) = (&draft.height, &draft.windows)
        && u16::from(*windows) > *height
    {
        found.error(at!(below at => windows), "More windows than metres");
    }
}

fn tower(height: i64) -> Value {
    Value::map([("height", Value::from(height))])
}

/// A configuration that has nothing wrong, with some attributes changed.
fn config<const N: usize>(changes: [(&str, Value); N]) -> Value {
    let mut config = Value::map([
        ("name", Value::from("alba")),
        ("towers", Value::map([("north", tower(20))])),
        ("wall", Value::map([("stones", Value::Null)])),
        ("password", Value::from("hunter2")),
        ("password_version", Value::from(1)),
    ]);
    for (name, value) in changes {
        config.set(name, value);
    }
    config
}

fn words(words: &[&str]) -> Value {
    Value::list(words.iter().map(|word| Value::from(*word)))
}

/// A road that has nothing wrong, with some attributes changed.
fn road<const N: usize>(changes: [(&str, Value); N]) -> Value {
    let stage =
        |end: &str, nights: Value| Value::map([("end", Value::from(end)), ("nights", nights)]);
    let mut road = Value::map([
        ("leagues", Value::from(Number::parse("1.5"))),
        ("paved", Value::from(true)),
        ("free", words(&["bard", "monk"])),
        (
            "stages",
            Value::list([stage("ford", Value::from(3)), stage("inn", Value::Null)]),
        ),
        ("signs", Value::map([("ford", Value::from("left"))])),
        ("bridges", words(&["ruin"])),
        ("ride", Value::from("90m")),
        ("canal", Value::from("east")),
        ("watchword", Value::from("owl")),
    ]);
    for (name, value) in changes {
        road.set(name, value);
    }
    road
}

fn check_findings(config: &Value, expected: Expect) {
    let mut found = Findings::new();
    let decoded = FortressSpec::decode(config, &mut found);
    assert_eq!(decoded.is_none(), found.has_errors());
    expected.assert_eq(&found.to_string());
}

#[test]
fn a_good_configuration_is_decoded_with_its_defaults() {
    let mut found = Findings::new();
    let spec = FortressSpec::decode(&config([]), &mut found).unwrap();
    assert!(found.is_empty(), "{found}");
    assert_eq!(spec.style, Style::RoundTower);
    assert_eq!(spec.password.reveal().unwrap(), "hunter2");
    let north: TowerName = "north".parse().unwrap();
    assert_eq!(spec.towers[&north].windows, 4);
    expect![[r#"{ moat = null, name = "alba", open = false, owners = [], password = null, password_version = 1, style = "round_tower", timeouts = null, title = null, towers = { north = { height = 20, windows = 4 } }, wall = { stones = null } }"#]]
        .assert_eq(&spec.encode().to_string());
    let planned = FortressSpec::object_shape().with_defaults(&config([]));
    assert_eq!(planned, spec.encode());
    let recalled = FortressSpec::recall(&planned, &mut found).unwrap();
    assert_eq!(recalled.password.reveal(), None);
}

#[test]
fn every_kind_of_value_is_read_written_back_and_planned_alike() {
    let mut found = Findings::new();
    let spec = RoadSpec::decode(&road([]), &mut found).unwrap();
    assert!(found.is_empty(), "{found}");
    expect![[r#"{ bridges = ["ruin"], canal = "east", free = ["bard", "monk"], lamps = { days = 0 }, leagues = 1.5, paved = true, ride = "90m", river = null, signs = { ford = "left" }, stages = [{ end = "ford", nights = 3 }, { end = "inn", nights = 1 }], watchword = "owl" }"#]]
        .assert_eq(&spec.encode().to_string());
    let planned = RoadSpec::object_shape().with_defaults(&road([]));
    assert_eq!(planned, spec.encode());
}

#[test]
fn a_word_is_parsed_as_what_it_means_or_refused_with_what_it_may_be() {
    assert_eq!("ruin".parse::<Style>(), Ok(Style::Ruin));
    assert_eq!(
        "square".parse::<Style>(),
        Err("\"square\" is not one of `round_tower` and `ruin`".to_owned())
    );
}

#[test]
fn all_problems_are_reported_at_once_with_their_paths() {
    let towers = Value::map([("Keep", tower(20)), ("low", tower(2)), ("tall", tower(101))]);
    check_findings(
        &config([
            ("name", "Alba!".into()),
            ("style", "square".into()),
            ("towers", towers),
            ("moat", Value::map([("depth", Value::from(300))])),
            ("owners", Value::list(["".into()])),
            ("open", "yes".into()),
        ]),
        expect![[r#"
            error PM005 at name: Value breaks the rule of its attribute
              It is "Alba!".
              Use 1 to 10 characters of `a-z`, `0-9` and `-`, with a letter first and no hyphen last.
            error PM004 at style: Value is not allowed
              "square" is not one of the allowed values.
              Use one of `round_tower` and `ruin`.
            error PM008 at towers["Keep"]: Key breaks the rule of its map
              It is "Keep".
              Rename the key: use 1 to 6 characters of `a-z`, `0-9` and `-`, with a letter first and no hyphen last.
            error at towers["low"].windows: More windows than metres
            error PM005 at towers["tall"].height: Value breaks the rule of its attribute
              It is 101.
              Use a number from 1 to 100.
            error PM003 at moat.depth: Number does not fit its attribute
              300 is not a whole number from 0 to 255.
              Use a whole number from 0 to 255.
            error PM005 at owners: Value breaks the rule of its attribute
              The text is empty.
              Use elements that are each a text that is not empty.
            error PM002 at open: Value is of another type
              Found a string, where `true` or `false` is needed.
              Write `true` or `false`.
            error PM007 at moat: Attributes exclude each other
              `moat` is set together with another of `moat`, `wall`.
              Keep one of `moat`, `wall` and remove the others.
            error PM007 at wall: Attributes exclude each other
              `wall` is set together with another of `moat`, `wall`.
              Keep one of `moat`, `wall` and remove the others.
        "#]],
    );
}

#[test]
fn a_missing_guard_and_missing_values_are_reported() {
    check_findings(
        &config([("wall", Value::Null)]),
        expect![[r#"
            error PM006: One attribute of a group is missing
              None of `moat`, `wall` is set.
              Set exactly one of `moat`, `wall`.
        "#]],
    );
    check_findings(
        &config([("name", Value::Null), ("password_version", Value::Unknown)]),
        expect![[r#"
            error PM001 at name: Required value is missing
              This attribute must have a value.
              Set it.
            error PM009 at password_version: Value is not known yet
              Every value must be known here, and this one is not.
              Report this as a defect of the provider.
        "#]],
    );
}

#[test]
fn a_null_element_is_refused_where_it_stands_unless_null_is_one_of_its_values() {
    let holed = Value::list(["ana".into(), Value::Null]);
    check_findings(
        &config([("owners", holed.clone())]),
        expect![[r#"
            error PM001 at owners[1]: Element is null
              Every element must have a value, and this one is null.
              Give it a value, or leave the element out.
        "#]],
    );
    let mut found = Findings::new();
    let read = Vec::<Option<String>>::decode(&holed, &mut found);
    assert_eq!(read, Some(vec![Some("ana".to_owned()), None]), "{found}");
}

#[test]
fn a_group_of_which_at_most_one_is_set_may_be_left_out() {
    for (river, canal, refused) in [
        (Value::Null, Value::Null, false),
        ("east".into(), Value::Null, false),
        ("east".into(), "west".into(), true),
    ] {
        let mut found = Findings::new();
        RoadSpec::decode(&road([("river", river), ("canal", canal)]), &mut found);
        assert_eq!(found.has_errors(), refused, "{found}");
    }
}

#[test]
fn a_rule_sees_defaults_and_waits_for_unknowns() {
    let ruin = config([("style", "ruin".into()), ("open", true.into())]);
    check_findings(
        &ruin,
        expect![[r#"
        error at open: A ruin has no gate
          Remove open.
    "#]],
    );
    for unknown in ["style", "open"] {
        let mut found = Findings::new();
        let mut ruin = ruin.clone();
        ruin.set(unknown, Value::Unknown);
        let draft = FortressSpec::read(&ruin, &mut found);
        assert!(found.is_empty(), "{found}");
        assert!(draft.open.is_unknown() || draft.style.is_unknown());
    }
}

#[test]
fn a_group_with_an_unknown_member_is_not_judged() {
    let mut found = Findings::new();
    let unsure = config([("wall", Value::Null), ("moat", Value::Unknown)]);
    FortressSpec::read(&unsure, &mut found);
    assert!(found.is_empty(), "{found}");
}

#[test]
fn a_state_is_read_without_todays_rules() {
    let mut found = Findings::new();
    let old = config([("name", "OLD NAME".into()), ("wall", Value::Null)]);
    assert!(FortressSpec::recall(&old, &mut found).is_some(), "{found}");
    assert!(found.is_empty(), "{found}");
}

#[test]
fn an_unfinished_status_is_a_draft() {
    let mut draft = Draft::<FortressStatus>::unknown();
    draft.id = Field::Null;
    let value = FortressStatus::draft_value(&draft);
    assert_eq!(
        value.to_string(),
        "{ id = null, running_towers = (known after apply) }"
    );
    let mut found = Findings::new();
    assert_eq!(FortressStatus::read_state(&value, &mut found), draft);
    let state = state_value(config([]), value);
    assert!(state.entry("running_towers").is_unknown());
    assert_eq!(state.entry("name"), &"alba".into());
}

#[test]
fn changes_name_their_paths_and_what_they_replace() {
    let shape = FortressSpec::object_shape();
    let before = shape.with_defaults(&config([("moat", Value::map([("depth", Value::from(3))]))]));
    let after = shape.with_defaults(&config([
        ("name", "nova".into()),
        (
            "towers",
            Value::map([("north", tower(21)), ("south", Value::Unknown)]),
        ),
        ("moat", Value::map([("depth", Value::from(4))])),
        ("wall", Value::Null),
    ]));
    let lines: Vec<_> = shape
        .changes(&before, &after)
        .iter()
        .map(|change| format!("{change}\n"))
        .collect();
    expect![[r#"
        -/+ name  "alba" -> "nova"  forces replacement
          ~ towers["north"].height  20 -> 21
          + towers["south"]  null -> (known after apply)
        -/+ moat.depth  3 -> 4  forces replacement
          - wall  { stones = null } -> null
    "#]]
    .assert_eq(&lines.concat());
    assert!(
        shape
            .changes(&after, &after)
            .iter()
            .all(|change| change.after.is_unknown())
    );
}

#[test]
fn a_change_in_a_collection_is_told_as_deep_as_its_elements_can_be_matched() {
    let shape = RoadSpec::object_shape();
    let stages = |nights: &[i64]| {
        Value::list(
            nights
                .iter()
                .map(|nights| Value::map([("nights", Value::from(*nights))])),
        )
    };
    for (name, before, after, expected) in [
        (
            "free",
            words(&["bard", "monk"]),
            words(&["monk", "bard"]),
            "",
        ),
        (
            "free",
            words(&["bard", "monk"]),
            words(&["monk"]),
            r#"  ~ free  ["bard", "monk"] -> ["monk"]"#,
        ),
        (
            "bridges",
            words(&["ruin"]),
            words(&["round_tower"]),
            r#"  ~ bridges  ["ruin"] -> ["round_tower"]"#,
        ),
        (
            "stages",
            stages(&[1, 2]),
            stages(&[1, 3]),
            "  ~ stages[1].nights  2 -> 3",
        ),
        (
            "stages",
            stages(&[1, 2]),
            stages(&[1]),
            "  ~ stages  [{ nights = 1 }, { nights = 2 }] -> [{ nights = 1 }]",
        ),
    ] {
        let changes = shape.changes(&Value::map([(name, before)]), &Value::map([(name, after)]));
        let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), expected);
    }
}

#[test]
fn what_is_write_only_or_reported_is_never_a_change() {
    let another = config([("password", "another".into())]);
    let told = FortressSpec::object_shape().changes(&config([]), &another);
    assert!(told.is_empty(), "{told:?}");
    let status = |id: &str| Value::map([("id", Value::from(id))]);
    let told = FortressStatus::object_shape().changes(&status("a"), &status("b"));
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_secret_never_prints() {
    let mut found = Findings::new();
    let draft = FortressSpec::read(&config([]), &mut found);
    let spec = FortressSpec::decode(&config([]), &mut found).unwrap();
    let printed = format!("{draft:?} {spec:?} {} {found}", spec.password);
    assert!(!printed.contains("hunter2"), "{printed}");
    let wrong = config([("password", Value::list(["hunter2".into()]))]);
    FortressSpec::read(&wrong, &mut found);
    assert!(found.has_errors() && !found.to_string().contains("hunter2"));
    let encoded = FortressSpec::draft_value(&draft);
    assert!(!encoded.to_string().contains("hunter2"));
}

#[test]
fn the_schema_says_everything_at_every_depth() {
    expect![[r#"
        test_fortress version 2
          name: string (required) Name of the fortress. Must be 1 to 10 characters of `a-z`, `0-9` and `-`, with a letter first and no hyphen last. A change makes a new object.
          style: string (optional, computed) How it is built. One of `round_tower` (Round towers), `ruin` (Fallen walls). Default: `"round_tower"`.
          towers: map(object) (required) Towers by name. Keys must be 1 to 6 characters of `a-z`, `0-9` and `-`, with a letter first and no hyphen last. Must be 1 to 3 elements.
            height: number (required) Height in metres. Must be a number from 1 to 100.
            windows: number (optional, computed) Number of windows. A whole number of at most 255. Default: `4`.
          moat: object (optional) A moat; exactly one of `moat` and `wall`. Adding or removing it makes a new object.
            depth: number (required) Depth in metres. A whole number of at most 255. A change makes a new object.
          wall: object (optional) A wall; exactly one of `moat` and `wall`.
            stones: number (optional) Its stones.
          password: string (required, write-only, sensitive) Word that opens the gate. Write-only (Terraform 1.11 or later): never stored; change `password_version` to send it again.
          password_version: number (required) Grows when the password changes.
          owners: list(string) (optional, computed) Names of the owners. Must be elements that are each a text that is not empty. Default: `[]`.
          title: string (optional, deprecated) Its old name. Since version 0.2.
          open: bool (optional, computed) Whether the gate is open. Default: `false`.
          timeouts: object (optional) Longest times.
            create: string (optional) Longest time to create. Must be a duration such as `90m` or `1h30m`.
            read: string (optional) Longest time to read. Must be a duration such as `90m` or `1h30m`.
            update: string (optional) Longest time to update. Must be a duration such as `90m` or `1h30m`.
            delete: string (optional) Longest time to delete. Must be a duration such as `90m` or `1h30m`.
          id: string (computed) Identifier.
          running_towers: map(object) (computed) Towers as they are.
            height: number (computed) Height in metres.
            windows: number (computed) Number of windows.
        identity: name
    "#]].assert_eq(&paymesh_plugin::spec::golden::<FortressSpec>());
}

#[test]
fn the_schema_says_what_a_collection_a_group_and_an_object_left_out_mean() {
    expect![[r#"
        test_road version 3
          leagues: number (required) Length in leagues. A change is rolled out step by step.
          paved: bool (required) Whether it is paved.
          free: set(string) (required) Who pays no toll.
          stages: list(object) (required) Its stages in order.
            end: string (required) Where it ends.
            nights: number (optional, computed) Nights that it takes. A whole number of at most 255. Default: `1`.
          signs: map(string) (required) Signs by place.
          bridges: list(string) (required) What its bridges are like. One of `round_tower` (Round towers), `ruin` (Fallen walls).
          ride: string (required) Longest ride. Must be a duration such as `90m` or `1h30m`. Must be a duration from `5m` to `24h`.
          lamps: object (optional, computed) Lamps beside it. Left out, everything in it has its default.
            days: number (optional, computed) Days that their oil lasts. A whole number of at most 255. Default: `0`.
          river: string (optional) A river beside it. At most one of `river`, `canal` may be set.
          canal: string (optional) A canal beside it. At most one of `river`, `canal` may be set.
          watchword: string (required, sensitive) Word of its guards.
    "#]]
    .assert_eq(&paymesh_plugin::spec::golden::<RoadSpec>());
}

#[test]
fn a_provider_block_has_no_version_and_computes_nothing_at_any_depth() {
    use Presence::{Optional, Required};
    let block = provider_schema::<RoadSpec>();
    let mut told = Vec::new();
    for attribute in &block.attributes {
        told.push((attribute.name.as_str(), attribute.presence));
        if let AttributeType::Nested(_, inner) = &attribute.kind {
            let inner = inner.iter();
            told.extend(inner.map(|attribute| (attribute.name.as_str(), attribute.presence)));
        }
    }
    let expected = [
        ("leagues", Required),
        ("paved", Required),
        ("free", Required),
        ("stages", Required),
        ("end", Required),
        ("nights", Optional),
        ("signs", Required),
        ("bridges", Required),
        ("ride", Required),
        ("lamps", Optional),
        ("days", Optional),
        ("river", Optional),
        ("canal", Optional),
        ("watchword", Required),
    ];
    assert_eq!((block.version, told), (0, expected.to_vec()));
}

#[test]
fn a_path_is_written_as_in_hcl() {
    let key: TowerName = "north".parse().unwrap();
    let index = 2;
    assert_eq!(
        at!(towers[key].height).to_string(),
        r#"towers["north"].height"#
    );
    assert_eq!(at!(owners[#index]).to_string(), "owners[2]");
    assert_eq!(at!(below at!(moat) => depth).to_string(), "moat.depth");
    assert!(at!().is_root());
}

/// Any value, mostly with the names of the declaration, so that reading gets past the first step.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(Value::Unknown),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..120_i64).prop_map(Value::from),
        "[a-z]{0,8}|ruin|round_tower|.{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let name = prop::sample::select(vec![
            "name",
            "style",
            "towers",
            "moat",
            "wall",
            "password",
            "password_version",
            "owners",
            "title",
            "open",
            "timeouts",
            "height",
            "windows",
            "depth",
            "stones",
            "create",
            "id",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
            prop::collection::vec((name, inner), 0..10).prop_map(Value::map),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_makes_reading_panic(value in any_value()) {
        let mut found = Findings::new();
        let draft = FortressSpec::read(&value, &mut found);
        let decoded = FortressSpec::decode(&value, &mut Findings::new());
        prop_assert!(decoded.is_none() || !found.has_errors());
        let kept = |draft: &Draft<FortressSpec>| {
            FortressSpec::read_state(&FortressSpec::draft_value(draft), &mut Findings::new())
        };
        let once = kept(&draft);
        prop_assert_eq!(kept(&once), once);
    }

    #[test]
    fn defaults_are_filled_in_once(value in any_value()) {
        let shape = FortressSpec::object_shape();
        let planned = shape.with_defaults(&value);
        prop_assert_eq!(&shape.with_defaults(&planned), &planned);
        prop_assert!(shape.changes(&planned, &planned).iter().all(|change| !change.after.is_wholly_known()));
    }
}
