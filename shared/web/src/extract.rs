//! The parts of a request that handlers take. Each checks itself, and each says in the OpenAPI document what it takes.

use crate::{Describe, Headers, Hub, json, limits, pointer::pointer, route::LocalIn, secret};
use domain::{
    Error, FieldError, JsonSchema, Kind, Result,
    form::{self, Form, Shape},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use spin_sdk::wasip3::{http::types, wit_bindgen::StreamResult, wit_future};
use std::{marker::PhantomData, str::FromStr, time::Duration};

/// A request on its way into a handler.
pub struct Incoming {
    /// The method.
    pub method: http::Method,
    /// The headers.
    pub headers: Headers,
    /// The values of the path's `{names}`, in order.
    pub(crate) path: Vec<(&'static str, String)>,
    /// Whether a part has read `If-Match`.
    pub(crate) condition_read: bool,
}

impl Incoming {
    /// Refuses a condition that no part of the request has read: a change whose `If-Match` is passed over would be made of another state
    /// than the caller saw. `*` holds of whatever is there.
    pub(crate) fn check_condition(&self) -> Result<()> {
        let given = || self.headers.text("if-match").is_some_and(|header| header.trim() != "*");
        if self.condition_read || self.method.is_safe() || !given() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Stale,
            "if_match_not_taken",
            "What this changes has no ETag, so no state of it matches the header If-Match, and nothing was done. Send the request without that header.",
        ))
    }
}

/// A part of a request. Not for use outside the kit and handlers, where no future needs to be `Send`.
#[allow(async_fn_in_trait)]
pub trait FromRequest: Describe + Sized {
    /// Reads and checks the part.
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self>;
}

/// The value in the path.
pub struct Path<T>(pub T);

/// The two values in the path.
pub struct Paths<A, B>(pub A, pub B);

impl<T: FromStr<Err: std::fmt::Display> + JsonSchema> FromRequest for Path<T> {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        path_value(incoming, 0).map(Self)
    }
}

impl<A, B> FromRequest for Paths<A, B>
where
    A: FromStr<Err: std::fmt::Display> + JsonSchema,
    B: FromStr<Err: std::fmt::Display> + JsonSchema,
{
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        Ok(Self(path_value(incoming, 0)?, path_value(incoming, 1)?))
    }
}

fn path_value<T: FromStr<Err: std::fmt::Display>>(incoming: &Incoming, index: usize) -> Result<T> {
    let (name, text) = incoming.path.get(index).ok_or_else(|| Error::fault("a route has fewer names than its handler takes"))?;
    text.parse().map_err(|error| Error::malformed("bad_path", format!("{name} in the path is {error}.")))
}

/// The query. A name that is not known is refused, for a misspelt filter would otherwise show everything.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> FromRequest for Query<T> {
    async fn from_request(hub: &Hub, _: &mut Incoming) -> Result<Self> {
        let query = hub.target().split_once('?').map_or("", |(_, query)| query);
        serde_urlencoded::from_str(query).map(Self).map_err(|error| {
            // The error does not say which parameter it is about; the one that is refused alone is.
            let wrong = query.split('&').find(|pair| serde_urlencoded::from_str::<T>(pair).is_err()).unwrap_or(query);
            let name = wrong.split('=').next().unwrap_or_default();
            Error::malformed(
                "bad_query",
                format!("The query is not right at {name}: {error}. What this takes is in /openapi.json."),
            )
        })
    }
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + JsonSchema> FromRequest for Body<T> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        media_type(incoming, &[JSON])?;
        let bytes = read(hub).await?;
        read_json(&bytes).map(Self)
    }
}

const JSON: &str = "application/json";

/// Reads JSON; a refusal points at the field.
pub fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| refusal(bytes, error))
}

/// An edit of something of which `T` is said: a JSON merge patch (RFC 7396). What is left out stays, null clears.
pub struct Merge<T> {
    patch: String,
    edited: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned + JsonSchema> FromRequest for Merge<T> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        Ok(Self { patch: read_patch(hub, incoming).await?, edited: std::marker::PhantomData })
    }
}

/// Apart from the type, so that it is compiled once and not for everything that is edited.
fn read_patch<'a>(hub: &'a Hub, incoming: &'a Incoming) -> LocalIn<'a, Result<String>> {
    Box::pin(async move {
        media_type(incoming, &[JSON, "application/merge-patch+json"])?;
        let bytes = read(hub).await?;
        json::fields(&bytes)?;
        // What was read as JSON is UTF-8.
        String::from_utf8(bytes).map_err(|error| Error::fault(error.to_string()))
    })
}

