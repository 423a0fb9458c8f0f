//! The bounds on what clients hold of the hub: connections, places among the running requests, and bytes that wait.
//!
//! Every connection is a [`Visit`]. When a bound is reached, the visit that keeps the hub waiting for longest is ended in favor of
//! the newcomer; a newcomer waits, or is refused, only when nobody is slow. So a client that neither sends nor reads
//! costs others nothing, and no rate needs to be guessed for those that the hub has room for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::env::Limits;
use crate::life::Life;

/// What a message may hold without asking: small bodies and answers never wait for bytes.
pub(crate) const SMALL: usize = 8 << 10;
/// Bytes of bodies and of answers that wait, of all connections together. With [`SMALL`] and a head of each of 1,024 connections
/// that is less than 64 MiB.
const BODIES: usize = 16 << 20;
const ANSWERS: usize = 12 << 20;
/// What one answer may hold.
pub(crate) const ANSWER: usize = 1 << 20;
/// How many answers may wait for room, each in the memory of its component.
const ANSWERS_WAITING: usize = 16;
/// How many probes run at once.
const PROBES: usize = 8;
/// More than the hub's own parts ever ask at once.
const PARTS: usize = 1 << 16;
/// How long a message may wait for room before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often who waits for room looks for another that is slow.
const LOOK: Duration = Duration::from_millis(100);
/// A client is slow, when there is no room for another, if it takes longer than this for a message ...
const SLOW: Duration = Duration::from_secs(1);
/// ... and for each piece of this many bytes a second more.
const SLOW_BYTES: u64 = 256 << 10;

/// The bounds of one hub.
pub(crate) struct Door {
    born: Instant,
    connections: usize,
    connections_of_one: usize,
    places_of_one: usize,
    table: Mutex<Table>,
    pools: [Pool; 2],
    places: Arc<Semaphore>,
    /// Those of probes: a hub that is full is not one that is down.
    probes: Arc<Semaphore>,
    /// Those of the hub's own parts, which never wait for one.
    parts: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_at_most: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    visits: HashMap<u64, Arc<Visit>>,
    sources: HashMap<Source, (usize, Arc<Semaphore>)>,
}

/// Whose connection it is: an address, or the network of 64 bits that a host has of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source(IpAddr);

/// What bytes that wait are of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    /// Of bodies that have come and not gone to a component yet.
    Bodies,
    /// Of answers that have not gone to their clients yet.
    Answers,
}

struct Pool {
    left: Mutex<usize>,
    waiting: AtomicUsize,
    returned: Notify,
}

/// A connection.
pub(crate) struct Visit {
    id: u64,
    source: Source,
    /// The places of all visits of its source.
    places: Arc<Semaphore>,
    born: Instant,
    /// When the client's turn began, in milliseconds since `born`.
    since: AtomicU64,
    /// How many bytes it moved since.
    moved: AtomicU64,
    /// Whether it is the hub's turn: nothing is expected of the client.
    busy: AtomicBool,
    holds: [AtomicUsize; 2],
    has_place: AtomicBool,
    /// Ended when others need the room.
    pub(crate) cut: Life,
}

/// A visit that goes on; dropping it ends it.
pub(crate) struct Entered {
    door: Arc<Door>,
    pub(crate) visit: Arc<Visit>,
}

/// Room for bytes; dropping it gives it back.
pub(crate) struct Room {
    door: Arc<Door>,
    kind: Buffer,
    bytes: usize,
    visit: Option<Arc<Visit>>,
}

/// A place among the running requests; dropping it gives it back.
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _of_one: Option<OwnedSemaphorePermit>,
    visit: Option<Arc<Visit>>,
}

impl Door {
    pub(crate) fn new(limits: &Limits) -> Self {
        let pool = |bytes| Pool { left: Mutex::new(bytes), waiting: AtomicUsize::new(0), returned: Notify::new() };
        Self {
            born: Instant::now(),
            connections: limits.connections,
            connections_of_one: half(limits.connections),
            places_of_one: half(limits.running),
            table: Mutex::default(),
            pools: [pool(BODIES), pool(ANSWERS)],
            places: Arc::new(Semaphore::new(limits.running)),
            probes: Arc::new(Semaphore::new(PROBES)),
            parts: Arc::new(Semaphore::new(PARTS)),
            waiting: AtomicUsize::new(0),
            waiting_at_most: limits.waiting,
        }
    }

