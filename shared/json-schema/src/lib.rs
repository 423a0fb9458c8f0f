//! JSON Schema (2020-12), the part of it that describes what is asked of a service: each value that is wrong is named by
//! its pointer.
//!
//! A schema is checked once, when it is registered: a keyword that is not known here is refused by name instead of being
//! passed over, so a schema never promises a check that does not happen. Which keywords there are, and why not all, is in
//! `docs/decisions/0015`. A schema that passed is then read directly at each use. Numbers are compared as decimals.
//!
//! What a check may cost is bounded before it begins ([`bounds`]) and while it goes on ([`WORK`]).

pub mod bounds;

use chrono::NaiveDate;
use regex_lite::{Regex, RegexBuilder};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

/// The dialect, as `$schema` names it.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most bytes a schema has when it is written without white space.
pub const MAX_BYTES: usize = 64 * 1024;
/// How deep a schema may be nested, and how deep `$ref` may lead into another while one value is looked at.
const MAX_DEPTH: usize = 64;
/// What one check may cost, in units of some 25 ns of the shipped component: a tenth of a second at the most. A schema that is
/// applied to a value costs [`VISIT`], a comparison a unit for each value and for each 32 bytes of text, a pattern a unit for each
/// of its states and each byte of the text.
const WORK: usize = 2_000_000;
/// What it costs to apply a schema to a value, besides what its keywords do.
const VISIT: usize = 16;
/// What it costs to name a wrong value, besides its text.
const NAMING: usize = 16;
/// What a state of a compiled pattern takes, in bytes.
const STATE: usize = 32;
/// What all patterns of a schema may take together, in bytes.
const MAX_PATTERNS: usize = 1024 * 1024;
/// How many wrong values are listed.
pub const MAX_ERRORS: usize = 100;
/// What a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 128 * 1024;

/// Keywords that say something to people and check nothing.
const ANNOTATIONS: &[&str] = &["$comment", "title", "description", "default", "examples", "deprecated"];
/// The values of `format`, all of which are checked.
const FORMATS: &[&str] = &["date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];
const TYPES: &[&str] = &["null", "boolean", "object", "array", "number", "string", "integer"];

/// A value that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// Where it is, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A schema that was found to be one.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a>(&'a Value);

impl<'a> Schema<'a> {
    /// The schema, if it keeps to what is known here; else every place that does not. `at` is where it stands in the
    /// request, as a JSON Pointer.
    pub fn new(schema: &'a Value, at: &str) -> Result<Self, Vec<Wrong>> {
        let mut found = Found::default();
        if written(schema).len() > MAX_BYTES {
            found.add(at, format!("is longer than {MAX_BYTES} bytes"));
        } else {
            Checking { root: schema, found: &mut found, patterns: 0 }.schema(schema, at.to_owned(), 0);
            if bounds::schema_nodes(schema) > bounds::MAX_PAIRS {
                found.add(at, format!("has more than {} nodes when each $ref is expanded", bounds::MAX_PAIRS));
            }
        }
        if found.0.is_empty() { Ok(Self(schema)) } else { Err(found.0) }
    }

    /// A schema that was found to be one before. Of one that was not, only what is understood is checked.
    pub fn known(schema: &'a Value) -> Self {
        Self(schema)
    }

    /// What is wrong with an instance: nothing, when it is valid. `at` is where it stands in the request.
    pub fn errors(self, instance: &Value, at: &str) -> Vec<Wrong> {
        if let Some(excess) = bounds::excess(self.0, instance, at) {
            return vec![excess];
        }
        let mut found = Found::default();
        let mut looking = Looking { root: self.0, work: WORK, patterns: BTreeMap::new() };
        looking.at(self.0, instance, at, 0, &mut found);
        if looking.is_over() {
            found = Found::default();
            found.add(at, "takes too long to be checked against this schema; leave some of it out".into());
        }
        found.0
    }
}

/// What was found to be wrong so far.
#[derive(Default)]
struct Found(Vec<Wrong>);

impl Found {
    fn add(&mut self, pointer: &str, detail: String) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(Wrong { pointer: pointer.to_owned(), detail });
        }
    }
}

/// The pointer of a member.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Through the writer that everything else is written with: a value's own `Display` would be compiled beside it.
fn written(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A pattern, matched in time linear in the text's length and the pattern's states.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    /// The least power of two of bytes that it fits into once compiled.
    bytes: usize,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        const SMALLEST: usize = 1024;
        let mut bytes = SMALLEST;
        loop {
            match RegexBuilder::new(text).size_limit(bytes).build() {
                Ok(regex) => return Ok(Self { regex, bytes }),
                Err(error) if bytes >= MAX_PATTERN => return Err(error.to_string()),
                Err(_) => bytes *= 2,
            }
        }
    }

    fn states(&self) -> usize {
        self.bytes / STATE
    }
}

/// What a comparison with a value costs at the most.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / 32,
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(name, value)| 1 + name.len() / 32 + weight(value)).sum::<usize>(),
        _ => 1,
    }
}

