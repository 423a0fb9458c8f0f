//! Stored passwords: kept apart from what is reached with them, and referred to.

use crate::{
    data_center::PASSWORD,
    form::{Field, Form, Shape, Word},
};

/// What every reference to a stored password begins with.
const PREFIX: &str = "ref:password:";
/// The letters and digits of references: few enough that one does not look like another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// A reference, of random bytes: 100 of their bits.
pub fn reference(random: [u8; 20]) -> String {
    let mut text = PREFIX.to_owned();
    text.extend(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])));
    text
}

/// A password itself, as data center components take one.
const LITERAL: Word = Word {
    is: |text| !text.starts_with("ref:") && (PASSWORD.is)(text),
    hint: "give 2 to 32 characters without quotes that do not begin with ref:",
    pattern: "^[^'\"]{2,32}$",
};

const ALIAS: Field =
    Field { name: "alias", shape: Shape::Text(1, 80), about: "The name it is known by, unique in the organization." };
const THE_PASSWORD: Field = Field { name: "password", shape: Shape::Secret(&LITERAL), about: "The password." };
const USERNAME: Field = Field { name: "username", shape: Shape::Text(1, 120), about: "Whose password it is." };
const DESCRIPTION: Field = Field { name: "description", shape: Shape::Text(1, 500), about: "What it is for." };

/// What is said of a password that is to be stored.
pub enum NewStoredPassword {}

impl Form for NewStoredPassword {
    const NAME: &'static str = "NewStoredPassword";
    const SHAPE: Shape = Shape::Object(
        &[
            Field {
                name: "organizationId",
                shape: Shape::Text(1, 60),
                about: "Whose it is to be; the organization acted in, when left out.",
            },
            ALIAS,
            THE_PASSWORD,
            USERNAME,
            DESCRIPTION,
        ],
        &["alias", "password"],
    );
}

/// What is to be changed of a stored password; what is left out stays.
pub enum StoredPasswordPatch {}

impl Form for StoredPasswordPatch {
    const NAME: &'static str = "StoredPasswordPatch";
    const SHAPE: Shape = Shape::Object(&[ALIAS, THE_PASSWORD, USERNAME, DESCRIPTION], &[]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is made is taken where a reference can stand, and never for a password to be stored.
        #[test]
        fn a_reference_is_one_to_those_who_take_references(random: [u8; 20]) {
            let made = reference(random);
            prop_assert!((PASSWORD.is)(&made) && !(LITERAL.is)(&made));
        }
    }

    #[test]
    fn only_passwords_are_stored() {
        assert!((LITERAL.is)("VMware1!") && !(LITERAL.is)("it's") && !(LITERAL.is)("a") && !(LITERAL.is)("ref:other"));
    }
}
