//! Configurations, as Terraform sends them: packed, or as JSON.

use std::panic::AssertUnwindSafe;

use bolero::check;
use paymesh::{
    cluster::{ClusterSpec, lookup::LookupSpec},
    provider::Paymesh,
    settings::Settings,
};
use paymesh_fuzz::{Choices, bytes, document};
use paymesh_plugin::{
    entries::{self, Sent, Served},
    schema::AttributeType,
    spec,
    value::Value,
};
use serde_json::{Value as Json, json};

use crate::samples;

/// A message near one of `samples`, whose values are of this type.
fn sent(choices: &mut Choices<'_>, samples: &[Json], kind: &AttributeType) -> Sent {
    let config = document(choices, samples);
    let packed = entries::bytes(&Value::from_json(&config), kind);
    match packed.filter(|_| choices.is_one_in(2)) {
        Some(packed) => Sent::Packed(bytes(choices, &packed)),
        None => Sent::Json(bytes(choices, config.to_string().as_bytes())),
    }
}

/// Whatever is wrong is said, and said so that nothing happens to the terminal it is said on.
fn check_plain(said: Vec<String>) {
    for error in said {
        let is_plain = |letter: char| !letter.is_control() || letter == '\n';
        assert!(error.chars().all(is_plain), "{error:?}");
    }
}

#[test]
fn a_cluster() {
    let served = AssertUnwindSafe(Served::new(Paymesh::default()));
    let runtime = AssertUnwindSafe(samples::runtime());
    let kind = spec::schema::<ClusterSpec>().object_type();
    let samples = samples::CLOUDS.map(samples::configuration);
    check!().for_each(|input: &[u8]| {
        let config = sent(&mut Choices::new(input), &samples, &kind);
        let said = served.check_resource("paymesh_cluster", config);
        check_plain(runtime.block_on(said).expect("no call crashes"));
    });
}

#[test]
fn a_provider_block() {
    let served = AssertUnwindSafe(Served::new(Paymesh::default()));
    let runtime = AssertUnwindSafe(samples::runtime());
    let kind = spec::provider_schema::<Settings>().object_type();
    let samples = [
        samples::settings(),
        json!({ "owner": "a", "simulator": true }),
    ];
    check!().for_each(|input: &[u8]| {
        let config = sent(&mut Choices::new(input), &samples, &kind);
        let said = served.check_provider(config);
        check_plain(runtime.block_on(said).expect("no call crashes"));
    });
}

#[test]
fn a_lookup() {
    let served = AssertUnwindSafe(Served::new(Paymesh::default()));
    let runtime = AssertUnwindSafe(samples::runtime());
    let kind = spec::schema::<LookupSpec>().object_type();
    let samples = [
        json!({ "cluster_id": "projects/pay/locations/europe-west1/clusters/main" }),
        json!({ "name": "main", "region": "westeurope", "azure": { "resource_group": "pay" } }),
        json!({ "name": "main", "region": "europe-west1", "google": { "project": "payments-prod" } }),
    ];
    check!().for_each(|input: &[u8]| {
        let config = sent(&mut Choices::new(input), &samples, &kind);
        let said = served.check_data_source("paymesh_cluster", config);
        check_plain(runtime.block_on(said).expect("no call crashes"));
    });
}
