//! Amounts and ids, as a page writes them.

use paymesh_contracts::{Currency, Money, http::SignedMoney};

/// How much of the end of an id is shown where the whole has no room.
const END_LENGTH: usize = 8;

/// An amount of an account, with the decimals of its currency.
pub(crate) fn signed(money: &SignedMoney) -> String {
    amount(money.amount, &money.currency)
}

/// An amount in minor units, with the decimals of its currency.
pub(crate) fn amount(minor: i64, currency: &str) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => Money::new(minor, currency).to_string(),
        // How many decimals one has that is newer than this version is not known here.
        Err(_) => format!("{currency} {minor} in minor units"),
    }
}

/// A time of the API to the second, for people; as it is if it is none.
pub(crate) fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time)) if text.is_ascii() && time.len() > 8 => format!("{day} {}", &time[..8]),
        _ => text.to_owned(),
    }
}

/// An id with the middle left out: most begin with the time they were made at, and differ at the end.
pub(crate) fn short(id: &str) -> String {
    let parted = id.split_once('_').and_then(|(kind, letters)| {
        let (at, _) = letters.char_indices().nth_back(END_LENGTH - 1)?;
        (at > 0).then(|| format!("{kind}_…{}", &letters[at..]))
    });
    parted.unwrap_or_else(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        assert_eq!(amount(1250, "EUR"), "EUR 12.50");
        assert_eq!(amount(-5, "USD"), "USD -0.05");
        assert_eq!(amount(0, "CHF"), "CHF 0.00");
        assert_eq!(amount(1250, "JPY"), "JPY 1250");
        assert_eq!(amount(1001, "KWD"), "KWD 1.001");
        // No float: it would be 90071992547409.94 there.
        assert_eq!(
            amount(9_007_199_254_740_993, "EUR"),
            "EUR 90071992547409.93"
        );
        assert_eq!(amount(i64::MIN, "EUR"), "EUR -92233720368547758.08");
        assert_eq!(amount(7, "XTS"), "XTS 7 in minor units");
    }

    #[test]
    fn a_time_is_told_to_the_second_and_another_text_as_it_is() {
        assert_eq!(moment("2026-11-21T05:01:10.000Z"), "2026-11-21 05:01:10");
        for other in ["", "T", "soon", "Tünïcödé öf söme kïnd"] {
            assert_eq!(moment(other), other);
        }
    }

    #[test]
    fn an_id_is_shortened_in_its_middle_and_another_text_is_not_harmed() {
        let id = "pay_abgjcfkhmnepabcdefghijklmnopabcd";
        assert_eq!(short(id), "pay_…mnopabcd");
        for whole in ["", "pay", "pay_", "pay_mnopabcd", "_", "ünïcödé"] {
            assert_eq!(short(whole), whole);
        }
        assert_eq!(short("a_ünïcödé öf söme kïnd"), "a_…öme kïnd");
    }
}
