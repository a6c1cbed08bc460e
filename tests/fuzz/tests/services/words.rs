//! Ids, money, words and documents: what everything else is made of.

use std::{fmt, str::FromStr};

use bolero::check;
use paymesh_contracts::{
    AttemptId, Currency, DisputeId, EndpointId, EventId, MessageId, Money, PaymentId, PostingId,
    TenantId, digest,
    dispute::DisputeStatus,
    event::Event,
    http::{AttemptKind, AttemptStatus, CaptureMethod, Payment, PaymentStatus, time_text},
    persistence as wire, signature,
};
use paymesh_fuzz::{Choices, bytes, document, text};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::samples;

/// An id that is read is printed as it was.
fn check_id<T: FromStr + fmt::Display>(given: &str) -> bool {
    let read = given.parse::<T>().ok();
    let printed = read.map(|id| id.to_string());
    assert!(printed.as_deref().is_none_or(|it| it == given), "{given:?}");
    printed.is_some()
}

/// An id is of one kind, and the same as text and as bytes.
#[test]
fn an_id() {
    let samples = [
        samples::PAYMENT,
        samples::ATTEMPT,
        samples::DISPUTE,
        samples::EVENT,
        samples::ENDPOINT,
        "ten_abgjcfkhmnepabcdefghijklmnopabcd",
        "pst_abgjcfkhmnepabcdefghijklmnopabcd",
        "msg_abgjcfkhmnepabcdefghijklmnopabcd",
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let given = text(&mut choices, &samples);
        let kinds = [
            check_id::<TenantId>(&given),
            check_id::<PaymentId>(&given),
            check_id::<AttemptId>(&given),
            check_id::<DisputeId>(&given),
            check_id::<PostingId>(&given),
            check_id::<EventId>(&given),
            check_id::<EndpointId>(&given),
            check_id::<MessageId>(&given),
        ];
        let of = kinds.into_iter().filter(|is_one| *is_one).count();
        assert!(of <= 1, "{given:?} is of {of} kinds");
        let given = bytes(&mut choices, &[7; 16]);
        match PaymentId::from_bytes(&given) {
            Ok(id) => assert_eq!(id.bytes(), given),
            Err(_) => assert_ne!(given.len(), 16),
        }
    });
}

/// An amount that is read is the one that was sent, to the last unit.
#[test]
fn money() {
    let samples = [
        json!({ "amount": 1250, "currency": "EUR" }),
        json!({ "amount": 999_999_999_999_u64, "currency": "JPY" }),
        json!({ "currency": "KWD", "amount": -1 }),
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let given = document(&mut choices, &samples);
        if let Ok(money) = serde_json::from_value::<Money>(given.clone()) {
            // An array is taken for one too, in the order of its fields.
            let (amount, currency) = if given.is_array() {
                (&given[0], &given[1])
            } else {
                (&given["amount"], &given["currency"])
            };
            assert_eq!(*amount, json!(money.amount_minor), "{given}");
            assert_eq!(*currency, json!(money.currency.code()), "{given}");
            check_printed(money);
        }
        let currency = text(&mut choices, &["EUR", "usd", "JPY", "KWD"]);
        let amount_minor = amount(&mut choices);
        let sent = wire::Money {
            amount_minor,
            currency: currency.clone(),
        };
        match Money::try_from(sent.clone()) {
            Ok(money) => {
                assert_eq!(wire::Money::from(money), sent);
                check_printed(money);
            }
            Err(_) => assert!(currency.parse::<Currency>().is_err(), "{currency:?}"),
        }
    });
}

fn amount(choices: &mut Choices<'_>) -> i64 {
    let near = i64::from(choices.byte()) - 128;
    let from = [0, 1250, Money::AMOUNT_MINOR_MAX, i64::MAX, i64::MIN];
    choices.one_of(&from).saturating_add(near)
}

