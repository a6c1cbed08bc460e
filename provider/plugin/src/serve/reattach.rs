//! `-debug`: a provider that a human (or a debugger) starts, and that Terraform attaches to.

use std::io;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Listener, run};
use crate::provider::Provider;

/// Serves until SIGINT, without TLS on loopback, since Terraform has no way to agree on keys here.
pub(super) async fn run_debug<P: Provider>(provider: P) -> io::Result<()> {
    let listener = Listener::tcp().await?;
    println!("Provider started. To attach Terraform to it, set this variable:\n");
    println!(
        "  export TF_REATTACH_PROVIDERS='{}'\n",
        line::<P>(&listener)
    );
    println!("Ctrl-C ends it.");
    let end = CancellationToken::new();
    let ended = end.clone();
    tokio::spawn(async move {
        // Without signals there is still SIGKILL.
        let _ = tokio::signal::ctrl_c().await;
        ended.cancel();
    });
    run(provider, listener, None, &end).await
}

/// `Test` must be true: with false, Terraform 1.11 forgets the protocol version and crashes.
fn line<P: Provider>(listener: &Listener) -> String {
    let attach = json!({
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": std::process::id(),
        "Test": true,
        "Addr": {"Network": listener.network(), "String": listener.address()},
    });
    json!({P::ADDRESS: attach}).to_string()
}