/// Where a `$ref` leads: a pointer into the same schema.
fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&decoded(reference.strip_prefix('#')?))
}

/// A fragment, percent-decoded.
fn decoded(fragment: &str) -> Cow<'_, str> {
    if !fragment.contains('%') {
        return fragment.into();
    }
    let (mut bytes, mut rest) = (Vec::new(), fragment.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).map_or(fragment.into(), Cow::Owned)
}

/// The walk over a schema that is to be registered.
struct Checking<'a> {
    root: &'a Value,
    found: &'a mut Found,
    /// What the patterns so far take, in bytes.
    patterns: usize,
}

impl Checking<'_> {
    fn schema(&mut self, schema: &Value, at: String, depth: usize) {
        let keywords = match schema {
            Value::Bool(_) => return,
            Value::Object(keywords) => keywords,
            _ => return self.found.add(&at, "is not a schema; write an object, true or false".into()),
        };
        if depth > MAX_DEPTH {
            return self.found.add(&at, format!("is nested deeper than {MAX_DEPTH} schemas"));
        }
        for (keyword, value) in keywords {
            let at = below(&at, keyword);
            if let Err(wrong) = self.keyword(keyword, value, &at, depth) {
                self.found.add(&at, wrong.into());
            }
        }
    }

    fn keyword(&mut self, keyword: &str, value: &Value, at: &str, depth: usize) -> Result<(), Cow<'static, str>> {
        let is = |right: bool, what: &'static str| if right { Ok(()) } else { Err(Cow::from(what)) };
        match keyword {
            _ if ANNOTATIONS.contains(&keyword) => Ok(()),
            "$schema" => {
                is(depth == 0 && value == DIALECT, "is not https://json-schema.org/draft/2020-12/schema, the one dialect there is here, at the top")
            }
            "$ref" => is(
                value.as_str().is_some_and(|reference| target(self.root, reference).is_some()),
                "does not lead to a place in this schema; write a pointer such as #/$defs/name",
            ),
            "$defs" | "properties" | "patternProperties" | "dependentSchemas" => {
                let members = value.as_object().ok_or("is not an object of schemas")?;
                for (name, schema) in members {
                    let at = below(at, name);
                    if keyword == "patternProperties"
                        && let Err(wrong) = self.pattern(name)
                    {
                        self.found.add(&at, format!("is not a pattern: {wrong}"));
                    }
                    self.schema(schema, at, depth + 1);
                }
                Ok(())
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                let schemas = value.as_array().filter(|schemas| !schemas.is_empty()).ok_or("is not a list of schemas")?;
                for (index, schema) in schemas.iter().enumerate() {
                    self.schema(schema, format!("{at}/{index}"), depth + 1);
                }
                Ok(())
            }
            "not" | "if" | "then" | "else" | "items" | "contains" | "additionalProperties" | "propertyNames" => {
                self.schema(value, at.to_owned(), depth + 1);
                Ok(())
            }
            "type" => {
                let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
                is(
                    known(value) || value.as_array().is_some_and(|names| !names.is_empty() && names.iter().all(known)),
                    "is not null, boolean, object, array, number, string or integer, nor a list of these",
                )
            }
            "enum" => match value.as_array().map_or(0, Vec::len) {
                0 => Err("is not a list of values".into()),
                1..=bounds::MAX_ELEMENTS => Ok(()),
                many => Err(format!("has {many} values; at most {} can be checked", bounds::MAX_ELEMENTS).into()),
            },
            "const" => Ok(()),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => is(value.is_number(), "is not a number"),
            "multipleOf" => is(
                value.as_number().and_then(exact).is_some_and(|number| number > Decimal::ZERO),
                "is not a number above zero with at most 28 digits",
            ),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => is(value.as_u64().is_some(), "is not a whole number from zero on"),
            "uniqueItems" => is(value.is_boolean(), "is not true or false"),
            "required" => is(is_texts(value), "is not a list of names"),
            "dependentRequired" => is(
                value.as_object().is_some_and(|members| members.values().all(is_texts)),
                "is not an object of lists of names",
            ),
            "pattern" => {
                let text = value.as_str().ok_or("is not text")?;
                self.pattern(text).map_err(|wrong| {
                    format!("is not a pattern that is understood here (look-around and back-references are not): {wrong}").into()
                })
            }
            "format" => {
                is(
                    value.as_str().is_some_and(|name| FORMATS.contains(&name)),
                    "is not date, date-time, email, hostname, ipv4, ipv6, uri or uuid",
                )
            }
            _ => Err("is a keyword that is not known here; leave it out, or say it with the keywords that the API's documentation lists".into()),
        }
    }
}

impl Checking<'_> {
    /// Refuses text that is no pattern, and patterns that take too much together.
    fn pattern(&mut self, text: &str) -> Result<(), String> {
        if self.patterns > MAX_PATTERNS {
            return Err(format!("the patterns of this schema take more than {MAX_PATTERNS} bytes when they are compiled"));
        }
        self.patterns += Pattern::new(text)?.bytes;
        Ok(())
    }
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