    /// A connection from this address begins; `None` when there is no room for it.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entered> {
        let source = Source::of(address);
        let mut table = self.table();
        let of_one = table.sources.get(&source).map_or(0, |(count, _)| *count);
        let cut = if of_one >= self.connections_of_one {
            Some(self.slowest(&table, |visit| visit.source == source)?)
        } else if table.visits.len() >= self.connections {
            Some(self.slowest(&table, |_| true)?)
        } else {
            None
        };
        if let Some(visit) = cut {
            visit.cut.end();
            table.remove(&visit);
        }
        let id = table.next;
        table.next += 1;
        let (count, places) = table.sources.entry(source).or_insert_with(|| (0, Arc::new(Semaphore::new(self.places_of_one))));
        *count += 1;
        let visit = Arc::new(Visit {
            id,
            source,
            places: places.clone(),
            born: self.born,
            since: AtomicU64::new(millis(self.born.elapsed())),
            moved: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            holds: Default::default(),
            has_place: AtomicBool::new(false),
            cut: Life::default(),
        });
        table.visits.insert(id, visit.clone());
        Some(Entered { door: self.clone(), visit })
    }

    /// A place for a request; `None` when too many wait for one already.
    pub(crate) async fn place(&self, visit: Option<&Arc<Visit>>) -> Option<Place> {
        let (_waiting, others) = Waiting::new(&self.waiting);
        let mut of_one = visit.and_then(|visit| visit.places.clone().try_acquire_owned().ok());
        if (visit.is_none() || of_one.is_some())
            && let Ok(all) = self.places.clone().try_acquire_owned()
        {
            return Some(Place::new(all, of_one, visit));
        }
        if others >= self.waiting_at_most {
            return None;
        }
        if let (Some(visit), None) = (visit, &of_one) {
            of_one = Some(self.permit(&visit.places, |other| other.source == visit.source).await?);
        }
        let all = self.permit(&self.places, |_| true).await?;
        Some(Place::new(all, of_one, visit))
    }

    /// A place of those that probes have among themselves.
    pub(crate) async fn probes_place(&self) -> Option<Place> {
        Some(Place::new(self.probes.clone().acquire_owned().await.ok()?, None, None))
    }

    /// A place for a part of the hub itself, such as the tick.
    pub(crate) fn parts_place(&self) -> Option<Place> {
        Some(Place::new(self.parts.clone().try_acquire_owned().ok()?, None, None))
    }

    /// Waits for a permit, and ends those who keep a place only because they do not read their answer.
    async fn permit(&self, places: &Arc<Semaphore>, of: impl Fn(&Visit) -> bool) -> Option<OwnedSemaphorePermit> {
        let mut permit = std::pin::pin!(places.clone().acquire_owned());
        loop {
            match timeout(LOOK, &mut permit).await {
                Ok(permit) => return permit.ok(),
                Err(_) => self.relieve(|visit| visit.has_place.load(Relaxed) && of(visit)),
            }
        }
    }

    /// Waits until no request runs, of which `places` at most are a client's.
    pub(crate) async fn drained(&self, places: usize) {
        for (semaphore, all) in [(&self.places, places), (&self.probes, PROBES), (&self.parts, PARTS)] {
            _ = semaphore.acquire_many(u32::try_from(all).unwrap_or(u32::MAX)).await;
        }
    }

    /// Room for bytes; `None` when there is none and nobody is slow. Whoever asks must hold none of the kind yet.
    pub(crate) async fn room(self: &Arc<Self>, kind: Buffer, bytes: usize, visit: Option<&Arc<Visit>>) -> Option<Room> {
        let pool = &self.pools[kind as usize];
        let room = || Room { door: self.clone(), kind, bytes, visit: visit.cloned() };
        let take = || {
            let mut left = pool.left.lock().unwrap_or_else(PoisonError::into_inner);
            *left = left.checked_sub(bytes)?;
            if let Some(visit) = visit {
                visit.holds[kind as usize].fetch_add(bytes, Relaxed);
            }
            Some(room())
        };
        if let Some(room) = take() {
            return Some(room);
        }
        let (_waiting, others) = Waiting::new(&pool.waiting);
        if matches!(kind, Buffer::Answers) && others >= ANSWERS_WAITING {
            return None;
        }
        let waited = async {
            loop {
                let returned = pool.returned.notified();
                if let Some(room) = take() {
                    return room;
                }
                self.relieve(|visit| visit.holds[kind as usize].load(Relaxed) > 0);
                _ = timeout(LOOK, returned).await;
            }
        };
        timeout(PATIENCE, waited).await.ok()
    }

    /// Ends the slowest of these visits, if one is slow.
    fn relieve(&self, of: impl Fn(&Visit) -> bool) {
        let mut table = self.table();
        if let Some(visit) = self.slowest(&table, of) {
            visit.cut.end();
            table.remove(&visit);
        }
    }

    fn slowest(&self, table: &Table, of: impl Fn(&Visit) -> bool) -> Option<Arc<Visit>> {
        let now = self.born.elapsed();
        let slow = table.visits.values().filter(|visit| of(visit)).filter_map(|visit| Some((visit.overdue(now)?, visit)));
        slow.max_by_key(|(overdue, _)| *overdue).map(|(_, visit)| visit.clone())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, visit: &Visit) {
        if self.visits.remove(&visit.id).is_none() {
            return;
        }
        if let Some((count, _)) = self.sources.get_mut(&visit.source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&visit.source);
            }
        }
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from(u128::from(address) >> 64 << 64).into()),
            address => Self(address),
        }
    }
}

impl Visit {
    /// From now on something is expected of the client: a request, a body, or that it reads its answer.
    pub(crate) fn clients_turn(&self) {
        self.since.store(millis(self.born.elapsed()), Relaxed);
        self.moved.store(0, Relaxed);
        self.busy.store(false, Relaxed);
    }

