//! The service: each call of the protocol comes to its own answer, and a crash to one as well.

use tonic::{Code, Request};

use super::{applying, configured, configured_of, parts::Sky};
use crate::{
    server::service::Service,
    wire::tfplugin6::{
        DynamicValue, configure_provider, provider_server::Provider as _, stop_provider,
        validate_provider_config,
    },
};

/// What `$service` answers to an empty request.
macro_rules! answer {
    ($service:ident, $call:ident) => {
        $service
            .$call(Request::new(Default::default()))
            .await
            .unwrap()
            .into_inner()
    };
}

#[tokio::test]
async fn what_a_call_names_is_looked_for_among_its_own_kind() {
    let service = Service(configured().await);
    macro_rules! check_unknown {
        ($($kind:literal: $($call:ident)*;)*) => {$($(
            let answer = answer!(service, $call);
            let said = concat!("There is no such ", $kind);
            assert_eq!(answer.diagnostics[0].summary, said, stringify!($call));
        )*)*};
    }
    check_unknown! {
        "resource":
            validate_resource_config upgrade_resource_state read_resource plan_resource_change
            apply_resource_change import_resource_state move_resource_state;
        "resource identity": upgrade_resource_identity;
        "data source": validate_data_resource_config read_data_source;
        "ephemeral resource":
            validate_ephemeral_resource_config open_ephemeral_resource renew_ephemeral_resource
            close_ephemeral_resource;
    }
    let called = answer!(service, call_function).error.unwrap();
    assert_eq!(called.text, r#"the provider has no function """#);
}

#[tokio::test]
async fn each_list_holds_what_is_served() {
    let service = Service(configured().await);
    let metadata = answer!(service, get_metadata);
    assert_eq!(metadata.resources[0].type_name, "test_thing");
    let schema = answer!(service, get_provider_schema);
    assert!(schema.resource_schemas.contains_key("test_thing"));
    let identities = answer!(service, get_resource_identity_schemas);
    assert!(identities.identity_schemas.contains_key("test_thing"));
    let service = Service(configured_of(Sky).await);
    let functions = answer!(service, get_functions);
    assert!(functions.functions.contains_key("brightest"));
}

#[tokio::test]
async fn a_provider_block_that_does_not_fit_is_refused_by_validation_and_by_configuration() {
    const SAID: &str = "The provider block does not fit the schema";
    let service = Service(configured().await);
    let config = || {
        Some(DynamicValue {
            json: br#"{"word":["a"]}"#.to_vec(),
            ..Default::default()
        })
    };
    let request = Request::new(validate_provider_config::Request { config: config() });
    let answer = service.validate_provider_config(request).await.unwrap();
    assert_eq!(answer.into_inner().diagnostics[0].summary, SAID);
    let request = Request::new(configure_provider::Request {
        config: config(),
        ..Default::default()
    });
    let answer = service.configure_provider(request).await.unwrap();
    assert_eq!(answer.into_inner().diagnostics[0].summary, SAID);
}

#[tokio::test]
async fn terraforms_wish_to_stop_reaches_what_runs() {
    let service = Service(configured().await);
    let running = service.0.call().unwrap();
    let request = Request::new(stop_provider::Request::default());
    service.stop_provider(request).await.unwrap();
    assert!(running.stop().is_cancelled());
}

/// Terraform shows it beside the trace on standard error.
#[tokio::test]
async fn a_crash_is_answered_with_its_call_and_its_words() {
    let service = Service(configured().await);
    for (word, words) in [
        ("breaking", "it broke"),
        ("breaking more", "breaking more broke"),
        ("silently broken", "no message"),
    ] {
        let thing = format!(r#"{{"word":"{word}"}}"#);
        let request = Request::new(applying("null", &thing, &thing));
        let crash = service.apply_resource_change(request).await.unwrap_err();
        assert_eq!(crash.code(), Code::Internal);
        let said = format!("the provider crashed in ApplyResourceChange: {words}");
        assert_eq!(crash.message(), said);
    }
}