/// The walk over an instance.
struct Looking<'a> {
    root: &'a Value,
    /// What may still be spent of [`WORK`].
    work: usize,
    /// Each pattern, compiled once. `None` is text that is none.
    patterns: BTreeMap<&'a str, Option<Pattern>>,
}

impl<'a> Looking<'a> {
    /// Spends work; from when there is none left nothing is looked at any more.
    fn spend(&mut self, units: usize) {
        self.work = self.work.saturating_sub(units);
    }

    fn is_over(&self) -> bool {
        self.work == 0
    }

    /// Names a wrong value, if there is room for it.
    fn wrong(&mut self, found: &mut Found, at: &str, detail: impl FnOnce() -> String) {
        if found.0.len() >= MAX_ERRORS {
            return;
        }
        let detail = detail();
        self.spend(NAMING + (at.len() + detail.len()) / 32);
        found.add(at, detail);
    }

    /// Whether a text matches a pattern; what is no pattern lets everything pass.
    fn matches(&mut self, pattern: &'a str, text: &str) -> bool {
        if !self.patterns.contains_key(pattern) {
            let compiled = Pattern::new(pattern).ok();
            // To compile costs about as much as to match a few bytes; each size tried is twice the one before.
            self.spend(8 * compiled.as_ref().map_or(MAX_PATTERN / STATE, Pattern::states));
            self.patterns.insert(pattern, compiled);
        }
        let Some(Some(compiled)) = self.patterns.get(pattern) else { return true };
        let cost = compiled.states() * (text.len() + 1);
        if cost >= self.work {
            self.work = 0;
            return true;
        }
        self.work -= cost;
        compiled.regex.is_match(text)
    }

    /// Whether a value is valid, of which only that is of interest.
    fn passes(&mut self, schema: &'a Value, value: &Value, at: &str, depth: usize) -> bool {
        let mut found = Found::default();
        self.at(schema, value, at, depth, &mut found);
        found.0.is_empty()
    }