impl<T: DeserializeOwned> Merge<T> {
    /// What is said after the edit of a thing that is shown as `current`. What `not_edited` names is shown and never said.
    pub fn onto(&self, current: &impl serde::Serialize, not_edited: &[&str]) -> Result<T> {
        let current = serde_json::to_vec(current).map_err(|error| Error::fault(error.to_string()))?;
        read_json(json::merged(&current, self.patch.as_bytes(), not_edited)?.as_bytes())
    }

    /// Whether the edit says anything of this field.
    pub fn names(&self, field: &str) -> bool {
        json::fields(self.patch.as_bytes()).is_ok_and(|fields| fields.iter().any(|(name, _)| name == field))
    }
}

/// A JSON body that is described by a table: with every fault named, and as it was sent.
pub struct Filled<F> {
    /// What was sent, which is right.
    pub value: Value,
    form: PhantomData<F>,
}

impl<F: Form> FromRequest for Filled<F> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        filled(hub, incoming, &F::SHAPE).await.map(|value| Self { value, form: PhantomData })
    }
}

/// Apart from the form, so that it is compiled once and not for each of them.
fn filled<'a>(hub: &'a Hub, incoming: &'a Incoming, shape: &'a Shape) -> LocalIn<'a, Result<Value>> {
    Box::pin(async move {
        media_type(incoming, &[JSON])?;
        let bytes = read(hub).await?;
        let value = form::read(&bytes).map_err(|error| refusal(&bytes, error))?;
        let faults = shape.check(&value);
        if faults.is_empty() { Ok(value) } else { Err(Error::invalid_fields(faults)) }
    })
}

/// Syntax that is no JSON cannot be read (400); JSON that is not what was asked for can be corrected field by field (422).
pub(crate) fn refusal(body: &[u8], error: serde_json::Error) -> Error {
    // A wrong field may stand before the place where the body breaks off, and then it is the break that counts.
    let broken = if error.is_data() { serde_json::from_slice::<serde::de::IgnoredAny>(body).err() } else { None };
    match broken {
        None if error.is_data() => {
            let text = error.to_string();
            // serde_json adds where in the text it was; the pointer says it better.
            let detail = text.split(" at line ").next().unwrap_or(&text);
            // What is missing has no place in the body, so the error is about what should hold it.
            let missing = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
            let pointer = pointer(body, &error, detail);
            Error::invalid_fields(vec![match missing {
                Some(name) => {
                    FieldError { pointer: format!("{pointer}/{name}"), detail: format!("is missing; {name} is required") }
                }
                None => FieldError { pointer, detail: detail.to_owned() },
            }])
        }
        broken => Error::malformed(
            "malformed_json",
            format!(
                "The body is not JSON that can be read: {}. Send UTF-8 JSON, nested no deeper than 128.",
                broken.unwrap_or(error)
            ),
        ),
    }
}

/// A body of another media type than JSON, as it came. `M` names the type, or the types to choose from.
pub struct Bytes<M> {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Of which of the types they are.
    pub media_type: &'static str,
    media: PhantomData<M>,
}

/// A media type, or several to choose from, as a type.
pub trait MediaType {
    /// For example `text/csv`.
    const NAMES: &'static [&'static str];
}

/// The name of the media type of CSV (RFC 4180).
pub const CSV: &str = "text/csv";
/// The name of the media type of lines each of which is JSON.
pub const NDJSON: &str = "application/x-ndjson";

/// [`CSV`].
pub enum Csv {}
impl MediaType for Csv {
    const NAMES: &'static [&'static str] = &[CSV];
}

/// Rows: [`CSV`] or [`NDJSON`].
pub enum Rows {}
impl MediaType for Rows {
    const NAMES: &'static [&'static str] = &[CSV, NDJSON];
}

impl<M: MediaType> FromRequest for Bytes<M> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        let media_type = media_type(incoming, M::NAMES)?;
        Ok(Self { bytes: read(hub).await?, media_type, media: PhantomData })
    }
}

