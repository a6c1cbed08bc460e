//! What the environment says to a process that Terraform starts, or somebody else.

use std::collections::BTreeMap;

use bolero::check;
use paymesh_fuzz::{Choices, text};
use paymesh_plugin::entries;

use crate::samples;

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// Only who knows the cookie is served.
#[test]
fn an_environment() {
    let states = samples::states();
    let certificate = states[0]["ca_certificate"].as_str();
    let certificate = certificate.expect("a state of AKS has a certificate");
    let variables = [
        (COOKIE.0, &[COOKIE.1][..]),
        ("PLUGIN_PROTOCOL_VERSIONS", &["5,6", "6", "5"][..]),
        ("PLUGIN_CLIENT_CERT", &[certificate][..]),
        ("PLUGIN_UNIX_SOCKET_DIR", &["/tmp/plugin"][..]),
        ("PLUGIN_MULTIPLEX_GRPC", &["true", "false"][..]),
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let said = variables.iter().filter_map(|(name, samples)| {
            let is_set = !choices.is_one_in(8);
            is_set.then(|| (*name, text(&mut choices, samples)))
        });
        let said: BTreeMap<&str, String> = said.collect();
        let is_served = entries::handshake(|name| said.get(name).cloned());
        let knows = said.get(COOKIE.0).is_some_and(|word| word == COOKIE.1);
        assert!(knows || !is_served, "{said:?}");
    });
}
