//! The pages that follow from declarations and examples.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use paymesh_plugin::docs::Site;
use paymesh_plugin::findings::Code;
use paymesh_plugin::function::{Parameter, Signature};
use paymesh_plugin::schema::AttributeType;
use paymesh_plugin::spec::{Attributes, Choice, Secret, Spec, Status};

/// Builds fortresses.
#[derive(Clone, Debug, Spec)]
#[spec(name = "test")]
struct ProviderSpec {
    /// Who owns what is built.
    #[attr(check = length(1..=63))]
    owner: String,
}

/// A fortress of towers.
///
/// It is created when every tower stands, which takes about 90 seconds.
///
/// ## Siege
///
/// A fortress under siege refuses every change.
#[derive(Clone, Debug, Spec)]
#[spec(name = "test_fortress", version = 1, status = FortressStatus)]
struct FortressSpec {
    /// Name of the fortress.
    #[attr(replace, identity, check = dns_label(1..=10))]
    name: String,
    /// How it is built.
    #[attr(default = Style::RoundTower)]
    style: Style,
    /// How it was built before.
    styles: Option<Vec<Style>>,
    /// Towers by name.
    towers: BTreeMap<String, Tower>,
    /// Word that opens the gate.
    password: Option<Secret<String>>,
    /// Grows when the password changes.
    password_version: Option<u32>,
    /// Its old name.
    #[deprecated(note = "use `name`")]
    #[attr(since = "0.2")]
    title: Option<String>,
}

/// What stands there.
#[derive(Clone, Debug, Status)]
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

/// A tower.
#[derive(Clone, Debug, Attributes)]
struct Tower {
    /// Height in metres.
    #[attr(rolling, check = range(1..=100))]
    height: u16,
    /// What guards the tower.
    #[attr(replace)]
    guard: Option<Guard>,
}

/// A guard.
#[derive(Clone, Debug, Attributes)]
struct Guard {
    /// Whether the guard sleeps.
    #[attr(default = false, replace)]
    asleep: bool,
}

fn site(root: &Path) -> Site {
    let examples = root.join("examples");
    let folder = examples.join("resources/test_fortress");
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in [
        (
            "resource.tf",
            "resource \"test_fortress\" \"alba\" {\n  name = \"alba\"\n}\n",
        ),
        ("resource-two-towers.tf", "# two\n"),
        ("import.sh", "terraform import test_fortress.alba alba\n"),
        (
            "import-by-identity.tf",
            "import {\n  to       = test_fortress.alba\n  identity = { name = \"alba\" }\n}\n",
        ),
        ("notes.txt", "not for users"),
    ] {
        fs::write(folder.join(file), text).unwrap();
    }
    Site::new::<ProviderSpec>(examples)
        .and_then(|site| site.resource::<FortressSpec>("Castles"))
        .and_then(|site| site.ephemeral::<FortressSpec>(""))
        .unwrap()
        .function(&Signature {
            name: "siege_days".into(),
            summary: "Days that a fortress holds.".into(),
            description: "Counts stores and mouths.".into(),
            parameters: vec![Parameter {
                name: "stores".into(),
                kind: AttributeType::Number,
                nullable: false,
                description: "Sacks of grain.".into(),
            }],
            variadic: Some(Parameter {
                name: "mouths".into(),
                kind: AttributeType::List(Box::new(AttributeType::String)),
                nullable: true,
                description: "Who eats.".into(),
            }),
            result: AttributeType::Number,
        })
        .unwrap()
        .codes(&[(Code(20), "The moat is dry", "Wait for rain.")])
}

#[test]
fn a_page_says_everything_at_every_depth() {
    let root = tempfile::tempdir().unwrap();
    let site = site(root.path());
    let page = |path: &str| site.pages()[Path::new(path)].as_str();
    expect_file!["golden/resource_page.md"].assert_eq(page("resources/fortress.md"));
    expect_file!["golden/provider_page.md"].assert_eq(page("index.md"));
    expect_file!["golden/function_page.md"].assert_eq(page("functions/siege_days.md"));
    expect_file!["golden/error_codes_page.md"].assert_eq(page("guides/error-codes.md"));
    assert!(!page("ephemeral-resources/fortress.md").contains("change in place"));
}

#[test]
fn a_stale_page_is_found_and_rewritten() {
    let root = tempfile::tempdir().unwrap();
    let (site, docs) = (site(root.path()), root.path().join("docs"));
    assert_eq!(site.differences(&docs).unwrap().len(), 5);
    site.write(&docs).unwrap();
    assert!(site.differences(&docs).unwrap().is_empty());
    fs::write(docs.join("index.md"), "edited by hand").unwrap();
    fs::write(
        docs.join("resources/gone.md"),
        "of a resource that no longer exists",
    )
    .unwrap();
    fs::write(docs.join("guides/written-by-hand.md"), "stays").unwrap();
    let stale = site.differences(&docs).unwrap();
    assert_eq!(
        stale,
        [Path::new("index.md"), Path::new("resources/gone.md")]
    );
    site.write(&docs).unwrap();
    assert!(site.differences(&docs).unwrap().is_empty());
    assert!(docs.join("guides/written-by-hand.md").exists());
}
