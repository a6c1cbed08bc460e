//! What a provider tells who started it and cannot be served: where a person looks, since on standard
//! output there is the handshake or nothing.

use std::process::Command;

use super::workspace::{COOKIE, sample, text};

#[test]
fn who_cannot_be_served_is_told_why() {
    for (variables, why) in [
        (vec![], "Terraform starts it"),
        (
            vec![COOKIE, ("PLUGIN_PROTOCOL_VERSIONS", "5")],
            "plugin protocol 6",
        ),
        (
            vec![COOKIE, ("PLUGIN_CLIENT_CERT", "none")],
            "the provider cannot serve: PLUGIN_CLIENT_CERT is no certificate",
        ),
    ] {
        let output = Command::new(sample())
            .env_clear()
            .envs(variables)
            .output()
            .unwrap();
        let told = text(&output);
        assert!(!output.status.success(), "{told}");
        assert!(output.stdout.is_empty() && told.contains(why), "{told}");
    }
}
