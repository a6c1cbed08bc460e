//! Values, as Terraform packs them.

use bolero::check;
use paymesh::cluster::ClusterSpec;
use paymesh_fuzz::{Choices, bytes, document};
use paymesh_plugin::{entries, schema::AttributeType, spec, value::Value};

use crate::samples;

/// What is read can be written, and is read again as what it was.
#[test]
fn a_packed_value() {
    let any = || Box::new(AttributeType::Dynamic);
    let kinds = [
        AttributeType::Dynamic,
        spec::schema::<ClusterSpec>().object_type(),
        AttributeType::List(any()),
        AttributeType::Map(any()),
        AttributeType::Tuple(vec![AttributeType::Number, AttributeType::Dynamic]),
        AttributeType::Map(Box::new(AttributeType::Number)),
    ];
    let states = samples::states();
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let kind = choices.one_of(&kinds);
        let packed = if choices.is_one_in(4) {
            choices.rest().to_vec()
        } else {
            let value = Value::from_json(&document(&mut choices, &states));
            let sample = entries::bytes(&value, kind).unwrap_or_default();
            bytes(&mut choices, &sample)
        };
        if let Some(value) = entries::value(&packed, kind) {
            let again = entries::bytes(&value, kind).expect("what was read can be written");
            assert_eq!(entries::value(&again, kind), Some(value));
        }
    });
}

/// The type that a dynamic value brings with it.
#[test]
fn a_type() {
    let samples: [serde_json::Value; 2] = [
        "[\"object\", {\"a\": [\"list\", \"string\"], \"b\": [\"map\", \"dynamic\"]}]",
        "[\"tuple\", [\"bool\", [\"set\", \"number\"]]]",
    ]
    .map(|text| serde_json::from_str(text).expect("a sample is JSON"));
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let json = document(&mut choices, &samples).to_string();
        let _ = entries::kind(&bytes(&mut choices, json.as_bytes()));
    });
}
