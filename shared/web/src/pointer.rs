//! Where in a JSON text an error is, as a JSON Pointer.
//!
//! serde_json says at which line and column it gave up. What leads there is read from the text again, only when there is an
//! error. To keep the way while reading, as `serde_path_to_error` does, wraps every type's reading in a second form of
//! itself: 50 kB of a component.

use domain::List;

/// One step of the way.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// The pointer to what an error is about. `detail` is its text.
///
/// An error inside an object or array is only placed after its end if what was wrong came last in it. So at the end of
/// one it is about its last value, unless its text says otherwise.
pub(crate) fn pointer(json: &[u8], error: &serde_json::Error, detail: &str) -> String {
    let about = if detail.starts_with("missing field") || detail.starts_with("invalid length") {
        About::Whole
    } else if List::<(), 0>::is_too_long(detail) {
        About::List
    } else if detail.starts_with("invalid type: sequence") || detail.starts_with("invalid type: map") {
        About::Next
    } else {
        About::Last
    };
    at(json, error.line(), error.column(), about)
}

/// What an error is about, seen from its place.
#[derive(Clone, Copy, PartialEq)]
enum About {
    /// The last value.
    Last,
    /// The object or array that has ended there.
    Whole,
    /// The last list: the one that has ended there, or the last in an object that has.
    List,
    /// The object or array that begins there.
    Next,
}

/// The pointer to what is at this line and column, both from 1.
fn at(json: &[u8], line: usize, column: usize, about: About) -> String {
    let start = match line {
        0 | 1 => 0,
        _ => json.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(line - 2).map_or(json.len(), |(at, _)| at + 1),
    };
    let end = json.len().min(start + column);
    let mut text = &json[..end];
    let mut way: Vec<Step> = Vec::new();
    // The last step inside what has just ended.
    let mut ended = None;
    // After a comma the next value is still to come.
    let mut comma = false;
    while let [byte, rest @ ..] = text {
        text = rest;
        if byte.is_ascii_whitespace() || *byte == b':' {
            continue;
        }
        ended = None;
        if std::mem::take(&mut comma)
            && let Some(Step::Index(index)) = way.last_mut()
        {
            *index += 1;
        }
        match byte {
            b'{' => way.push(Step::Key(String::new())),
            b'[' => way.push(Step::Index(0)),
            b'}' | b']' => ended = way.pop(),
            b',' => comma = true,
            b'"' => {
                let length = string(text);
                let after = text.get(length..).unwrap_or_default();
                if let (Some(Step::Key(key)), true) = (way.last_mut(), is_key(after, json, end)) {
                    let quoted = [b"\"", &text[..length.min(text.len())]].concat();
                    *key = serde_json::from_slice(&quoted).unwrap_or_default();
                }
                text = after;
            }
            _ => {}
        }
    }
    match (about, &ended) {
        (About::Whole, _) | (About::List, Some(Step::Index(_))) => {}
        (About::Next, None) if comma => {
            if let Some(Step::Index(index)) = way.last_mut() {
                *index += 1;
            }
        }
        _ => way.extend(ended),
    }
    way.iter()
        .map(|step| match step {
            Step::Key(key) if key.is_empty() => String::new(),
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

/// The length of the rest of a string, its closing quote included.
fn string(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether the string before this is the key of a member: a colon follows, perhaps after the place of the error.
fn is_key(after: &[u8], json: &[u8], end: usize) -> bool {
    let rest = &json[end - after.len()..];
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Text;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its reading is of interest")]
    struct Thing {
        name: Text<1, 5>,
        number: Option<u8>,
        parts: Option<List<Part, 3>>,
        words: Option<Vec<Text<1, 3>>>,
        part: Option<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is of interest")]
    struct Part {
        size: i64,
        #[serde(rename = "a/b~c")]
        odd: Option<bool>,
        within: Option<Box<Part>>,
    }

    fn ours(json: &str) -> Option<(String, String)> {
        let error = serde_json::from_str::<Thing>(json).err()?;
        let detail = error.to_string();
        error.is_data().then(|| (pointer(json.as_bytes(), &error, &detail), detail))
    }

    /// What `serde_path_to_error` says, less what it does not know: which name is missing or unknown.
    fn theirs(json: &str) -> Option<String> {
        let mut from = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, Thing>(&mut from).err()?;
        Some(
            error
                .path()
                .iter()
                .map(|segment| match segment {
                    serde_path_to_error::Segment::Seq { index } => format!("/{index}"),
                    serde_path_to_error::Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
                    _ => String::new(),
                })
                .collect(),
        )
    }

    #[test]
    fn errors_are_placed() {
        for (json, place) in [
            (r#"[]"#, ""),
            (r#"{"name":""}"#, "/name"),
            (r#"{"name":"", "number":1}"#, "/name"),
            ("{\n \"number\":1,\n \"name\" : [] }", "/name"),
            (r#"{"name":null}"#, "/name"),
            (r#"{"name":7}"#, "/name"),
            (r#"{"number":256,"name":"a"}"#, "/number"),
            (r#"{"name":"a","parts":[{"size":1},{"size":"x"}]}"#, "/parts/1/size"),
            (r#"{"name":"a","parts":[{"size":1},{"size":true , "within":null}, {"size":2}]}"#, "/parts/1/size"),
            (r#"{"name":"a","parts":[{"size":1,"within":{"size":1,"a/b~c":3}}]}"#, "/parts/0/within/a~1b~0c"),
            (r#"{"name":"a","parts":[{"size":1},{"size":1},{"size":1},{"size":1}]}"#, "/parts"),
            (r#"{"name":"a","parts":[{"size":1},{"size":1},{"size":1},{"size":1}], "number":1}"#, "/parts"),
            (r#"{"name":"a","words":["a","bcde"]}"#, "/words/1"),
            (r#"{"name":"a","words":["abcd","bc"]}"#, "/words/0"),
            (r#"{"name":"a","words":["abcd" , "bc"]}"#, "/words/0"),
            (r#"{"name":"a","words":[{}]}"#, "/words/0"),
            (r#"{"name":"a","other":1}"#, "/other"),
            (r#"{"name":"a","part":{"size":1,"other":{"x":1}}}"#, "/part/other"),
            (r#"{"name":"a","name":"b"}"#, "/name"),
            (r#"{"name":"a","part":{}}"#, "/part"),
            (r#"{"name":"a","part":{"a/b~c":true}, "number":1}"#, "/part"),
            (r#"{"na\u006de":"a","part":1.5}"#, "/part"),
        ] {
            assert_eq!(ours(json).map(|(place, _)| place).as_deref(), Some(place), "{json}");
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (-3i64..400).prop_map(Into::into),
            Just(1.5.into()),
            "[a-d\"\\\\ü]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let key = prop::sample::select(vec!["name", "number", "parts", "words", "part", "size", "a/b~c", "within", "x"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((key, inner), 0..5).prop_map(|members| serde_json::Value::Object(
                    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
                )),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_is_the_place_that_keeping_the_way_gives(value in value(), pretty: bool) {
            let json = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            if let (Some((place, detail)), Some(kept)) = (ours(&json), theirs(&json))
                && !detail.starts_with("unknown field")
            {
                prop_assert_eq!(place, kept, "{}: {}", json, detail);
            }
        }

        #[test]
        fn no_text_and_no_place_make_it_panic(json in "[\\[\\]{}:,\"\\\\a \n]{0,30}", line in 0usize..5, column in 0usize..40) {
            for about in [About::Last, About::Whole, About::List, About::Next] {
                at(json.as_bytes(), line, column, about);
            }
        }
    }
}
