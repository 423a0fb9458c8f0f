//! People and how they are reached.

use crate::{json, text_enum};
use std::{fmt, str::FromStr};

text_enum! {
    /// Whether a person can sign in.
    pub enum PersonStatus {
        /// They can.
        Active = "ACTIVE",
        /// They cannot, whatever they are a member of.
        Disabled = "DISABLED",
    }
}

/// A mail address of at most 254 characters (RFC 5321, 4.5.3.1.3, less the angle brackets), kept in lower case. ASCII, one
/// `@`, a domain with a dot: what a mail relay takes from a form, as HTML's `input type=email` has it; quoted local parts
/// and address literals are refused.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Email {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || Err("is no mail address: it must look like name@example.com, in ASCII, of at most 254 characters".to_owned());
        let Some((local, domain)) = text.split_once('@') else { return wrong() };
        let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
        let local_is_right = local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom));
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let domain_is_right = domain.contains('.') && domain.split('.').all(label);
        if text.len() > 254 || !local_is_right || !domain_is_right {
            return wrong();
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl json::Shown for Email {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "maxLength": 254,
            "pattern": "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,31})?@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.){1,2}[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
            "examples": ["ada@example.com"],
            "description": "A mail address, kept in lower case.",
        })
    }
}
json::as_text!(Email);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_kept_in_lower_case_and_odd_ones_refused() {
        assert_eq!("Ada.L+x@Example.COM".parse::<Email>().unwrap().as_str(), "ada.l+x@example.com");
        assert_eq!("a@b.c".parse::<Email>().unwrap().domain(), "b.c");
        for wrong in [
            "", "a", "a@b", "@b.c", "a@", "a@.c", "a@b.", ".a@b.c", "a..b@c.d", "a@-b.c", "a@b_c.d", "a b@c.d", "a@b@c.d",
            "ä@b.c",
        ] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong}");
        }
        assert!(format!("{}@b.c", "a".repeat(65)).parse::<Email>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_reads_again_the_same(text in "\\PC{0,12}@\\PC{0,12}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse(), Ok(email.clone()));
            }
        }
    }
}
