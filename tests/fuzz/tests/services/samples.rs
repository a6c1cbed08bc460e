//! What is really sent: the samples that inputs are near to.

use std::sync::Once;

use paymesh_contracts::{PaymentId, TenantId, persistence as wire};
use paymesh_operations::{Collector, Settings, start_traces};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// A secret, which nobody is told.
pub(crate) const CANARY: &str = "hunter2";

/// Ids, as people write them.
pub(crate) const PAYMENT: &str = "pay_abgjcfkhmnepabcdefghijklmnopabcd";
pub(crate) const ATTEMPT: &str = "att_abgjcfkhmnepabcdefghijklmnopabcd";
pub(crate) const DISPUTE: &str = "dsp_abgjcfkhmnepabcdefghijklmnopabcd";
pub(crate) const EVENT: &str = "evt_abgjcfkhmnepabcdefghijklmnopabcd";
pub(crate) const ENDPOINT: &str = "hook_abgjcfkhmnepabcdefghijklmnopabcd";

/// A place in a trace.
pub(crate) const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) const TENANT_ID: TenantId = TenantId(Uuid::from_u128(7));
pub(crate) const PAYMENT_ID: PaymentId = PaymentId(Uuid::from_u128(8));

/// One thread, so that a crash is one of the target's own.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made")
}

/// As the programs do when they start.
pub(crate) fn install_crypto() {
    // Another target may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// From now on places in traces are read. Nobody listens to the spans.
pub(crate) fn follow_traces(runtime: &Runtime) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        install_crypto();
        let _runtime = runtime.enter();
        let mut settings = Settings::new(|name| {
            (name == "PAYMESH_TRACES_URL").then(|| "http://127.0.0.1:9/".to_owned())
        });
        let collector = Collector::read(&mut settings);
        assert!(collector.is_some(), "the collector can be read");
        start_traces(collector, "fuzz").expect("traces are started once");
    });
}

/// Whether a person can be told of it on a terminal, in one line.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// A payment, as merchants see it, with everything that one can have.
pub(crate) fn payment() -> Value {
    json!({
        "id": PAYMENT,
        "amount": { "amount": 1250, "currency": "EUR" },
        "status": "succeeded",
        "payment_method": "tok_approve",
        "reference": "order-7",
        "failure_code": "insufficient_funds",
        "capture": "manual",
        "captured": { "amount": 1250, "currency": "EUR" },
        "refunded": { "amount": 250, "currency": "EUR" },
        "disputes": [{
            "id": DISPUTE,
            "amount": { "amount": 1000, "currency": "EUR" },
            "reason": "fraudulent",
            "status": "needs_response",
            "respond_by": "2026-11-28T05:00:00.000Z",
            "opened_at": "2026-11-21T05:00:00.000Z",
        }],
        "next_action": { "redirect_url": "https://acquirer.example/3ds/1" },
        "expires_at": "2026-11-28T05:00:00.000Z",
        "attempts": [{
            "id": ATTEMPT,
            "kind": "charge",
            "amount": { "amount": 1250, "currency": "EUR" },
            "status": "approved",
            "failure_code": "insufficient_funds",
            "acquirer_reference": "ch_1",
        }],
        "created_at": "2026-11-21T05:00:00.000Z",
        "updated_at": "2026-11-21T05:00:00.120Z",
    })
}

/// An event, as merchants are told it.
pub(crate) fn event() -> Value {
    json!({
        "id": EVENT,
        "version": 1,
        "type": "payment.succeeded",
        "created_at": "2026-11-21T05:00:00.120Z",
        "attempt": ATTEMPT,
        "dispute": DISPUTE,
        "payment": payment(),
    })
}

/// An amount, as services tell each other.
pub(crate) fn wire_money() -> wire::Money {
    wire::Money {
        amount_minor: 1250,
        currency: "EUR".to_owned(),
    }
}

/// A payment, as db-controller tells payment-api.
pub(crate) fn wire_payment() -> wire::Payment {
    wire::Payment {
        payment_id: PAYMENT_ID.bytes(),
        amount: Some(wire_money()),
        status: "succeeded".to_owned(),
        payment_method: "tok_approve".to_owned(),
        reference: "order-7".to_owned(),
        failure_code: "insufficient_funds".to_owned(),
        created_at_ms: 1_763_740_800_000,
        updated_at_ms: 1_763_740_800_120,
        attempts: vec![wire::Attempt {
            attempt_id: vec![9; 16],
            number: 1,
            status: "approved".to_owned(),
            acquirer_reference: "ch_1".to_owned(),
            failure_code: "insufficient_funds".to_owned(),
            kind: "charge".to_owned(),
            amount_minor: 1250,
        }],
        capture: "automatic".to_owned(),
        captured_minor: 1250,
        refunded_minor: 250,
        expires_at_ms: 1_764_345_600_000,
        next_action_url: "https://acquirer.example/3ds/1".to_owned(),
        disputes: vec![wire::Dispute {
            dispute_id: vec![10; 16],
            amount_minor: 1000,
            reason: "fraudulent".to_owned(),
            status: "needs_response".to_owned(),
            respond_by_ms: 1_764_345_600_000,
            opened_at_ms: 1_763_740_800_000,
        }],
    }
}

/// A certificate of this name, its key, and its authority, each in PEM.
pub(crate) fn certificate(uri: &str) -> [String; 3] {
    let key = || KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let of_authority = key();
    let authority = params.self_signed(&of_authority);
    let authority = authority.expect("an authority can be made").pem();
    let issuer = Issuer::new(params, of_authority);
    let mut params = CertificateParams::default();
    let name = uri.try_into().expect("a URI is ASCII");
    params.subject_alt_names.push(SanType::URI(name));
    let key = key();
    let certificate = params.signed_by(&key, &issuer);
    let certificate = certificate.expect("a certificate can be made").pem();
    [certificate, key.serialize_pem(), authority]
}
