//! Money and exact numbers.
//!
//! An amount is an integer number of minor units of an ISO 4217 currency. Prices, quantities and rates are exact
//! decimals. The two meet in [`Money::of_line`], the only place where anything is rounded.

use crate::json;
use std::{fmt, str::FromStr};

/// A currency of ISO 4217 that has minor units (so not gold or test codes).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// How many digits the minor unit takes: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // XXX and XTS mean "no currency" and "for tests"; nothing can be paid in them.
        iso_currency::Currency::from_code(text)
            .filter(|currency| currency.exponent().is_some() && !matches!(text, "XXX" | "XTS"))
            .map(Self)
            .ok_or_else(|| "not a currency of ISO 4217; write three capital letters such as USD or EUR".into())
    }
}

impl json::Shown for Currency {
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217", "examples": ["USD"] })
    }
}
json::as_text!(Currency);

/// An amount of money, positive or negative.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize, crate::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Money {
    /// How many of the currency's minor units: cents for USD, yen for JPY.
    pub minor_units: i64,
    /// Which currency, by ISO 4217.
    pub currency: Currency,
}

impl Money {
    /// Nothing, in this currency.
    pub fn zero(currency: Currency) -> Self {
        Self { minor_units: 0, currency }
    }

    /// The amount of one invoice line: quantity times unit price, rounded half-up (away from zero at the half) to the
    /// minor unit. Rounding happens here and nowhere else. `None` when the amount is beyond what an amount can hold.
    pub fn of_line(quantity: Decimal, unit_price: Decimal, currency: Currency) -> Option<Self> {
        // In integers, because the product of two of our decimals can have more digits than a rust_decimal holds. What
        // does not fit into an i128 (38 digits, of which at most 16 are after the point) is far beyond any amount.
        let product =
            quantity.0.mantissa().checked_mul(unit_price.0.mantissa())?.checked_mul(10i128.pow(currency.minor_digits()))?;
        let unit = 10i128.pow(quantity.0.scale() + unit_price.0.scale());
        let rounded = product.signum() * (product.checked_abs()?.checked_add(unit / 2)? / unit);
        Some(Self { minor_units: i64::try_from(rounded).ok()?, currency })
    }

    /// The sum; `None` when the currencies differ or the sum is too large.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self { minor_units: self.minor_units.checked_add(other.minor_units)?, ..self })
    }
}

/// An exact decimal number for quantities, prices and rates: at most [`Decimal::DIGITS`] digits before the point and
/// [`Decimal::SCALE`] after it. There is room for sums of millions of quantities, and what an amount can hold is still
/// an exact product of two of them.
///
/// It is written as a JSON string, because a JSON number would pass through floating point in most readers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Decimal(rust_decimal::Decimal);

impl Decimal {
    /// The most digits before the decimal point.
    pub const DIGITS: u32 = 15;
    /// The most digits after the decimal point.
    pub const SCALE: u32 = 8;
    /// Zero.
    pub const ZERO: Self = Self(rust_decimal::Decimal::ZERO);

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// The exact sum, `None` when it is out of bounds.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        (sum.trunc().abs() < Self::limit()).then_some(Self(sum))
    }

    fn limit() -> rust_decimal::Decimal {
        rust_decimal::Decimal::from(10i64.pow(Self::DIGITS))
    }
}

impl From<u32> for Decimal {
    fn from(whole: u32) -> Self {
        Self(whole.into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "not a decimal number such as 730.5: up to {} digits, then up to {} after a point, without exponent or separators",
                Self::DIGITS,
                Self::SCALE
            )
        };
        // rust_decimal would also read `1_000`, `+1`, `.5` and `5.`; one way to write a number is enough, and it is the way the schema shows.
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str, most: u32| {
            !part.is_empty() && part.len() <= most as usize && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, Self::DIGITS) || !digits(fraction, Self::SCALE) {
            return Err(wrong());
        }
        let mantissa = whole.bytes().chain(fraction.bytes()).fold(0, |mantissa, digit| mantissa * 10 + i128::from(digit - b'0'));
        let mantissa = if unsigned.len() < text.len() { -mantissa } else { mantissa };
        Ok(Self(rust_decimal::Decimal::from_i128_with_scale(mantissa, fraction.len() as u32)))
    }
}

