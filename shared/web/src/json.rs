//! JSON objects taken apart and put together without reading what is in their fields.
//!
//! serde_json's `Value` would do it too, and bring its numbers, maps and their reading and writing into every component
//! that edits something: some 40 KB.

use crate::extract::refusal;
use domain::{Error, Result};
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// An object's fields in their order: the names, and the values as they were written.
pub type Fields<'a> = Vec<(String, &'a str)>;

/// The fields of the JSON object in `text`. Of a field that is there twice, the last.
pub fn fields(text: &[u8]) -> Result<Fields<'_>> {
    struct Visit;
    impl<'de> Visitor<'de> for Visit {
        type Value = Fields<'de>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
            let mut fields = Fields::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                put(&mut fields, name, value.get());
            }
            Ok(fields)
        }
    }
    let refused = |error| refusal(text, error);
    let mut json = serde_json::Deserializer::from_slice(text);
    let fields = json.deserialize_map(Visit).map_err(refused)?;
    json.end().map_err(refused)?;
    Ok(fields)
}

fn put<'a>(fields: &mut Fields<'a>, name: String, value: &'a str) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
}

/// The JSON object with these fields.
pub fn object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("{");
    for (name, value) in fields {
        if text.len() > 1 {
            text.push(',');
        }
        text += &string(name);
        text.push(':');
        text += value;
    }
    text.push('}');
    text
}

/// A JSON string.
pub fn string(text: &str) -> String {
    // Writing a string into memory cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// The text of a JSON string; none of anything else.
pub fn text(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}

/// An object after a merge patch (RFC 7396), without the fields that `without` names. What the patch clears is null, for that
/// is how the hub writes that something is not there.
pub(crate) fn merged(target: &[u8], patch: &[u8], without: &[&str]) -> Result<String> {
    let mut target = fields(target)?;
    target.retain(|(name, _)| !without.contains(&name.as_str()));
    let mut inner = Vec::new();
    let patch = fields(patch)?;
    for (name, value) in &patch {
        if !value.starts_with('{') {
            put(&mut target, name.clone(), value);
            continue;
        }
        // The depth is bounded, since what is nested too deep was refused when it was read.
        let at = target.iter().find(|(known, value)| known == name && value.starts_with('{')).map_or("{}", |field| field.1);
        inner.push((name, merged(at.as_bytes(), value.as_bytes(), &[])?));
    }
    for (name, value) in &inner {
        put(&mut target, (*name).clone(), value);
    }
    Ok(object(target.iter().map(|(name, value)| (name.as_str(), *value))))
}

/// The same as [`serde_json::to_string`], with an error of ours.
pub fn write(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::fault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_patch_is_merged_as_its_standard_says() {
        // Of the examples of RFC 7396, appendix A, those whose target and patch are objects.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d"}}), json!({"a":{"b":"d"}})),
            (json!({"a":{"b":"c","e":1}}), json!({"a":{"b":"d"},"x":{"y":2}}), json!({"a":{"b":"d","e":1},"x":{"y":2}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"a":"foo"}), json!({"a":{"b":"c"}}), json!({"a":{"b":"c"}})),
            // Cleared, and never there.
            (json!({"a":"b","id":"x"}), json!({"a":null}), json!({"a":null})),
        ] {
            let merged = merged(target.to_string().as_bytes(), patch.to_string().as_bytes(), &["id"]).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&merged).unwrap(), result);
        }
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        assert_eq!(fields(b" {\"a\" : [1, 2] , \"a\":\"x\"} ").unwrap(), [("a".to_owned(), "\"x\"")]);
        for (wrong, code) in [
            ("", "malformed_json"),
            ("{", "malformed_json"),
            ("{} {}", "malformed_json"),
            ("[]", "invalid_request"),
            ("1", "invalid_request"),
        ] {
            assert_eq!(fields(wrong.as_bytes()).unwrap_err().code, code, "{wrong}");
        }
        assert_eq!(object([("a\"", "1"), ("b", "null")]), r#"{"a\"":1,"b":null}"#);
        assert_eq!((text("\"x\\u0041\""), text("1")), (Some("xA".into()), None));
    }
}
