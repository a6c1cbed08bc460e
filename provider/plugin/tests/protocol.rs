//! The protocol definition, field by field against the one that `HashiCorp` publishes inside the Go
//! module terraform-plugin-go, of which `tests/protocol/fields.txt` is a print. `UPDATE_EXPECT=1`
//! with `--ignored` prints the version anew that `tests/protocol/go.mod` names.

use std::{collections::BTreeSet, path::Path, process::Command};

use expect_test::expect_file;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// What Terraform 1.16 has and that one (terraform-plugin-go 0.31) does not have yet.
const NEWER: [&str; 4] = [
    "tfplugin6.ClientCapabilities.computed_blocks_allowed = 4 bool",
    "tfplugin6.ClientCapabilities.store_planned_private = 3 bool",
    "tfplugin6.PlanResourceChange.Request.planned_private = 9 bytes",
    "tfplugin6.Schema.Block.computed = 8 bool",
];

/// Every field, enum value and method of the definition in `folder`.
fn lines(folder: &Path) -> BTreeSet<String> {
    let set = protox::compile(["tfplugin6.proto"], [folder]).unwrap();
    let file = set
        .file
        .iter()
        .find(|file| file.package() == "tfplugin6")
        .unwrap();
    let mut lines = BTreeSet::new();
    for message in &file.message_type {
        add_message(message, "tfplugin6", &mut lines);
    }
    for choice in &file.enum_type {
        add_enum(choice, "tfplugin6", &mut lines);
    }
    for method in file.service.iter().flat_map(|service| &service.method) {
        let name = |name: &str| name.trim_start_matches('.').to_owned();
        let mut line = format!(
            "rpc {} {} {}",
            method.name(),
            name(method.input_type()),
            name(method.output_type())
        );
        if method.client_streaming() {
            line += " client-streams";
        }
        if method.server_streaming() {
            line += " server-streams";
        }
        lines.insert(line);
    }
    lines
}

fn add_message(message: &DescriptorProto, parent: &str, lines: &mut BTreeSet<String>) {
    let path = format!("{parent}.{}", message.name());
    for field in &message.field {
        let (label, kind) = (label(field), kind(field));
        lines.insert(format!(
            "{path}.{} = {} {label}{kind}",
            field.name(),
            field.number()
        ));
    }
    for inner in &message.nested_type {
        add_message(inner, &path, lines);
    }
    for choice in &message.enum_type {
        add_enum(choice, &path, lines);
    }
}

fn add_enum(choice: &EnumDescriptorProto, parent: &str, lines: &mut BTreeSet<String>) {
    for value in &choice.value {
        lines.insert(format!(
            "{parent}.{}.{} = {}",
            choice.name(),
            value.name(),
            value.number()
        ));
    }
}

fn label(field: &FieldDescriptorProto) -> &'static str {
    match field.label() {
        Label::Repeated => "repeated ",
        _ if field.proto3_optional() => "optional ",
        _ => "",
    }
}

fn kind(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        kind => kind
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    }
}

#[test]
fn every_field_is_as_published() {
    let published: BTreeSet<String> = include_str!("protocol/fields.txt")
        .lines()
        .map(str::to_owned)
        .collect();
    let ours = lines(Path::new("proto"));
    let missing: Vec<_> = published.difference(&ours).collect();
    let ours_only: Vec<_> = ours.difference(&published).collect();
    assert!(missing.is_empty(), "not in our definition: {missing:#?}");
    assert_eq!(ours_only, NEWER.each_ref(), "only in our definition");
}

/// The folder of the Go module, fetched if need be.
fn module() -> String {
    let answer = Command::new("go")
        .args(["mod", "download", "-json"])
        .arg("github.com/hashicorp/terraform-plugin-go")
        .current_dir("tests/protocol")
        .output()
        .expect("Go is installed: https://go.dev/dl");
    let said: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    let folder = said["Dir"].as_str();
    let why = || String::from_utf8_lossy(&answer.stderr);
    folder
        .unwrap_or_else(|| panic!("the module cannot be had: {said} {}", why()))
        .to_owned()
}

#[test]
#[ignore = "needs Go and its module proxy: the stage `protocol` of make test"]
fn the_print_is_of_what_is_published() {
    let published = lines(&Path::new(&module()).join("tfprotov6/internal/tfplugin6"));
    let print = published.into_iter().collect::<Vec<_>>().join("\n");
    expect_file!["protocol/fields.txt"].assert_eq(&format!("{print}\n"));
}
