//! What earlier runs left: stored states, and the private data beside them.

use std::panic::AssertUnwindSafe;

use bolero::check;
use paymesh::{cluster::ClusterSpec, provider::Paymesh};
use paymesh_engine::{Holder, Imported, Keys, Memory, ObjectId, OperationId, Remark, Unfinished};
use paymesh_fuzz::{Choices, bytes, document};
use paymesh_plugin::{
    entries::{self, Served},
    spec,
};
use serde_json::Value;

use crate::samples;

/// What is read of a state is one of today's schema.
#[test]
fn a_stored_state() {
    let served = AssertUnwindSafe(Served::new(Paymesh::default()));
    let runtime = AssertUnwindSafe(samples::runtime());
    let kind = spec::schema::<ClusterSpec>().object_type();
    let states = samples::states();
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let state = document(&mut choices, &states).to_string();
        let version = [1, 0, 2, -1, i64::MAX][choices.below(5)];
        let state = bytes(&mut choices, state.as_bytes());
        let upgraded = served.upgraded("paymesh_cluster", version, state);
        let upgraded = runtime.block_on(upgraded).expect("no call crashes");
        if let Some(packed) = upgraded {
            assert!(entries::value(&packed, &kind).is_some());
        }
    });
}

fn remembered() -> Value {
    let object = ObjectId::new("agent pool", "/subscriptions/s/agentPools/work");
    let memory = Memory {
        holder: Some(Holder::found("aa11")),
        owner: Some("payments/prod".to_owned()),
        imported: Some(Imported {
            holder: Some(Holder::found("bb22")),
        }),
        objects: [object.clone()].into_iter().collect(),
        unfinished: vec![Unfinished {
            object: object.clone(),
            step: "create".to_owned(),
            operation: Some(OperationId {
                name: "op-1".to_owned(),
                token: samples::operation().to_string(),
            }),
        }],
        remarks: vec![Remark {
            object: object.clone(),
            text: "2".to_owned(),
        }],
        keys: vec![Keys {
            object,
            keys: ["team".to_owned()].into(),
        }],
    };
    serde_json::from_slice(&memory.to_bytes()).expect("private data is JSON")
}

/// What is read of private data is written again as what it was.
#[test]
fn private_data() {
    let samples = [remembered()];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let data = document(&mut choices, &samples).to_string();
        let data = bytes(&mut choices, data.as_bytes());
        if let Ok(memory) = Memory::from_bytes(&data) {
            let again = Memory::from_bytes(&memory.to_bytes());
            assert_eq!(again.expect("what was read can be read"), memory);
        }
    });
}