    fn at(&mut self, schema: &'a Value, value: &Value, at: &str, depth: usize, found: &mut Found) {
        // The pointer is written anew for each value below.
        self.spend(VISIT + at.len() / 32);
        if self.is_over() {
            return;
        }
        if depth > MAX_DEPTH {
            return self.wrong(found, at, || format!("leads deeper than {MAX_DEPTH} schemas"));
        }
        let keywords = match schema {
            Value::Bool(false) => return self.wrong(found, at, || "is not allowed here; leave it out".into()),
            Value::Object(keywords) => keywords,
            _ => return,
        };
        for (keyword, argument) in keywords {
            self.spend(2);
            if self.is_over() {
                return;
            }
            self.combined(keyword, argument, keywords, value, at, depth, found);
            match value {
                Value::Object(members) => self.object(keyword, argument, keywords, members, at, depth, found),
                Value::Array(items) => self.array(keyword, argument, keywords, items, at, depth, found),
                Value::String(text) => self.text(keyword, argument, text, at, found),
                Value::Number(number) => self.number(keyword, argument, number, at, found),
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    /// The keywords for values of any type.
    #[allow(clippy::too_many_arguments)]
    fn combined(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        siblings: &'a Map<String, Value>,
        value: &Value,
        at: &str,
        depth: usize,
        found: &mut Found,
    ) {
        let schemas = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match keyword {
            "$ref" => {
                if let Some(schema) = argument.as_str().and_then(|reference| target(self.root, reference)) {
                    self.at(schema, value, at, depth + 1, found);
                }
            }
            "type" => {
                let names: Vec<&str> = match argument {
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    name => name.as_str().into_iter().collect(),
                };
                if !names.iter().any(|name| is_of(value, name)) {
                    self.wrong(found, at, || format!("is {}; it must be {}", kind(value), names.join(" or ")));
                }
            }
            "enum" => {
                self.spend(weight(argument));
                if !schemas.iter().any(|one| same(one, value)) {
                    self.wrong(found, at, || {
                        let values: Vec<String> = schemas.iter().take(20).map(written).collect();
                        let more = if schemas.len() > values.len() { ", …" } else { "" };
                        format!("is not one of {}{more}", values.join(", "))
                    });
                }
            }
            "const" => {
                self.spend(weight(argument));
                if !same(argument, value) {
                    self.wrong(found, at, || format!("must be {}", written(argument)));
                }
            }
            "allOf" => schemas.iter().for_each(|schema| self.at(schema, value, at, depth + 1, found)),
            "anyOf" | "oneOf" => {
                let mut outcomes = Vec::new();
                for schema in schemas {
                    let mut wrong = Found::default();
                    self.at(schema, value, at, depth + 1, &mut wrong);
                    outcomes.push(wrong.0);
                }
                match outcomes.iter().filter(|wrong| wrong.is_empty()).count() {
                    1 => {}
                    // What is wrong with the alternative that was most likely meant.
                    0 => {
                        let nearest = outcomes.into_iter().min_by_key(|wrong| nearness(wrong)).unwrap_or_default();
                        for error in nearest {
                            self.wrong(found, &error.pointer, || {
                                format!("{} (of {} alternatives, none fits)", error.detail, schemas.len())
                            });
                        }
                    }
                    several if keyword == "oneOf" => {
                        self.wrong(found, at, || format!("fits {several} alternatives where exactly one is to fit"));
                    }
                    _ => {}
                }
            }
            "not" if self.passes(argument, value, at, depth + 1) => {
                self.wrong(found, at, || "is what it must not be".into());
            }
            "if" => {
                let branch = if self.passes(argument, value, at, depth + 1) { "then" } else { "else" };
                if let Some(schema) = siblings.get(branch) {
                    self.at(schema, value, at, depth + 1, found);
                }
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn object(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        siblings: &'a Map<String, Value>,
        members: &Map<String, Value>,
        at: &str,
        depth: usize,
        found: &mut Found,
    ) {
        let named = || argument.as_object().into_iter().flatten();
        match keyword {
            "properties" => {
                for (name, schema) in named() {
                    if let Some(value) = members.get(name) {
                        self.at(schema, value, &below(at, name), depth + 1, found);
                    }
                }
            }
            "patternProperties" => {
                for (text, schema) in named() {
                    for (name, value) in members {
                        if self.is_over() {
                            return;
                        }
                        if self.matches(text, name) {
                            self.at(schema, value, &below(at, name), depth + 1, found);
                        }
                    }
                }
            }
            "additionalProperties" => {
                let listed = siblings.get("properties").and_then(Value::as_object);
                let patterns = || siblings.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
                for (name, value) in members {
                    if self.is_over() {
                        return;
                    }
                    if listed.is_some_and(|listed| listed.contains_key(name))
                        || patterns().any(|(pattern, _)| self.matches(pattern, name))
                    {
                        continue;
                    }
                    if *argument == Value::Bool(false) {
                        self.wrong(found, &below(at, name), || "is not known; leave it out".into());
                    } else {
                        self.at(argument, value, &below(at, name), depth + 1, found);
                    }
                }
            }
            "propertyNames" => {
                for name in members.keys() {
                    self.at(argument, &Value::String(name.clone()), &below(at, name), depth + 1, found);
                }
            }
            "required" => self.missing(argument, members, at, "", found),
            "dependentRequired" => {
                for (name, names) in named().filter(|(name, _)| members.contains_key(*name)) {
                    self.missing(names, members, at, &format!(" with {name}"), found);
                }
            }
            "dependentSchemas" => {
                for (_, schema) in named().filter(|(name, _)| members.contains_key(*name)) {
                    self.spend(members.values().map(weight).sum());
                    self.at(schema, &Value::Object(members.clone()), at, depth + 1, found);
                }
            }
            "minProperties" | "maxProperties" => self.bounded(keyword, argument, members.len(), "members", at, found),
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn array(
        &mut self,
        keyword: &str,
        argument: &'a Value,
        siblings: &'a Map<String, Value>,
        items: &[Value],
        at: &str,
        depth: usize,
        found: &mut Found,
    ) {
        match keyword {
            "prefixItems" => {
                for (index, (schema, item)) in argument.as_array().into_iter().flatten().zip(items).enumerate() {
                    self.at(schema, item, &format!("{at}/{index}"), depth + 1, found);
                }
            }
            "items" => {
                let before = siblings.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                for (index, item) in items.iter().enumerate().skip(before) {
                    if self.is_over() {
                        return;
                    }
                    self.at(argument, item, &format!("{at}/{index}"), depth + 1, found);
                }
            }
            "contains" => {
                let count = items.iter().filter(|item| self.passes(argument, item, at, depth + 1)).count() as u64;
                let bound = |name: &str| siblings.get(name).and_then(Value::as_u64);
                let (least, most) = (bound("minContains").unwrap_or(1), bound("maxContains").unwrap_or(u64::MAX));
                if count < least || count > most {
                    let most = if most == u64::MAX { String::new() } else { format!(" and at most {most}") };
                    self.wrong(found, at, || format!("has {count} items of the kind of which it needs at least {least}{most}"));
                }
            }
            "uniqueItems" if *argument == Value::Bool(true) => {
                // Written out in one way, so that each is compared with few others.
                self.spend(4 * items.iter().map(weight).sum::<usize>());
                let mut seen = BTreeSet::new();
                if let Some(twice) = items.iter().position(|item| !seen.insert(canonical(item))) {
                    self.wrong(found, &format!("{at}/{twice}"), || "is there twice; each item may be there once".into());
                }
            }
            "minItems" | "maxItems" => self.bounded(keyword, argument, items.len(), "items", at, found),
            _ => {}
        }
    }
    fn text(&mut self, keyword: &str, argument: &'a Value, text: &str, at: &str, found: &mut Found) {
        match keyword {
            "minLength" | "maxLength" => {
                self.spend(text.len() / 32);
                self.bounded(keyword, argument, text.chars().count(), "characters", at, found);
            }
            "pattern" => {
                if let Some(pattern) = argument.as_str()
                    && !self.matches(pattern, text)
                {
                    self.wrong(found, at, || format!("does not match {pattern}"));
                }
            }
            "format" => {
                self.spend(text.len() / 4);
                let name = argument.as_str().unwrap_or_default();
                if !is_format(name, text) {
                    self.wrong(found, at, || format!("is not of the format {name}"));
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, keyword: &str, argument: &'a Value, number: &serde_json::Number, at: &str, found: &mut Found) {
        let Some(bound) = argument.as_number() else { return };
        let order = compare(number, bound);
        let wrong = match keyword {
            "minimum" if order == Ordering::Less => "is below",
            "maximum" if order == Ordering::Greater => "is above",
            "exclusiveMinimum" if order != Ordering::Greater => "is not above",
            "exclusiveMaximum" if order != Ordering::Less => "is not below",
            "multipleOf" if !is_multiple(number, bound) => "is not a multiple of",
            _ => return,
        };
        self.wrong(found, at, || format!("{wrong} {bound}"));
    }

    fn bounded(&mut self, keyword: &str, argument: &Value, length: usize, what: &str, at: &str, found: &mut Found) {
        let Some(bound) = argument.as_u64() else { return };
        if keyword.starts_with("min") && (length as u64) < bound {
            self.wrong(found, at, || format!("has {length} {what}; at least {bound} are needed"));
        }
        if keyword.starts_with("max") && (length as u64) > bound {
            self.wrong(found, at, || format!("has {length} {what}; at most {bound} are allowed"));
        }
    }

    fn missing(&mut self, names: &'a Value, members: &Map<String, Value>, at: &str, when: &str, found: &mut Found) {
        self.spend(names.as_array().map_or(0, Vec::len));
        let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in names.filter(|name| !members.contains_key(*name)) {
            if self.is_over() {
                return;
            }
            self.wrong(found, &below(at, name), || format!("is missing; {name} is required{when}"));
        }
    }
}

/// How far an alternative is from what was meant: one that says the value is of another type, or another constant, was not.
fn nearness(wrong: &[Wrong]) -> (bool, usize) {
    let other = wrong.iter().any(|error| error.detail.starts_with("must be ") || error.detail.contains("; it must be "));
    (other, wrong.len())
}

/// A number as a decimal, where it fits into one.
fn exact(number: &serde_json::Number) -> Option<Decimal> {
    match number.as_f64() {
        // Rust writes a float without an exponent, with as few digits as tell it from its neighbours: those that were sent.
        Some(float) if number.is_f64() => Decimal::from_str_exact(&format!("{float}")).ok(),
        _ => number.as_i64().map(Decimal::from).or_else(|| number.as_u64().map(Decimal::from)),
    }
}

fn compare(one: &serde_json::Number, other: &serde_json::Number) -> Ordering {
    match (exact(one), exact(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        // Beyond 28 digits their order is that of the approximations they were read as.
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn is_multiple(number: &serde_json::Number, of: &serde_json::Number) -> bool {
    match (exact(number), exact(of)) {
        (Some(number), Some(of)) => number.checked_rem(of).is_some_and(|rest| rest.is_zero()),
        _ => false,
    }
}

/// A value written so that two are equal as JSON Schema has it exactly if they are written alike.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match exact(number) {
            Some(exact) => exact.normalize().to_string(),
            None => format!("{:e}", number.as_f64().unwrap_or_default()),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}:{}", written(&Value::from(name.as_str())), canonical(value)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        _ => written(value),
    }
}

/// Whether two values are equal as JSON Schema has it: 1 and 1.0 are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other) == Ordering::Equal,
        (Value::Array(one), Value::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, a)| other.get(name).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match (value, name) {
        (Value::Number(number), "integer") => {
            !number.is_f64()
                || exact(number).map_or_else(|| number.as_f64().is_some_and(|n| n.fract() == 0.0), |n| n.is_integer())
        }
        _ => kind(value) == name,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_format(name: &str, text: &str) -> bool {
    match name {
        "date" => is_date(text),
        "date-time" => is_date_time(text),
        "email" => text.rsplit_once('@').is_some_and(|(who, host)| {
            !who.is_empty() && who.len() <= 64 && !who.chars().any(|c| c.is_whitespace() || c.is_control()) && is_hostname(host)
        }),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "uri" => is_uri(text),
        "uuid" => text.len() == 36 && uuid::Uuid::parse_str(text).is_ok(),
        _ => true,
    }
}

/// RFC 3339: four, two and two digits that are a day.
fn is_date(text: &str) -> bool {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let digits =
        text.bytes().enumerate().all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    let date = || NaiveDate::from_ymd_opt(part(0, 4)? as i32, part(5, 7)?, part(8, 10)?);
    text.len() == 10 && digits && date().is_some()
}

/// RFC 3339: a day, a time, and its offset from UTC. Chrono's reader takes more room than all the rest here.
fn is_date_time(text: &str) -> bool {
    let (Some(day), Some(b'T' | b't'), Some(time)) = (text.get(..10), text.as_bytes().get(10), text.get(11..)) else {
        return false;
    };
    let clock = |text: &str, words: &[u32]| {
        text.len() == 3 * words.len() - 1
            && text.split(':').zip(words).all(|(word, below)| {
                word.len() == 2
                    && word.bytes().all(|byte| byte.is_ascii_digit())
                    && word.parse::<u32>().is_ok_and(|number| number < *below)
            })
    };
    // The last minute of a day may have a leap second.
    let (Some(clock_time), Some(rest)) = (time.get(..8), time.get(8..)) else { return false };
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let zone = if rest.starts_with('.') { rest.get(1 + digits..) } else { Some(rest) };
    let zoned = zone.is_some_and(|zone| {
        zone.eq_ignore_ascii_case("z") || zone.strip_prefix(['+', '-']).is_some_and(|offset| clock(offset, &[24, 60]))
    });
    is_date(day) && clock(clock_time, &[24, 60, 61]) && rest.starts_with('.') == (digits > 0) && zoned
}

/// RFC 1123: labels of letters, digits and hyphens.
pub fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// RFC 3986: a scheme, a colon, and nothing that a URI must not hold.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn errors(schema: &Value, instance: &Value) -> Vec<String> {
        let schema = Schema::new(schema, "").unwrap();
        schema.errors(instance, "").into_iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect()
    }

    fn refused(schema: Value) -> Vec<String> {
        Schema::new(&schema, "/s").err().into_iter().flatten().map(|wrong| wrong.pointer).collect()
    }

    #[test]
    fn what_is_not_known_is_refused_where_it_stands() {
        for (schema, expected) in [
            (json!(7), "/s"),
            (json!({ "typ": "object" }), "/s/typ"),
            (json!({ "$id": "urn:a" }), "/s/$id"),
            (json!({ "$schema": "http://json-schema.org/draft-07/schema#" }), "/s/$schema"),
            (json!({ "properties": { "a/b": { "type": "text" } } }), "/s/properties/a~1b/type"),
            (json!({ "items": { "$schema": DIALECT } }), "/s/items/$schema"),
            (json!({ "$ref": "#/$defs/none" }), "/s/$ref"),
            (json!({ "$ref": "https://elsewhere.example/schema" }), "/s/$ref"),
            (json!({ "pattern": "(?=a)" }), "/s/pattern"),
            (json!({ "pattern": "(a)\\1" }), "/s/pattern"),
            (json!({ "pattern": "a{1000}{1000}" }), "/s/pattern"),
            (json!({ "patternProperties": { "(": true } }), "/s/patternProperties/("),
            (json!({ "format": "phone" }), "/s/format"),
            (json!({ "multipleOf": 0 }), "/s/multipleOf"),
            (json!({ "minLength": -1 }), "/s/minLength"),
            (json!({ "minimum": "1" }), "/s/minimum"),
            (json!({ "required": [1] }), "/s/required"),
            (json!({ "required": "a" }), "/s/required"),
            (json!({ "enum": [] }), "/s/enum"),
            (json!({ "anyOf": [] }), "/s/anyOf"),
            (json!({ "anyOf": [{ "not": 1 }] }), "/s/anyOf/0/not"),
            (json!({ "unevaluatedProperties": false }), "/s/unevaluatedProperties"),
            (json!({ "title": "x".repeat(MAX_BYTES) }), "/s"),
        ] {
            assert_eq!(refused(schema.clone()), [expected], "{schema}");
        }
        let mut deep = json!({});
        for _ in 0..=MAX_DEPTH {
            deep = json!({ "items": deep });
        }
        assert_eq!(refused(deep).len(), 1);
        let known = json!({ "$schema": DIALECT, "title": "t", "default": 1, "examples": [], "$defs": { "a b": true }, "$ref": "#/$defs/a%20b" });
        assert!(refused(known).is_empty());
    }

    #[test]
    fn each_wrong_value_is_named_by_its_pointer() {
        let schema = json!({
            "type": "object",
            "required": ["name", "nodes"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "pattern": "^[a-z]+$", "maxLength": 5 },
                "nodes": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/node" } },
                "mode": { "enum": ["A", "B"] },
                "storage": { "oneOf": [
                    { "properties": { "kind": { "const": "nfs" }, "path": { "type": "string" } }, "required": ["kind", "path"] },
                    { "properties": { "kind": { "const": "s3" }, "bucket": { "type": "string" } }, "required": ["kind", "bucket"] },
                ] },
            },
            "$defs": { "node": { "type": "object", "properties": { "cpu": { "type": "integer", "minimum": 1 }, "ip": { "format": "ipv4" } } } },
        });
        let good =
            json!({ "name": "abc", "nodes": [{ "cpu": 2, "ip": "10.0.0.1" }], "storage": { "kind": "s3", "bucket": "b" } });
        assert_eq!(errors(&schema, &good), [""; 0]);
        let bad = json!({ "name": "ABCDEF", "nodes": [{}, { "cpu": 0.5, "ip": "10.0.0" }], "mode": "C", "a/b~": 1, "storage": { "kind": "s3" } });
        let mut found = errors(&schema, &bad);
        found.sort();
        let pointers: Vec<&str> = found.iter().map(|error| error.split(' ').next().unwrap()).collect();
        assert_eq!(
            pointers,
            ["/a~1b~0", "/mode", "/name", "/name", "/nodes/1/cpu", "/nodes/1/cpu", "/nodes/1/ip", "/storage/bucket"],
            "{found:#?}"
        );
        assert_eq!(errors(&schema, &json!({})).len(), 2);
    }

    #[test]
    fn numbers_are_decimals() {
        for (schema, instance, valid) in [
            (json!({ "multipleOf": 0.1 }), json!(0.3), true),
            (json!({ "multipleOf": 0.01 }), json!(4.35), true),
            (json!({ "multipleOf": 0.1 }), json!(0.35), false),
            (json!({ "type": "integer" }), json!(1.0), true),
            (json!({ "type": "integer" }), json!(1e300), true),
            (json!({ "type": "integer" }), json!(1.5), false),
            (json!({ "const": 1 }), json!(1.0), true),
            (json!({ "enum": [{ "a": [1.0] }] }), json!({ "a": [1] }), true),
            (json!({ "uniqueItems": true }), json!([1, 1.0]), false),
            (json!({ "maximum": 18446744073709551615u64 }), json!(-9223372036854775808i64), true),
            (json!({ "minimum": 9007199254740993u64 }), json!(9007199254740992u64), false),
            (json!({ "exclusiveMinimum": 1e300 }), json!(1e301), true),
            (json!({ "exclusiveMaximum": 1 }), json!(1.0), false),
        ] {
            assert_eq!(errors(&schema, &instance).is_empty(), valid, "{schema} {instance}");
        }
    }

    #[test]
    fn formats_are_checked() {
        for (format, good, bad) in [
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T01:02:03Z", "2026-02-28"),
            ("email", "a.b+c@example.com", "a b@example.com"),
            ("hostname", "a-1.example", "-a.example"),
            ("ipv4", "10.0.0.1", "10.0.0.01"),
            ("ipv6", "2001:db8::1", "2001:db8:::1"),
            ("uri", "https://example.com/a?b#c", "example.com/a b"),
            ("uuid", "018f7e3a-7c1e-7000-8000-000000000000", "018f7e3a7c1e70008000000000000000"),
        ] {
            let schema = json!({ "format": format });
            assert!(errors(&schema, &json!(good)).is_empty() && errors(&schema, &json!(7)).is_empty(), "{format} {good}");
            assert_eq!(errors(&schema, &json!(bad)).len(), 1, "{format} {bad}");
        }
        let takes = |text: &str| errors(&json!({ "format": "date-time" }), &json!(text)).is_empty();
        for text in ["2026-02-28t23:59:60z", "2026-02-28T01:02:03.25+14:00", "0001-01-01T00:00:00-00:00"] {
            assert!(takes(text), "{text}");
        }
        for text in [
            "2026-02-28T01:02:03",
            "2026-02-28T01:02Z",
            "2026-02-28T24:00:00Z",
            "2026-02-28T01:60:00Z",
            "2026-02-28T01:02:03.Z",
            "2026-02-28T01:02:03+1:00",
            "2026-02-28T01:02:03+24:00",
            "2026-02-28T+1:02:03Z",
            "2026-02-28T01:02:03ZZ",
            "2026-02-28T01:02:0\u{e9}",
            "",
        ] {
            assert!(!takes(text), "{text}");
        }
    }

    #[test]
    fn what_leads_in_circles_or_multiplies_itself_ends() {
        assert_eq!(errors(&json!({ "$ref": "#" }), &json!(1)).len(), 1);
        let tree = json!({ "type": "object", "properties": { "below": { "$ref": "#" } }, "additionalProperties": false });
        assert!(errors(&tree, &json!({ "below": { "below": { "below": {} } } })).is_empty());
        assert_eq!(errors(&tree, &json!({ "below": { "below": { "above": {} } } })).len(), 1);
        let mut doubling = json!({ "d0": { "type": "null" } });
        for level in 1..40 {
            let before = json!({ "$ref": format!("#/$defs/d{}", level - 1) });
            doubling[format!("d{level}")] = json!({ "allOf": [before.clone(), before] });
        }
        let bomb = json!({ "$defs": doubling, "$ref": "#/$defs/d39" });
        assert_eq!(refused(bomb.clone()), ["/s"]);
        let stored = Schema::known(&bomb).errors(&json!(null), "/p");
        assert_eq!(stored[0].pointer, "/p");
        assert!(stored[0].detail.contains("at most 0 can be checked"), "{stored:?}");
        // Each level of the instance doubles what is looked at, and the schema is small.
        let twice = json!({ "properties": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
        let mut deep = json!(1);
        for _ in 0..25 {
            deep = json!({ "a": deep });
        }
        assert_eq!(errors(&twice, &deep), [" takes too long to be checked against this schema; leave some of it out"]);
        let all_wrong = json!({ "items": { "type": "null" } });
        assert_eq!(errors(&all_wrong, &json!(vec![1; 500])).len(), MAX_ERRORS);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|b| json!(b)),
            (-4i64..5).prop_map(|n| json!(n)),
            (-8i64..9).prop_map(|n| json!(n as f64 / 2.0)),
            "[ab]{0,3}".prop_map(|s| json!(s)),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
                prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|members| json!(members)),
            ]
        })
    }

    /// A schema of one keyword without schemas in it.
    fn one_schema() -> impl Strategy<Value = Value> {
        let names = || prop::collection::btree_set("[abc]", 0..3);
        let small = 0u64..4;
        prop_oneof![
            any::<bool>().prop_map(|b| json!(b)),
            prop::sample::select(TYPES).prop_map(|name| json!({ "type": name })),
            prop::collection::btree_set(prop::sample::select(TYPES), 1..3).prop_map(|names| json!({ "type": names })),
            prop::collection::vec(any_value(), 1..4).prop_map(|values| json!({ "enum": values })),
            any_value().prop_map(|value| json!({ "const": value })),
            (prop::sample::select(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"][..]), -4i64..5)
                .prop_map(|(k, n)| json!({ k: n as f64 / 2.0 })),
            (1i64..5).prop_map(|n| json!({ "multipleOf": n as f64 / 2.0 })),
            (
                prop::sample::select(&["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"][..]),
                small.clone()
            )
                .prop_map(|(k, n)| json!({ k: n })),
            Just(json!({ "uniqueItems": true })),
            prop::sample::select(&["a", "^b", "a$", "^[ab]{2}$", "a|bb"][..]).prop_map(|p| json!({ "pattern": p })),
            names().prop_map(|names| json!({ "required": names })),
            names().prop_map(|names| json!({ "dependentRequired": { "a": names } })),
        ]
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        one_schema().prop_recursive(3, 24, 4, move |inner| {
            let list = || prop::collection::vec(inner.clone(), 1..4);
            let map = || prop::collection::btree_map("[abc]", inner.clone(), 0..3);
            prop_oneof![
                (prop::sample::select(&["allOf", "anyOf", "oneOf", "prefixItems"][..]), list())
                    .prop_map(|(k, s)| json!({ k: s })),
                (prop::sample::select(&["not", "items", "additionalProperties", "propertyNames"][..]), inner.clone())
                    .prop_map(|(k, s)| json!({ k: s })),
                (inner.clone(), 0u64..3, 0u64..3)
                    .prop_map(|(s, min, more)| json!({ "contains": s, "minContains": min, "maxContains": min + more })),
                (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
                (map(), prop::option::of(inner.clone())).prop_map(|(s, rest)| match rest {
                    Some(rest) => json!({ "properties": s, "additionalProperties": rest }),
                    None => json!({ "properties": s }),
                }),
                (inner.clone(), inner.clone())
                    .prop_map(|(s, rest)| json!({ "patternProperties": { "^[ab]": s }, "additionalProperties": rest })),
                (list(), inner.clone()).prop_map(|(s, rest)| json!({ "prefixItems": s, "items": rest })),
                map().prop_map(|s| json!({ "dependentSchemas": s })),
                inner.clone().prop_map(|s| json!({ "$defs": { "x": s }, "type": ["object", "array", "string", "number"] })),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A full implementation of the standard is asked the same.
        #[test]
        fn it_says_what_the_standard_says(schema in any_schema(), instance in any_value()) {
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let wrong = errors(&schema, &instance);
            prop_assert_eq!(wrong.is_empty(), validator.is_valid(&instance), "{} {} {:?}", schema, instance, wrong);
        }

        /// The same for one keyword and one value, of few kinds, so that every keyword meets its bounds.
        #[test]
        fn each_keyword_says_what_the_standard_says(schemas in prop::collection::vec(one_schema(), 15), values in prop::collection::vec(any_value(), 15)) {
            for schema in &schemas {
                let validator = jsonschema::draft202012::new(schema).unwrap();
                for value in &values {
                    let wrong = errors(schema, value);
                    prop_assert_eq!(wrong.is_empty(), validator.is_valid(value), "{} {} {:?}", schema, value, wrong);
                }
            }
        }

        #[test]
        fn every_pointer_leads_to_a_value_or_to_where_one_is_missing(schema in any_schema(), instance in any_value()) {
            for error in Schema::new(&schema, "").unwrap().errors(&instance, "") {
                let parent = error.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                prop_assert!(instance.pointer(&error.pointer).or(instance.pointer(parent)).is_some(), "{}", error.pointer);
            }
        }
    }
}
