//! States and provinces by ISO 3166-2, for the countries whose addresses need one.
//!
//! All 5,000 subdivisions of the standard with their names are 70 KB, in every component that reads an address. So the names are
//! here for the countries in `COUNTRIES` only, which are closed lists: what is not on them is refused. Elsewhere a code of
//! the standard's shape is cut to its last part and any other text stays as it was given.

use crate::{country::Country, text::folded};

/// A line a country: its code and a space, then `code=name` pairs with semicolons between them. Made, by the test below,
/// of the tables of the crate `rust_iso3166`.
const SUBDIVISIONS: &str = include_str!("subdivisions.txt");

/// A state or province of a country as it is kept: the code without the country's. Taken as the code, with or without the
/// country's (`GA`, `US-GA`), or, in the countries with a closed list, as the name (`Georgia`), whatever its case and
/// accents. The error says what would be right.
pub fn normalized(country: Country, state: &str) -> Result<String, String> {
    let country = country.to_string();
    let code = match state.split_once('-') {
        Some((prefix, code)) if prefix.eq_ignore_ascii_case(&country) => code,
        _ => state,
    };
    let line = SUBDIVISIONS.lines().find_map(|line| line.strip_prefix(&country)?.strip_prefix(' '));
    if let Some(line) = line {
        let wanted = folded(state);
        return line
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .find(|(known, name)| known.eq_ignore_ascii_case(code) || folded(name) == wanted)
            .map(|(known, _)| known.to_owned())
            .ok_or_else(|| {
                let example = line.split(';').next().unwrap_or_default().replace('=', " or ");
                format!("is not a subdivision of {country} in ISO 3166-2; write its code or its name, for example {example}")
            });
    }
    // A text that merely begins like a code (`De-Panne` in DE's neighbour) is longer than any code.
    let is_code =
        code.len() < state.len() && (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Ok(if is_code { code.to_ascii_uppercase() } else { state.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The countries whose addresses need a state, and some whose providers write one.
    const COUNTRIES: [&str; 14] = ["AR", "AT", "AU", "BR", "CA", "CH", "DE", "IN", "JP", "MX", "MY", "NG", "US", "ZA"];

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    /// With `UPDATE_SUBDIVISIONS=1` this writes the file instead of comparing it.
    #[test]
    fn the_table_is_what_the_standard_says() {
        let mut made = String::new();
        for country in COUNTRIES {
            let mut pairs: Vec<_> = rust_iso3166::iso3166_2::SUBDIVISION_MAP
                .values()
                .filter(|subdivision| subdivision.country_code == country)
                .map(|subdivision| format!("{}={}", &subdivision.code[3..], subdivision.name))
                .collect();
            pairs.sort();
            assert!(pairs.len() >= 8 && pairs.iter().all(|pair| !pair.contains(';')), "{country}");
            made += &format!("{country} {}\n", pairs.join(";"));
        }
        if std::env::var_os("UPDATE_SUBDIVISIONS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/subdivisions.txt"), &made).unwrap();
            return;
        }
        assert!(SUBDIVISIONS == made, "subdivisions.txt is out of date: run this test with UPDATE_SUBDIVISIONS=1");
        assert!(made.len() < 8_000, "{} bytes go into components", made.len());
    }

    #[test]
    fn codes_and_names_become_codes() {
        for (code, given, kept) in [
            ("US", "Georgia", "GA"),
            ("US", "georgia", "GA"),
            ("US", "ga", "GA"),
            ("US", "us-ga", "GA"),
            ("CA", "Quebec", "QC"),
            ("BR", "Sao Paulo", "SP"),
            ("MX", "nuevo león", "NLE"),
            ("DE", "DE-BY", "BY"),
            ("JP", "Tokyo", "13"),
            ("FR", "FR-idf", "IDF"),
            ("FR", "Île-de-France", "Île-de-France"),
            ("GE", "Georgia", "Georgia"),
        ] {
            assert_eq!(normalized(country(code), given).as_deref(), Ok(kept), "{given} in {code}");
        }
        for (code, given) in [("US", "Bavaria"), ("US", "CA-QC"), ("CA", "GA"), ("US", ""), ("US", "US-")] {
            assert!(normalized(country(code), given).is_err(), "{given} in {code}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept_again(index in 0usize..14, text in "[A-Za-z]{1,3}|\\PC{0,20}") {
            for code in [COUNTRIES[index], "FR"] {
                if let Ok(kept) = normalized(country(code), &text) {
                    prop_assert_eq!(normalized(country(code), &kept), Ok(kept.clone()));
                }
            }
        }
    }
}