impl json::Shown for Decimal {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "pattern": format!(r"^-?[0-9]{{1,{}}}(\.[0-9]{{1,{}}})?$", Self::DIGITS, Self::SCALE),
            "description": "An exact decimal number, as a string.",
            "examples": ["730.5"],
        })
    }
}
json::as_text!(Decimal);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    #[test]
    fn a_half_is_rounded_away_from_zero() {
        let line = |quantity: &str, price: &str| {
            Money::of_line(quantity.parse().unwrap(), price.parse().unwrap(), usd()).unwrap().minor_units
        };
        assert_eq!(line("1", "0.005"), 1);
        assert_eq!(line("1", "0.00499"), 0);
        assert_eq!(line("1", "0.015"), 2);
        assert_eq!(line("-1", "0.005"), -1);
        assert_eq!(line("730.5", "0.045"), 3287);
    }

    #[test]
    fn minor_units_follow_the_currency() {
        for (code, minor) in [("JPY", 13), ("USD", 1250), ("KWD", 12500)] {
            let line = Money::of_line("2.5".parse().unwrap(), "5".parse().unwrap(), code.parse().unwrap()).unwrap();
            assert_eq!(line.minor_units, minor, "{code}");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        for text in
            ["", "+1", "1e3", ".5", "5.", "1_000", "1,5", " 1", "0x1", "NaN", "1234567890123456", "0.123456789", "--1", "١"]
        {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_money_in_codes_without_minor_units() {
        for code in ["XAU", "XXX", "XTS", "usd", "US", "ZZZ"] {
            assert!(code.parse::<Currency>().is_err(), "{code}");
        }
    }

    #[test]
    fn amounts_beyond_an_amount_are_none() {
        let most: Decimal = "999999999999999.99999999".parse().unwrap();
        for price in [most, "-999999999999999".parse().unwrap(), "1000".parse().unwrap()] {
            assert_eq!(Money::of_line(most, price, usd()), None, "{price}");
        }
        assert!(Money::of_line(most, "1".parse().unwrap(), usd()).is_some());
        assert_eq!(most.checked_add("0.00000001".parse().unwrap()), None);
    }

    proptest! {
        /// Against the same rule in integers: scale both factors to 10^8 and divide once.
        #[test]
        fn a_line_agrees_with_integer_arithmetic(quantity in -99_999_999_999_999_999i64..99_999_999_999_999_999, price in 0i64..99_999_999_999_999_999) {
            let text = |n: i64| format!("{}{}.{:08}", if n < 0 { "-" } else { "" }, n.abs() / 100_000_000, n.abs() % 100_000_000);
            let line = Money::of_line(text(quantity).parse().unwrap(), text(price).parse().unwrap(), usd());
            let product = i128::from(quantity) * i128::from(price); // in 10^-16 of a dollar
            let unit = 100_000_000_000_000i128; // 10^-16 dollars in a cent
            let expected = product.signum() * ((product.abs() + unit / 2) / unit);
            prop_assert_eq!(line.map(|money| i128::from(money.minor_units)), i64::try_from(expected).ok().map(i128::from));
        }

        #[test]
        fn decimals_survive_their_text(n in -99_999_999_999_999_999i64..99_999_999_999_999_999) {
            let text = format!("{}{}.{:08}", if n < 0 { "-" } else { "" }, n.abs() / 100_000_000, n.abs() % 100_000_000);
            let decimal: Decimal = text.parse().unwrap();
            prop_assert_eq!(decimal.to_string().parse::<Decimal>().unwrap(), decimal);
        }
    }
}
