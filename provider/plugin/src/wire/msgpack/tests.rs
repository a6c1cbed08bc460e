//! What goes out comes back, and whatever comes in is answered without a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use rmp::encode::{write_array_len, write_bin};

use super::{decode, encode};
use crate::{
    schema::{Attribute, AttributeType, Nesting, Presence},
    value::{Number, Value},
    wire::types,
};

fn kinds() -> impl Strategy<Value = AttributeType> {
    let leaf = prop_oneof![
        Just(AttributeType::Bool),
        Just(AttributeType::Number),
        Just(AttributeType::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let named = prop::collection::btree_map("[a-z]{1,4}", inner.clone(), 0..4);
        let nesting = prop_oneof![
            Just(Nesting::Single),
            Just(Nesting::List),
            Just(Nesting::Set),
            Just(Nesting::Map),
        ];
        prop_oneof![
            inner
                .clone()
                .prop_map(|kind| AttributeType::List(Box::new(kind))),
            inner
                .clone()
                .prop_map(|kind| AttributeType::Set(Box::new(kind))),
            inner
                .clone()
                .prop_map(|kind| AttributeType::Map(Box::new(kind))),
            prop::collection::vec(inner, 0..3).prop_map(AttributeType::Tuple),
            named.clone().prop_map(AttributeType::Object),
            (nesting, named)
                .prop_map(|(nesting, named)| AttributeType::Nested(nesting, attributes(named))),
        ]
    })
}

fn attributes(named: BTreeMap<String, AttributeType>) -> Vec<Attribute> {
    let attribute = |(name, kind)| Attribute::new(name, kind, Presence::Optional, "Any.");
    named.into_iter().map(attribute).collect()
}

fn values(kind: &AttributeType) -> BoxedStrategy<Value> {
    let known = match kind {
        AttributeType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        AttributeType::Number => numbers().prop_map(Value::Number).boxed(),
        AttributeType::String => any::<String>().prop_map(Value::String).boxed(),
        AttributeType::Dynamic => Just(Value::Null).boxed(),
        AttributeType::List(element) | AttributeType::Set(element) => list(values(element)),
        AttributeType::Map(element) => map(values(element)),
        AttributeType::Tuple(elements) => elements
            .iter()
            .map(values)
            .collect::<Vec<_>>()
            .prop_map(Value::List)
            .boxed(),
        AttributeType::Object(named) => object(
            named
                .iter()
                .map(|(name, kind)| (name.clone(), values(kind)))
                .collect(),
        ),
        AttributeType::Nested(nesting, attributes) => {
            let one = object(
                attributes
                    .iter()
                    .map(|attribute| (attribute.name.clone(), values(&attribute.kind)))
                    .collect(),
            );
            match nesting {
                Nesting::Single => one,
                Nesting::List | Nesting::Set => list(one),
                Nesting::Map => map(one),
            }
        }
    };
    prop_oneof![1 => Just(Value::Null), 1 => Just(Value::Unknown), 6 => known].boxed()
}

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_shortest_float),
        "-?[1-9][0-9]{0,60}\\.[0-9]{0,30}[1-9]".prop_map(|text| text.parse().unwrap()),
    ]
}

fn list(element: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(element, 0..4)
        .prop_map(Value::List)
        .boxed()
}

fn map(element: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::btree_map(any::<String>(), element, 0..4)
        .prop_map(Value::Map)
        .boxed()
}

