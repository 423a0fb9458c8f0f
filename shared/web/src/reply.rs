//! Answers. The type of a handler's answer says its status and its body to the router and to the OpenAPI document.

use crate::{Describe, Page};
use domain::{Error, JsonSchema, Result};
use serde::Serialize;
use std::{borrow::Cow, marker::PhantomData, time::Duration};
use store::Placed;

/// An answer in its last form.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// Makes a large body piece by piece while it goes out; `body` is empty then.
    pub(crate) pieces: Option<fn() -> Pieces>,
}

impl Answer {
    /// An answer without body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None, pieces: None }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self> {
        let mut answer = Self::new(status);
        answer.body =
            Some(serde_json::to_vec(value).map_err(|error| Error::fault(format!("an answer cannot be written: {error}")))?);
        answer.header("content-type", "application/json");
        Ok(answer)
    }

    /// Adds a header.
    pub fn header(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }
}

/// What a handler may answer with when it succeeds.
pub trait Reply: Describe {
    /// The answer in its last form.
    fn into_answer(self) -> Result<Answer>;
}

/// 200 with the thing asked for.
pub struct Shown<T>(pub T);

impl<T: Serialize + JsonSchema> Reply for Shown<T> {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(200, &self.0)
    }
}

/// 200 with a thing that can be edited, and its ETag.
pub struct Edited<T> {
    /// The thing.
    pub value: T,
    /// Counts its edits.
    pub version: i64,
}

impl<T: Serialize + JsonSchema> Reply for Edited<T> {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::json(200, &self.value)?;
        answer.header("etag", etag(self.version));
        Ok(answer)
    }
}

/// What only a customer has, such as a policy. Another organization has none, which a 404 would not say: it is there.
pub struct OfCustomer<T>(pub T);

impl<T: Reply> Reply for OfCustomer<T> {
    fn into_answer(self) -> Result<Answer> {
        self.0.into_answer()
    }
}

#[cfg(not(target_family = "wasm"))]
impl<T: crate::Describe> crate::Describe for OfCustomer<T> {
    fn describe(operation: &mut crate::openapi::Operation<'_>) {
        T::describe(operation);
        operation.problem(409, "The organization is no customer.");
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// 201 with what was made.
pub struct Created<T> {
    /// The thing.
    pub value: T,
    /// Where it is from now on.
    pub location: String,
    /// Counts its edits, if it can be edited.
    pub version: Option<i64>,
}

impl<T> Created<T> {
    /// Something that was made and cannot be edited.
    pub fn at(location: String, value: T) -> Self {
        Self { value, location, version: None }
    }
}

impl<T: Serialize + JsonSchema> Reply for Created<T> {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::json(201, &self.value)?;
        answer.header("location", self.location);
        if let Some(version) = self.version {
            answer.header("etag", etag(version));
        }
        Ok(answer)
    }
}

/// 202 with work that goes on, or 200 with work that has ended meanwhile for a caller who preferred to wait.
pub struct Accepted<T> {
    /// The work.
    pub value: T,
    /// Where it can be watched.
    pub location: String,
    /// Whether it has ended.
    pub ended: bool,
}

impl<T: Serialize + JsonSchema> Reply for Accepted<T> {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::json(if self.ended { 200 } else { 202 }, &self.value)?;
        answer.header("location", self.location);
        Ok(answer)
    }
}

/// 202 with a request that waits for somebody's word.
pub struct Awaiting<T> {
    /// The request.
    pub value: T,
    /// Where it can be watched.
    pub location: String,
}

impl<T: Serialize + JsonSchema> Reply for Awaiting<T> {
    fn into_answer(self) -> Result<Answer> {
        Accepted { value: self.value, location: self.location, ended: false }.into_answer()
    }
}

/// 207 with what came of each part of a request that may succeed in part.
pub struct Multi<T>(pub T);

impl<T: Serialize + JsonSchema> Reply for Multi<T> {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(207, &self.0)
    }
}

/// 200 with a page of rows as a file of the media types of [`Rows`](crate::Rows), and a link to the next one.
pub struct File {
    /// Its media type.
    pub media_type: &'static str,
    /// What it is to be called.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
    /// The `Link` to the next page.
    pub link: Option<String>,
}

impl Reply for File {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::new(200);
        answer.body = Some(self.text.into_bytes());
        answer.header("content-type", self.media_type);
        answer.header("content-disposition", format!("attachment; filename=\"{}\"", self.name));
        if let Some(link) = self.link {
            answer.header("link", link);
        }
        Ok(answer)
    }
}