/// What a person reads has the digits of the amount, and as many behind the point as the currency has.
fn check_printed(money: Money) {
    let printed = money.to_string();
    let digits: String = printed.chars().filter(char::is_ascii_digit).collect();
    let read: Result<u64, _> = digits.parse();
    assert_eq!(read, Ok(money.amount_minor.unsigned_abs()), "{printed}");
    assert_eq!(printed.contains('-'), money.amount_minor < 0, "{printed}");
    let behind = printed
        .split_once('.')
        .map_or(0, |(_, behind)| behind.len());
    assert_eq!(behind, money.currency.exponent(), "{printed}");
}

/// A word means one thing or nothing.
#[test]
fn a_word() {
    let samples = [
        "processing",
        "requires_action",
        "requires_capture",
        "succeeded",
        "failed",
        "canceled",
        "automatic",
        "manual",
        "charge",
        "authorize",
        "capture",
        "void",
        "refund",
        "contest",
        "accept",
        "pending",
        "unknown",
        "approved",
        "declined",
        "needs_response",
        "under_review",
        "won",
        "lost",
    ];
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let given = text(&mut choices, &samples);
        let read = [
            PaymentStatus::from_word(&given).map(PaymentStatus::word),
            CaptureMethod::from_word(&given).map(CaptureMethod::word),
            AttemptKind::from_word(&given).map(AttemptKind::word),
            AttemptStatus::from_word(&given).map(AttemptStatus::word),
            DisputeStatus::from_word(&given).map(DisputeStatus::word),
        ];
        let words = read.into_iter().flatten();
        words.for_each(|word| assert_eq!(word, given));
        // The database and the API have the same words.
        let shown: Result<PaymentStatus, _> = serde_json::from_value(json!(given));
        assert_eq!(shown.ok(), PaymentStatus::from_word(&given));
        let at_ms = amount(&mut choices);
        let time = time_text(at_ms);
        assert!(
            time.ends_with('Z') && samples::is_plain(&time),
            "{at_ms}: {time}"
        );
    });
}

/// What was read is written as what is read again as the same.
fn check_kept<T: Serialize + DeserializeOwned>(given: &Value) {
    if let Ok(read) = serde_json::from_value::<T>(given.clone()) {
        let written = serde_json::to_value(&read).expect("what was read can be written");
        let again: T =
            serde_json::from_value(written.clone()).expect("what was written can be read");
        let again = serde_json::to_value(&again).expect("what was read can be written");
        assert_eq!(again, written, "{given}");
    }
}

/// Payments and events, as they are kept in answers and told to merchants.
#[test]
fn a_document() {
    let samples = [samples::event()];
    check!().for_each(|input: &[u8]| {
        let given = document(&mut Choices::new(input), &samples);
        check_kept::<Event>(&given);
        check_kept::<Payment>(&given["payment"]);
        if let (Ok(read), Some(sent)) = (
            serde_json::from_value::<Payment>(given["payment"].clone()),
            given["payment"].as_object(),
        ) {
            let amount = serde_json::from_value(sent["amount"].clone());
            assert_eq!(amount.ok(), Some(read.amount), "{given}");
        }
    });
}

/// What a merchant needs to check a signature is in it, whatever was signed.
#[test]
fn a_signature() {
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let at_seconds = amount(&mut choices);
        let secrets = [(); 2].map(|()| text(&mut choices, &["whsec_1", "whsec_2"]));
        let body = bytes(&mut choices, b"{\"id\":\"evt_1\"}");
        let secrets = secrets.each_ref().map(String::as_str);
        let header = signature::sign(&secrets, at_seconds, &body);
        let mut parts = header.split(',').map(|part| part.split_once('='));
        let Some(Some(("t", at))) = parts.next() else {
            panic!("{header}");
        };
        assert_eq!(at.parse(), Ok(at_seconds), "{header}");
        let signed: [&[u8]; 3] = [at.as_bytes(), b".", &body];
        let signed = signed.concat();
        for secret in secrets {
            let Some(Some(("v1", hex))) = parts.next() else {
                panic!("{header}");
            };
            let expected = digest::keyed(secret.as_bytes(), &signed);
            assert_eq!(digest::from_hex(hex).as_deref(), Some(&expected[..]));
        }
        assert_eq!(parts.next(), None, "{header}");
    });
}