fn object(named: Vec<(String, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (keys, values): (Vec<_>, Vec<_>) = named.into_iter().unzip();
    values
        .prop_map(move |values| Value::map(keys.iter().cloned().zip(values)))
        .boxed()
}

fn typed_values() -> impl Strategy<Value = (AttributeType, Value)> {
    kinds().prop_flat_map(|kind| {
        let values = values(&kind);
        (Just(kind), values)
    })
}

proptest! {
    #[test]
    fn a_value_survives_the_wire((kind, value) in typed_values()) {
        let bytes = encode(&value, &kind).unwrap();
        prop_assert_eq!(decode(&bytes, &kind), Ok(value));
    }

    #[test]
    fn a_dynamic_value_survives_the_wire((kind, value) in typed_values()) {
        prop_assume!(value.is_wholly_known());
        let bytes = encode(&value, &kind).unwrap();
        let value = decode(&bytes, &kind).unwrap();
        let bytes = encode(&value, &AttributeType::Dynamic).unwrap();
        prop_assert_eq!(decode(&bytes, &AttributeType::Dynamic), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read(
        kind in kinds(),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = decode(&bytes, &kind);
        let _ = decode(&bytes, &AttributeType::Dynamic);
    }

    #[test]
    fn damaged_values_are_refused_or_read(
        (kind, value) in typed_values(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&value, &kind).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(&bytes, &kind);
    }
}

fn check_decodes(bytes: &[u8], kind: &AttributeType, value: &Value) {
    assert_eq!(decode(bytes, kind).as_ref(), Ok(value));
}

#[test]
fn every_extension_is_an_unknown() {
    let kind = AttributeType::List(Box::new(AttributeType::String));
    check_decodes(&[0xd4, 0, 0], &kind, &Value::Unknown);
    // Refined: extension 12 holds what core knows about the unknown.
    check_decodes(&[0xc7, 3, 12, 0x81, 1, 0xc2], &kind, &Value::Unknown);
    check_decodes(&[0x91, 0xd4, 0, 0], &kind, &Value::list([Value::Unknown]));
}

#[track_caller]
fn check_refused(bytes: &[u8], kind: &AttributeType, why: &str) {
    assert_eq!(decode(bytes, kind).unwrap_err().to_string(), why);
}

#[test]
fn what_claims_to_be_longer_than_the_bytes_is_refused_at_once() {
    let bools = || Box::new(AttributeType::Bool);
    let long = |marker: u8| [marker, 0xff, 0xff, 0xff, 0xff, 0xc3, 0xc3];
    let why = "4294967295 elements are announced, and 2 bytes follow";
    let one = BTreeMap::from([("a".to_owned(), AttributeType::Bool)]);
    check_refused(&long(0xdd), &AttributeType::List(bools()), why);
    check_refused(&long(0xdd), &AttributeType::Dynamic, why);
    check_refused(&long(0xdd), &AttributeType::Tuple(vec![*bools()]), why);
    check_refused(&long(0xdf), &AttributeType::Map(bools()), why);
    check_refused(&long(0xdf), &AttributeType::Object(one.clone()), why);
    check_refused(
        &long(0xdf),
        &AttributeType::Nested(Nesting::Single, attributes(one)),
        why,
    );
    // An entry is a key and a value.
    let why = "2 elements are announced, and 3 bytes follow";
    let bytes = [0x82, 0xa1, b'a', 0xc3];
    check_refused(&bytes, &AttributeType::Map(bools()), why);
}

#[test]
fn an_object_has_the_attributes_of_its_type() {
    let object = |names: &[&str]| {
        let kind = |name: &&str| ((*name).to_owned(), AttributeType::Bool);
        names.iter().map(kind).collect::<BTreeMap<_, _>>()
    };
    let bytes = [0x82, 0xa1, b'a', 0xc3, 0xa1, b'b', 0xc0];
    let value = Value::map([("a", Value::Bool(true)), ("b", Value::Null)]);
    check_decodes(&bytes, &AttributeType::Object(object(&["a", "b"])), &value);
    for (names, why) in [
        (&["a"][..], "2 attributes instead of 1"),
        (&["a", "b", "c"][..], "2 attributes instead of 3"),
        (&["a", "c"][..], "b: no such attribute"),
    ] {
        check_refused(&bytes, &AttributeType::Object(object(names)), why);
        let nested = AttributeType::Nested(Nesting::Single, attributes(object(names)));
        check_refused(&bytes, &nested, why);
    }
}

#[test]
fn a_value_of_another_type_is_named() {
    let kind = AttributeType::Nested(
        Nesting::Map,
        vec![Attribute::new(
            "size",
            AttributeType::Number,
            Presence::Required,
            "Size.",
        )],
    );
    let value = Value::map([("x", Value::map([("size", "big".into())]))]);
    let error = encode(&value, &kind).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"["x"].size: the type is number, but the value is a string"#
    );
    let value = Value::map([("x", Value::map([("colour", "red".into())]))]);
    let error = encode(&value, &kind).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"["x"]: the type has no attribute "colour""#
    );
    let pair = AttributeType::Tuple(vec![AttributeType::Bool, AttributeType::Bool]);
    let error = encode(&Value::list([true.into()]), &pair).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the type is a tuple, but the value is a list"
    );
}

#[test]
fn a_float_keeps_its_exact_value() {
    let single = &[0xca, 0x3f, 0xc0, 0, 0][..];
    let double = &[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0][..];
    for bytes in [single, double] {
        check_decodes(
            bytes,
            &AttributeType::Number,
            &Value::Number(Number::parse("1.5").unwrap()),
        );
    }
}

#[test]
fn a_value_may_be_longer_than_it_may_be_deep() {
    let kind = AttributeType::List(Box::new(AttributeType::Number));
    let value = Value::list((0..100_u8).map(Value::from));
    check_decodes(&encode(&value, &kind).unwrap(), &kind, &value);
}

/// Dynamic values inside each other, each a list of lists so many levels deep; null in the innermost.
fn nested(dynamics: usize, levels: usize) -> Vec<u8> {
    let lists = AttributeType::List(Box::new(AttributeType::Dynamic));
    let kind = (1..levels).fold(lists, |inner, _| AttributeType::List(Box::new(inner)));
    let kind = types::to_bytes(&kind);
    let mut bytes = Vec::new();
    for _ in 0..dynamics {
        write_array_len(&mut bytes, 2).unwrap();
        write_bin(&mut bytes, &kind).unwrap();
        bytes.extend(vec![0x91; levels]);
    }
    bytes.push(0xc0);
    bytes
}

#[test]
fn a_value_that_is_nested_without_end_is_refused() {
    let read = |bytes: &[u8]| decode(bytes, &AttributeType::Dynamic);
    for (dynamics, levels) in [(30, 1), (1, 60)] {
        assert!(read(&nested(dynamics, levels)).is_ok());
    }
    for (dynamics, levels) in [(100_000, 1), (1, 200), (60, 60)] {
        assert!(
            read(&nested(dynamics, levels)).is_err(),
            "{dynamics} of {levels}"
        );
    }
}