/// Which of the wanted media types the body is of, which must be there as it is and not compressed.
fn media_type(incoming: &Incoming, wanted: &[&'static str]) -> Result<&'static str> {
    incoming.headers.check_single("content-type")?;
    if let Some(coding) =
        incoming.headers.texts("content-encoding").find(|coding| !coding.trim().eq_ignore_ascii_case("identity"))
    {
        return Err(Error::new(
            Kind::Malformed,
            "unsupported_content_encoding",
            format!("The body must be sent as it is, without the Content-Encoding \"{coding}\"."),
        ));
    }
    let given = incoming.headers.text("content-type").unwrap_or_default();
    let (essence, parameters) = given.split_once(';').unwrap_or((&given, ""));
    let other_charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .any(|(name, value)| name.eq_ignore_ascii_case("charset") && !value.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    let found = wanted.iter().find(|wanted| essence.trim().eq_ignore_ascii_case(wanted));
    if let (Some(found), false) = (found, other_charset) {
        return Ok(found);
    }
    let wanted = wanted.join(" or ");
    Err(Error::new(
        Kind::Malformed,
        "unsupported_media_type",
        format!("The body must be {wanted} in UTF-8, and the header Content-Type must say so; it said \"{given}\"."),
    ))
}

/// How much of a body of undeclared length is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Reads the body. Boxed, because it would otherwise be compiled into every handler that takes one.
pub fn read(hub: &Hub) -> LocalIn<'_, Result<Vec<u8>>> {
    Box::pin(async move {
        let too_large = || {
            Error::new(
                Kind::Malformed,
                "body_too_large",
                format!("The body is larger than {} bytes, the most that one request may carry. Send it in parts.", limits::BODY),
            )
        };
        let mut bytes = Vec::new();
        if let Some(request) = hub.take_body() {
            let declared = Headers::new(request.get_headers()).text("content-length").and_then(|length| length.parse().ok());
            if declared.is_some_and(|length: usize| length > limits::BODY) {
                return Err(too_large());
            }
            let (_outcome, reader) = wit_future::new(|| Ok(()));
            let (mut body, trailers) = types::Request::consume_body(request, reader);
            // One more than was declared, so that the end is seen without another look.
            bytes.reserve(declared.map_or(PIECE, |length| length + 1));
            loop {
                let (result, read) = body.read(bytes).await;
                bytes = read;
                if bytes.len() > limits::BODY {
                    return Err(too_large());
                }
                match result {
                    StreamResult::Complete(_) if bytes.len() == bytes.capacity() => bytes.reserve(PIECE),
                    StreamResult::Complete(_) => {}
                    StreamResult::Dropped | StreamResult::Cancelled => break,
                }
            }
            trailers.await.map_err(|error| {
                Error::malformed("body_broken_off", "The body broke off before its end. Send the request again.")
                    .with_internal(format!("{error:?}"))
            })?;
        }
        hub.set_body_hash(secret::digest(&[&bytes]));
        Ok(bytes)
    })
}

/// The version that the caller edited, from `If-Match`. Edits without one are refused, since they could undo another's.
pub struct IfMatch {
    /// The version; `None` for `*`, which means any.
    pub version: Option<i64>,
}

impl IfMatch {
    /// The version that the caller named, if they named one.
    pub fn named(condition: Option<Self>) -> Option<i64> {
        condition.and_then(|condition| condition.version)
    }

    /// The refusal of an edit that does not say what it edits.
    pub fn required() -> Error {
        Error::new(
            Kind::ConditionRequired,
            "if_match_required",
            "An edit must say which state it edits: read the resource and send its ETag as the header If-Match.",
        )
    }
}

/// Refuses a change of another state than the one that the caller named, if they named one.
pub fn check_state(named: Option<i64>, version: i64) -> Result<()> {
    match named {
        Some(named) if named != version => Err(store::stale("resource")),
        _ => Ok(()),
    }
}

impl FromRequest for IfMatch {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        incoming.condition_read = true;
        let header = incoming.headers.text("if-match").ok_or_else(Self::required)?;
        let text = header.trim();
        if text == "*" {
            return Ok(Self { version: None });
        }
        // An ETag that we never gave matches nothing, as RFC 9110 (13.1.1) has it: that is a stale edit, not bad syntax.
        let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|number| number.parse().ok());
        Ok(Self { version: Some(version.unwrap_or(-1)) })
    }
}

/// The same for what is an edit in some cases only.
impl FromRequest for Option<IfMatch> {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        match incoming.headers.text("if-match") {
            Some(_) => IfMatch::from_request(hub, incoming).await.map(Some),
            None => Ok(None),
        }
    }
}

/// `Prefer: wait=N` (RFC 7240): the caller would rather wait up to that long than come back.
pub struct Prefer {
    /// How long; at most [`limits::WAIT_S`] seconds, however long was asked for.
    pub wait: Option<Duration>,
}

impl FromRequest for Prefer {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        let wait = incoming
            .headers
            .texts("prefer")
            .find_map(|header| header.split(',').find_map(|said| said.trim().strip_prefix("wait=")?.trim().parse::<u32>().ok()))
            .map(|seconds| Duration::from_secs(u64::from(seconds.min(limits::WAIT_S))));
        Ok(Self { wait })
    }
}
