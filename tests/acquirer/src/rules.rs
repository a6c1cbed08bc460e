//! What may be done with a charge.

use crate::books::{Books, Row};

/// Why an operation is declined; `None` when it is done. Without its charge it is not even that.
pub(crate) fn refusal(books: &Books, charge: &Row, asked: &Row) -> Option<&'static str> {
    let is_reserved = charge.kind == "authorize";
    let captured = books.done("capture", &charge.id);
    let back = books.done("refund", &charge.id) + books.disputed(&charge.id);
    let is_answerable = books
        .dispute(&asked.dispute)
        .is_some_and(|dispute| dispute.charge == charge.id && dispute.status == "needs_response");
    let is_declined_on_purpose = charge.token == format!("tok_{}_declined", asked.kind);
    match asked.kind.as_str() {
        _ if asked.currency != charge.currency => Some("currency_differs"),
        _ if is_declined_on_purpose => Some("declined_on_purpose"),
        "void" if matches!(charge.status.as_str(), "voided" | "requires_action") => None,
        _ if charge.status != "approved" => Some("not_approved"),
        "capture" if !is_reserved || captured > 0 => Some("already_captured"),
        "capture" if asked.amount > charge.amount => Some("amount_too_large"),
        "void" if captured > 0 => Some("already_captured"),
        "refund" if back + asked.amount > books.taken(charge) => Some("amount_too_large"),
        "contest" | "accept" if !is_answerable => Some("dispute_closed"),
        "capture" | "void" | "refund" | "contest" | "accept" => None,
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
        assert_eq!(ask("refund", 1), None);
        assert_eq!(ask("contest", 1), Some("dispute_closed"));
        assert!(books.raise("one", Some(2)).unwrap().is_none());
        let raised = books.raise("one", None).unwrap().unwrap();
        assert_eq!((raised.amount, raised.version), (1, 1));
        let refund = row("late", "refund", 1);
        assert_eq!(refusal(&books, &one, &refund), Some("amount_too_large"));
        let contest = Row {
            dispute: raised.name.clone(),
            ..row("contest", "contest", 1)
        };
        assert_eq!(refusal(&books, &one, &contest), None);
        books.write(contest.clone()).unwrap();
        assert_eq!(refusal(&books, &one, &contest), Some("dispute_closed"));
        assert!(books.end(&raised.name, "won").unwrap().is_some());
        assert!(books.end(&raised.name, "lost").unwrap().is_none());
        let told = |(told, _): (&[crate::disputes::Dispute], bool)| {
            told.iter()
                .map(|one| one.status.clone())
                .collect::<Vec<_>>()
        };
        let expected = ["needs_response", "under_review", "won"];
        assert_eq!(told(books.notices(0)), expected);
        assert_eq!(told(books.notices(2)), expected[2..]);
        assert_eq!(books.disputed("one"), 0);
    }
}
