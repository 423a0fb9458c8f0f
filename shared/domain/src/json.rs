//! How the types of this crate appear in JSON and in the OpenAPI document: as text with a known shape.

/// A type that is written as one JSON value and can say which values those are.
pub trait Shown {
    /// The JSON Schema (2020-12) of the values it takes.
    fn schema() -> serde_json::Value;
}

/// Gives a type with `Display`, `FromStr` and [`Shown`] its serde and schemars implementations, so that the shape
/// accepted and the shape documented cannot differ in more than one place.
macro_rules! as_text {
    (impl<$($g:ident : $b:ident),*> for $t:ty) => {
        impl<$($g: $b),*> serde::Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de, $($g: $b),*> serde::Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::json::read_text(from)
            }
        }
        #[cfg(not(target_family = "wasm"))]
        impl<$($g: $b),*> schemars::JsonSchema for $t {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                std::any::type_name::<Self>().into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::json::schema::<Self>()
            }
        }
    };
    ($t:ty) => { $crate::json::as_text!(impl<> for $t); };
}
pub(crate) use as_text;

/// Reads a JSON string through `FromStr`.
#[doc(hidden)]
pub fn read_text<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
    D: serde::Deserializer<'de>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}
use serde::Deserialize as _;

/// The schema of a [`Shown`] type for schemars.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn schema<T: Shown>() -> schemars::Schema {
    T::schema().try_into().unwrap_or_default()
}

/// Which of an enum's texts this is. Apart from the enums, so that it is compiled once and not for each of them.
#[doc(hidden)]
pub fn place(text: &str, texts: &[&str]) -> Result<usize, String> {
    texts.iter().position(|known| *known == text).ok_or_else(|| format!("not one of {}", texts.join(", ")))
}

/// A fieldless enum whose values are written in UPPER_SNAKE in the API and in the database alike, with one list of
/// them all. One spelling everywhere is what keeps a stored status from being read back as another.
#[macro_export]
macro_rules! text_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, $crate::JsonSchema)]
        pub enum $name { $($(#[$doc])* #[schemars(rename = $text)] $variant,)+ }
        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The text of every value, in the same order.
            pub const TEXTS: &[&'static str] = &[$($text,)+];
            /// The value's text, the same in the API and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
        // Neither is derived. Serialize: the derive writes every text anew. Deserialize: serde_json takes a number where an enum should stand for broken syntax, and does not say what would be right.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::json::read_text(from)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                $crate::json::place(text, Self::TEXTS).map(|place| Self::ALL[place])
            }
        }
    };
}
