//! Who is served, and messages as large as they may be.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Endpoint};

use super::{Listener, MESSAGE_BYTES_MAX, accepts, handshake::COOKIE, run, short_name};
use crate::{
    findings::Findings,
    provider::{Client, Parts, Provider},
    spec::{Draft, Spec},
    wire::tfplugin6::{DynamicValue, provider_client::ProviderClient, validate_provider_config},
};

/// One word to set.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "large")]
struct Config {
    /// A word.
    word: String,
}

struct Large;

#[async_trait]
impl Provider for Large {
    type Config = Config;
    type Session = ();

    const VERSION: &'static str = "0.0.0";
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/large";

    fn parts(&self) -> Parts<()> {
        Parts::new()
    }

    async fn configure(&self, _: Draft<Config>, _: Client, _: &mut Findings) -> Option<()> {
        Some(())
    }
}

/// A configuration whose word has `letters` letters.
fn request(letters: usize) -> validate_provider_config::Request {
    let mut msgpack = Vec::with_capacity(letters + 16);
    rmp::encode::write_map_len(&mut msgpack, 1).unwrap();
    rmp::encode::write_str(&mut msgpack, "word").unwrap();
    rmp::encode::write_str(&mut msgpack, &"x".repeat(letters)).unwrap();
    validate_provider_config::Request {
        config: Some(DynamicValue {
            msgpack,
            ..Default::default()
        }),
    }
}

#[test]
fn only_terraform_is_served_and_only_with_a_certificate_that_can_be_read() {
    for (variables, is_served) in [
        (vec![], false),
        (vec![COOKIE], true),
        (vec![COOKIE, ("PLUGIN_CLIENT_CERT", "none")], false),
    ] {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(accepts(variable), is_served, "{variables:?}");
    }
}

/// It is the end of `TF_LOG_PROVIDER_<NAME>`.
#[test]
fn a_provider_is_called_by_the_last_part_of_its_address() {
    assert_eq!(short_name(Large::ADDRESS), "large");
}

#[tokio::test]
async fn a_message_just_below_the_limit_is_answered_and_one_above_is_refused() {
    let end = CancellationToken::new();
    let listener = Listener::tcp().await.unwrap();
    let address = format!("http://{}", listener.address());
    let ended = end.clone();
    let serving = tokio::spawn(async move { run(Large, listener, None, &ended).await });
    let channel = Endpoint::from_shared(address).unwrap().connect().await;
    let mut client = ProviderClient::new(channel.unwrap())
        .max_encoding_message_size(usize::MAX)
        .max_decoding_message_size(usize::MAX);

    let answer = client
        .validate_provider_config(request(MESSAGE_BYTES_MAX - 1024))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().diagnostics, []);
    let refused = client
        .validate_provider_config(request(MESSAGE_BYTES_MAX + 1024))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    // It still serves.
    let small = client.validate_provider_config(request(1)).await;
    assert_eq!(small.unwrap().into_inner().diagnostics, []);

    end.cancel();
    serving.await.unwrap().unwrap();
}
