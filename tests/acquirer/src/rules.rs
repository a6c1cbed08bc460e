//! What may be done with a charge.

use crate::books::{Books, Row};

/// Why an operation is declined; `None` when it is done. Without its charge it is not even that.
pub(crate) fn refusal(books: &Books, charge: &Row, asked: &Row) -> Option<&'static str> {
    let is_reserved = charge.kind == "authorize";
    let captured = books.done("capture", &charge.id);
    let taken = if is_reserved { captured } else { charge.amount };
    let is_declined_on_purpose = charge.token == format!("tok_{}_declined", asked.kind);
    match asked.kind.as_str() {
        _ if asked.currency != charge.currency => Some("currency_differs"),
        _ if is_declined_on_purpose => Some("declined_on_purpose"),
        "void" if matches!(charge.status.as_str(), "voided" | "requires_action") => None,
        _ if charge.status != "approved" => Some("not_approved"),
        "capture" if !is_reserved || captured > 0 => Some("already_captured"),
        "capture" if asked.amount > charge.amount => Some("amount_too_large"),
        "void" if captured > 0 => Some("already_captured"),
        "refund" if books.done("refund", &charge.id) + asked.amount > taken => {
            Some("amount_too_large")
        }
        "capture" | "void" | "refund" => None,
        _ => Some("unknown_operation"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_captured_once_and_never_refunded_beyond_what_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut books = Books::open(&folder.path().join("books.jsonl")).unwrap();
        let row = |id: &str, kind: &str, amount| Row {
            id: id.to_owned(),
            kind: kind.to_owned(),
            charge: "one".to_owned(),
            amount,
            currency: "EUR".to_owned(),
            status: "approved".to_owned(),
            ..Row::default()
        };
        let one = books.write(row("one", "authorize", 10)).unwrap();
        let mut ask = |kind: &str, amount| {
            let asked = row(&format!("{kind}-{amount}"), kind, amount);
            let refusal = refusal(&books, &one, &asked);
            if refusal.is_none() {
                books.write(asked).unwrap();
            }
            refusal
        };
        assert_eq!(ask("refund", 1), Some("amount_too_large"));
        assert_eq!(ask("capture", 11), Some("amount_too_large"));
        assert_eq!(ask("capture", 8), None);
        assert_eq!(ask("capture", 2), Some("already_captured"));
        assert_eq!(ask("void", 10), Some("already_captured"));
        assert_eq!(ask("refund", 6), None);
        assert_eq!(ask("refund", 3), Some("amount_too_large"));
        assert_eq!(ask("refund", 2), None);
    }
}
