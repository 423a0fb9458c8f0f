//! Requests that a component sends. In the host's own types, as answers are (see `serve`).

use domain::{Error, Result};
use http::Method;
use spin_sdk::{
    time::sleep,
    wasip3::{
        http::{
            client,
            types::{ErrorCode, Fields, Request, Response, Scheme},
        },
        spawn,
        wit_bindgen::StreamResult,
        wit_future, wit_stream,
    },
};
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

/// A request on its way out.
pub struct Outgoing<'a> {
    /// What is to be done.
    pub method: Method,
    /// Where: `http://host/path` or `https://host/path`.
    pub url: &'a str,
    /// Header names and values.
    pub headers: Vec<(&'a str, String)>,
    /// The body; none when it is empty.
    pub body: Vec<u8>,
}

/// Why there is no answer, or not the whole of one.
#[derive(Debug)]
pub enum NoAnswer {
    /// The component may not call this host.
    Denied,
    /// There is nobody there who could have heard the request.
    Unreached(String),
    /// It did not come within the time there was for it.
    TimeOut,
    /// Something broke.
    Broken(String),
}

impl From<ErrorCode> for NoAnswer {
    fn from(error: ErrorCode) -> Self {
        match error {
            ErrorCode::HttpRequestDenied => Self::Denied,
            ErrorCode::ConnectionRefused
            | ErrorCode::DnsError(_)
            | ErrorCode::DnsTimeout
            | ErrorCode::DestinationNotFound
            | ErrorCode::DestinationUnavailable
            | ErrorCode::DestinationIpUnroutable => Self::Unreached(format!("{error:?}")),
            error => Self::Broken(format!("{error:?}")),
        }
    }
}

/// An answer whose body is still to be read.
pub struct Answered(Response);

/// How much of a body is read at once, in bytes.
const PIECE: usize = 64 * 1024;

impl Answered {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.0.get_status_code()
    }

    /// A header, when it is text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.get_headers().get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// Hands the body over as it comes, and gives how long it was; once that is more than `limit` bytes it is given up.
    pub async fn read(self, limit: u64, mut take: impl FnMut(&[u8])) -> Result<u64, NoAnswer> {
        let (_outcome, reader) = wit_future::new(|| Ok(()));
        let (mut body, trailers) = Response::consume_body(self.0, reader);
        let (mut length, mut buffer) = (0u64, Vec::with_capacity(PIECE));
        loop {
            let (result, read) = body.read(buffer).await;
            length += read.len() as u64;
            if length > limit {
                return Ok(length);
            }
            take(&read);
            match result {
                StreamResult::Complete(_) => (buffer = read, buffer.clear()).1,
                StreamResult::Dropped | StreamResult::Cancelled => break,
            }
        }
        trailers.await?;
        Ok(length)
    }
}

/// Sends a request. No redirect is followed.
pub async fn send(request: Outgoing<'_>) -> Result<Answered, NoAnswer> {
    let broken = |what: &str| NoAnswer::Broken(format!("{} is no URL that can be asked: {what}", request.url));
    let (scheme, rest) = match request.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err(broken("scheme")),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let mut headers: Vec<_> = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    // A length that is said, zero too, keeps the host from sending `Transfer-Encoding: chunked`: servers of the WSGI kind do not
    // read chunks, answer, and close a connection with unread bytes in it, whose reset can take the answer away (RFC 9112, 9.6).
    // GET and HEAD expect no content, and hosts send none for them (RFC 9110, 8.6).
    if !request.body.is_empty() || !matches!(request.method, Method::GET | Method::HEAD) {
        headers.push(("content-length".to_owned(), request.body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).map_err(|error| NoAnswer::Broken(format!("{error:?}")))?;
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let contents = (!request.body.is_empty()).then(wit_stream::new);
    let (contents, reader) = contents.map_or((None, None), |(contents, reader)| (Some(contents), Some(reader)));
    let (outgoing, _sent) = Request::new(headers, reader, no_trailers, None);
    outgoing.set_method(&request.method.into()).map_err(|()| broken("method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| broken("scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| broken("host"))?;
    outgoing.set_path_with_query(Some(path).filter(|path| !path.is_empty())).map_err(|()| broken("path"))?;
    let bytes = request.body;
    spawn(async move {
        if let Some(mut contents) = contents {
            // Who has answered before the end does not want the rest.
            drop(contents.write_all(bytes).await);
        }
        let _ = trailers.write(Ok(None)).await;
    });
    Ok(Answered(client::send(outgoing).await?))
}

/// What comes of it, unless the time is up first.
pub async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
    let (mut work, mut alarm) = (pin!(work), pin!(sleep(patience)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => alarm.as_mut().poll(context).map(|()| Err(NoAnswer::TimeOut)),
    })
    .await
}

impl From<NoAnswer> for Error {
    fn from(error: NoAnswer) -> Self {
        Self::unavailable(format!("no answer: {error:?}"))
    }
}
