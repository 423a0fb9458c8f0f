//! Bodies: of requests, which are received whole before anything runs for them, and of answers, which leave their component at once
//! and wait for their client here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::door::{ANSWER, Buffer, Door, Place, Room, SMALL, Visit};

/// What is handed on at once of an answer that waits.
const PIECE: usize = 32 << 10;

/// Why a request's body was not received.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is longer than the limit.
    TooLarge,
    /// It took longer than a body may.
    TooSlow,
    /// It broke off, or is not in the form that its headers announce.
    Broken,
    /// There is no room for it.
    NoRoom,
}

/// Receives a request's body of at most `limit` bytes within `patience`. The room is the body's also while its component has it: there
/// it takes as much memory at the least.
pub(crate) async fn receive(
    mut body: WasiBody,
    declared: Option<u64>,
    limit: u64,
    patience: Duration,
    door: &Arc<Door>,
    visit: Option<&Arc<Visit>>,
) -> Result<(Bytes, Option<Room>), Refused> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|length| length > limit) {
        return Err(Refused::TooLarge);
    }
    // Of a body whose length is not known, when it turns out not to be small, all that it could become: bodies that waited
    // for each other with a part of what they need would wait for ever.
    let mut room = match declared {
        Some(length) if length > SMALL => Some(waited(door, visit, length).await?),
        _ => None,
    };
    let received = async {
        let mut received = Vec::with_capacity(declared.unwrap_or_default());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else { continue };
            let length = received.len() + data.len();
            if length > limit {
                return Err(Refused::TooLarge);
            }
            if length > SMALL && room.is_none() {
                room = Some(waited(door, visit, limit).await?);
            }
            received.extend_from_slice(&data);
        }
        Ok(received)
    };
    let received = timeout(patience, received).await.unwrap_or(Err(Refused::TooSlow))?;
    if let Some(room) = &mut room {
        room.shrink(received.len());
    }
    Ok((received.into(), room))
}

/// Room for a body, for which the client is not to blame.
async fn waited(door: &Arc<Door>, visit: Option<&Arc<Visit>>, bytes: usize) -> Result<Room, Refused> {
    if let Some(visit) = visit {
        visit.hubs_turn();
    }
    let room = door.room(Buffer::Bodies, bytes, visit).await.ok_or(Refused::NoRoom);
    if let Some(visit) = visit {
        visit.clients_turn();
    }
    room
}

/// Bytes and the room they take; it is given back with the last of them.
struct Kept {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of an answer as its component gives it, with what the request held: that is free when the component is through.
pub(crate) struct Placed {
    body: WasiBody,
    held: Option<(Option<Place>, Option<Room>)>,
}

impl Placed {
    pub(crate) fn new(body: WasiBody, place: Option<Place>, room: Option<Room>) -> Self {
        let held = (!body.is_end_stream()).then_some((place, room));
        Self { body, held }
    }
}

impl Body for Placed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer on its way to the client: what has left the component, and what has not, if it is more than one answer
/// may hold.
pub(crate) struct Answer {
    held: Bytes,
    rest: Option<WasiBody>,
}

/// Why an answer cannot be given.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Its component broke off.
    Broken(Error),
    /// Too many answers wait to be read.
    NoRoom,
}

impl Answer {
    /// Takes an answer from its component.
    pub(crate) async fn take(mut body: WasiBody, door: &Arc<Door>, visit: &Arc<Visit>) -> Result<Self, Lost> {
        let (mut first, mut more, mut room) = (Bytes::new(), BytesMut::new(), None);
        let rest = loop {
            let data = match body.frame().await {
                None => break None,
                Some(frame) => match frame.map_err(Lost::Broken)?.into_data() {
                    Ok(data) => data,
                    // An answer has no trailers that a client could ask for.
                    Err(_) => continue,
                },
            };
            if first.is_empty() && more.is_empty() {
                first = data;
            } else {
                more.extend_from_slice(&std::mem::take(&mut first));
                more.extend_from_slice(&data);
            }
            let length = first.len() + more.len();
            if length > SMALL && room.is_none() {
                // All that one may hold, for the time until its length is known: answers do not wait for each other with a part.
                room = Some(door.room(Buffer::Answers, ANSWER, Some(visit)).await.ok_or(Lost::NoRoom)?);
                // Address space: what is not written to takes no memory.
                more.reserve(ANSWER);
            }
            if length >= ANSWER {
                break Some(body);
            }
        };
        let held = if more.is_empty() { first } else { more.freeze() };
        let held = match room {
            None => held,
            Some(mut room) => {
                room.shrink(held.len());
                Bytes::from_owner(Kept { bytes: held, _room: room })
            }
        };
        Ok(Self { held, rest })
    }

    pub(crate) fn whole(held: Bytes) -> Self {
        Self { held, rest: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.held.is_empty() {
            let piece = self.held.len().min(PIECE);
            let piece = self.held.split_to(piece);
            if self.held.is_empty() {
                self.held = Bytes::new();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            None => SizeHint::with_exact(self.held.len() as u64),
            Some(_) => SizeHint::new(),
        }
    }
}
