//! What nobody uses here: lists, actions, state stores, generated configuration. Each still answers.

use crate::{
    findings::Findings,
    path::Path,
    wire::{diagnostic, tfplugin6::Diagnostic},
};

/// The one answer.
pub(in crate::server) fn diagnostics(what: &str) -> Vec<Diagnostic> {
    let mut found = Findings::new();
    found
        .error(Path::root(), "This provider does not support that")
        .detail(format!(
            "Terraform asked for {what}, which this provider does not announce"
        ))
        .hint("remove it from the configuration");
    diagnostic::all(&found)
}
