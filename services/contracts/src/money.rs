//! Money: whole minor units of one currency. There is no float and no amount without a currency.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A currency that accounts can be held in, by its ISO 4217 code.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Swiss franc.
    Chf,
    /// Euro.
    Eur,
    /// Pound sterling.
    Gbp,
    /// Yen, which has no minor unit.
    Jpy,
    /// Kuwaiti dinar, which has a thousand minor units.
    Kwd,
    /// US dollar.
    Usd,
}

/// A text that names no currency we hold accounts in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a currency we hold accounts in")]
pub struct UnknownCurrency;

impl Currency {
    /// Every currency.
    pub const ALL: [Self; 6] = [
        Self::Chf,
        Self::Eur,
        Self::Gbp,
        Self::Jpy,
        Self::Kwd,
        Self::Usd,
    ];

    /// The ISO 4217 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Chf => "CHF",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Jpy => "JPY",
            Self::Kwd => "KWD",
            Self::Usd => "USD",
        }
    }

    /// How many digits its minor units take.
    pub fn exponent(self) -> usize {
        match self {
            Self::Jpy => 0,
            Self::Kwd => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        Self::ALL
            .into_iter()
            .find(|currency| currency.code() == text)
            .ok_or(UnknownCurrency)
    }
}

/// An amount of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "amount": 1250, "currency": "EUR" }))]
pub struct Money {
    /// In minor units, without a decimal point: 1250 is EUR 12.50 and JPY 1250.
    #[serde(rename = "amount")]
    #[schema(minimum = 1, maximum = 999_999_999_999_i64)]
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: Currency,
}

impl Money {
    /// The largest amount of one payment: sums of ten million of them still fit.
    pub const AMOUNT_MINOR_MAX: i64 = 999_999_999_999;

    /// An amount of one currency.
    pub fn new(amount_minor: i64, currency: Currency) -> Self {
        Self {
            amount_minor,
            currency,
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(u32::try_from(self.currency.exponent()).expect("at most 3"));
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let minor = self.amount_minor.unsigned_abs();
        write!(out, "{} {sign}{}", self.currency, minor / unit)?;
        match self.currency.exponent() {
            0 => Ok(()),
            digits => write!(out, ".{:0digits$}", minor % unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_as_people_write_it() {
        let text = |amount, currency| Money::new(amount, currency).to_string();
        assert_eq!(text(1250, Currency::Eur), "EUR 12.50");
        assert_eq!(text(-5, Currency::Usd), "USD -0.05");
        assert_eq!(text(1250, Currency::Jpy), "JPY 1250");
        assert_eq!(text(1001, Currency::Kwd), "KWD 1.001");
    }

    #[test]
    fn an_amount_with_a_decimal_point_is_none() {
        let read = |amount: &str| {
            serde_json::from_str::<Money>(&format!(r#"{{"amount":{amount},"currency":"EUR"}}"#))
        };
        assert_eq!(read("5").ok(), Some(Money::new(5, Currency::Eur)));
        // Who writes so may mean euros.
        for amount in ["5.0", "5.00", "5e0", "5.5", "\"5\""] {
            assert!(read(amount).is_err(), "{amount}");
        }
    }

    #[test]
    fn every_currency_is_found_by_its_code_and_no_other_text() {
        for currency in Currency::ALL {
            assert_eq!(currency.code().parse(), Ok(currency));
        }
        assert_eq!("eur".parse::<Currency>(), Err(UnknownCurrency));
    }
}