/// 204.
pub struct NoContent;

impl Reply for NoContent {
    fn into_answer(self) -> Result<Answer> {
        Ok(Answer::new(204))
    }
}

/// 200 with a JSON document that was written before: for this caller, or the same for everybody.
pub struct Written(pub Cow<'static, [u8]>);

impl Reply for Written {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::new(200);
        answer.body = Some(self.0.into_owned());
        answer.header("content-type", "application/json");
        Ok(answer)
    }
}

/// The pieces of a large body, in order.
pub type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;

/// 200 with a large JSON document, the same for everybody, of which each request holds a piece at a time.
pub struct InPieces(pub fn() -> Pieces);

impl Reply for InPieces {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::new(200);
        answer.pieces = Some(self.0);
        answer.header("content-type", "application/json");
        Ok(answer)
    }
}

/// 200 with a page of a list, and a link to the next one.
pub struct Listing<T> {
    items: Vec<T>,
    next: Option<String>,
    link: Option<String>,
}

/// A page of a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(crate) struct ListingBody<T> {
    /// The items of this page, oldest first.
    items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T> Listing<T> {
    /// The page of which `items` are the rows found: one more than the page holds when there is a next one.
    /// `key` is the one value that the list is sorted by.
    pub async fn new(page: &Page, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Result<Self> {
        let more = items.len() > page.limit as usize;
        items.truncate(page.limit as usize);
        let last = items.last().filter(|_| more).map(|last| vec![key(last)]);
        Self::followed(page, items, last).await
    }

    /// The same of a list that is sorted by more than one value, or by one that its items do not show.
    pub async fn placed(page: &Page, mut found: Vec<Placed<T>>) -> Result<Self> {
        let more = found.len() > page.limit as usize;
        found.truncate(page.limit as usize);
        let last = found.last().filter(|_| more).map(|last| last.place.clone());
        Self::followed(page, found.into_iter().map(|placed| placed.item).collect(), last).await
    }

    /// `last` is where the last item stands, if others follow it.
    async fn followed(page: &Page, items: Vec<T>, last: Option<Vec<String>>) -> Result<Self> {
        let next = match last {
            Some(place) => Some(page.cursor(&place).await?),
            None => None,
        };
        let link = next.as_ref().map(|cursor| page.link(cursor));
        Ok(Self { items, next, link })
    }
}

impl<T: Serialize + JsonSchema> Reply for Listing<T> {
    fn into_answer(self) -> Result<Answer> {
        let mut answer = Answer::json(200, &ListingBody { items: self.items, next_cursor: self.next })?;
        if let Some(link) = self.link {
            answer.header("link", link);
        }
        Ok(answer)
    }
}

/// One answer or the other, as was asked.
pub enum Either<A, B> {
    /// The one.
    One(A),
    /// The other.
    Other(B),
}

impl<A: Reply, B: Reply> Reply for Either<A, B> {
    fn into_answer(self) -> Result<Answer> {
        match self {
            Self::One(one) => one.into_answer(),
            Self::Other(other) => other.into_answer(),
        }
    }
}

/// The answer of a change: what `R` says, or what it said the first time.
pub struct Sent<R>(Answer, PhantomData<R>);

impl<R> Sent<R> {
    pub(crate) fn new(answer: Answer) -> Self {
        Self(answer, PhantomData)
    }

    /// The same answer, where there could have been another.
    pub fn one<B>(self) -> Sent<Either<R, B>> {
        Sent(self.0, PhantomData)
    }

    /// The same answer, where there could have been another.
    pub fn other<A>(self) -> Sent<Either<A, R>> {
        Sent(self.0, PhantomData)
    }

    /// The answer as it will go out.
    pub fn answer(&self) -> &Answer {
        &self.0
    }
}

impl<R> Sent<R> {
    /// The same answer, which is of work that goes on, after a while of waiting, as the caller preferred: with the work as it
    /// stands now.
    pub fn waited<T: Serialize>(mut self, wait: Duration, value: &T, ended: bool) -> Result<Self> {
        let now = Answer::json(if ended { 200 } else { 202 }, value)?;
        (self.0.status, self.0.body) = (now.status, now.body);
        self.0.header("preference-applied", format!("wait={}", wait.as_secs()));
        Ok(self)
    }
}

impl<R: Reply> Reply for Sent<R> {
    fn into_answer(self) -> Result<Answer> {
        Ok(self.0)
    }
}