    /// From now on the client waits for the hub.
    pub(crate) fn hubs_turn(&self) {
        self.busy.store(true, Relaxed);
    }

    /// The client has sent or taken so many bytes.
    pub(crate) fn moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
    }

    /// For how long the client has been slow; `None` while it is not.
    fn overdue(&self, now: Duration) -> Option<Duration> {
        if self.busy.load(Relaxed) {
            return None;
        }
        let allowed = SLOW + Duration::from_secs(self.moved.load(Relaxed) / SLOW_BYTES);
        now.checked_sub(Duration::from_millis(self.since.load(Relaxed)) + allowed)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.door.table().remove(&self.visit);
    }
}

impl Room {
    /// Gives back what is more than so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.give_back(self.bytes.saturating_sub(bytes));
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(visit) = &self.visit {
            visit.holds[self.kind as usize].fetch_sub(bytes, Relaxed);
        }
        let pool = &self.door.pools[self.kind as usize];
        *pool.left.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        pool.returned.notify_waiters();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

impl Place {
    fn new(all: OwnedSemaphorePermit, of_one: Option<OwnedSemaphorePermit>, visit: Option<&Arc<Visit>>) -> Self {
        if let Some(visit) = visit {
            visit.has_place.store(true, Relaxed);
        }
        Self { _all: all, _of_one: of_one, visit: visit.cloned() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(visit) = &self.visit {
            visit.has_place.store(false, Relaxed);
        }
    }
}

/// Counts who waits for something.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// One more, and how many others there are.
    fn new(count: &'a AtomicUsize) -> (Self, usize) {
        let others = count.fetch_add(1, Relaxed);
        (Self(count), others)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What one address may take of something, so that it never takes all.
fn half(all: usize) -> usize {
    all.div_ceil(2)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(connections: usize, running: usize) -> Arc<Door> {
        Arc::new(Door::new(&Limits { connections, running, ..Limits::default() }))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    async fn pass(millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slowest_goes_when_there_is_no_room_for_another() {
        let door = door(4, 4);
        let first = door.enter(address(1)).unwrap();
        pass(10).await;
        let second = door.enter(address(1)).unwrap();
        assert!(door.enter(address(1)).is_none(), "one address has half, and neither is slow yet");
        let other = door.enter(address(2)).unwrap();
        pass(1100).await;
        // The first has moved a good deal since, the second nothing.
        first.visit.moved(1 << 20);
        let third = door.enter(address(1)).unwrap();
        assert!(second.visit.cut.is_over() && !first.visit.cut.is_over() && !other.visit.cut.is_over());
        // Of all, when all are there.
        let _fourth = door.enter(address(3)).unwrap();
        first.visit.hubs_turn();
        pass(10_000).await;
        third.visit.clients_turn();
        let _fifth = door.enter(address(4)).unwrap();
        assert!(other.visit.cut.is_over() && !first.visit.cut.is_over() && !third.visit.cut.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_that_ended_leaves_nothing_behind() {
        let door = door(4, 4);
        for _ in 0..100 {
            drop(door.enter(address(1)).unwrap());
        }
        assert!(door.table().visits.is_empty() && door.table().sources.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_a_slow_client_holds_goes_to_another() {
        let door = door(8, 8);
        let slow = door.enter(address(1)).unwrap();
        let room = door.room(Buffer::Answers, ANSWERS, Some(&slow.visit)).await.unwrap();
        let quick = door.enter(address(2)).unwrap();
        let wanted = door.room(Buffer::Answers, 1, Some(&quick.visit));
        let given = async {
            slow.visit.cut.ended().await;
            drop(room);
        };
        let (wanted, ()) = tokio::join!(wanted, given);
        assert!(wanted.is_some());
        // Nobody is slow whom the hub keeps waiting.
        let busy = door.enter(address(3)).unwrap();
        busy.visit.hubs_turn();
        drop(wanted);
        let _room = door.room(Buffer::Answers, ANSWERS, Some(&busy.visit)).await.unwrap();
        assert!(door.room(Buffer::Answers, 1, Some(&quick.visit)).await.is_none());
        assert!(!busy.visit.cut.is_over());
        assert!(door.room(Buffer::Bodies, 1, Some(&quick.visit)).await.is_some(), "bodies have bytes of their own");
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_half_of_the_places() {
        let door = door(8, 4);
        let (one, other) = (door.enter(address(1)).unwrap(), door.enter(address(2)).unwrap());
        let first = door.place(Some(&one.visit)).await.unwrap();
        let _second = door.place(Some(&one.visit)).await.unwrap();
        one.visit.hubs_turn();
        assert!(timeout(Duration::from_secs(60), door.place(Some(&one.visit))).await.is_err());
        let _others = door.place(Some(&other.visit)).await.unwrap();
        drop(first);
        assert!(door.place(Some(&one.visit)).await.is_some());
    }

    #[test]
    fn a_host_is_one_source() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
