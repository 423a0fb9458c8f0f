//! Identifiers: typed, prefixed and sortable by time.
//!
//! The shape is that of a TypeID (version 0.3 of its specification): a lower-case prefix, an underscore and a UUIDv7 in 26 characters of
//! lower-case Crockford base32. A type parameter keeps a contract's id from being passed where an organization's is
//! meant; the prefix does the same for people.

use crate::{Instant, json};
use std::{cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};
use uuid::Uuid;

/// What an [`Id`] names. Implemented by empty types only.
pub trait Noun {
    /// The prefix of such ids, without the underscore.
    const PREFIX: &'static str;
    /// The noun in a sentence, for example "organization".
    const NAME: &'static str;
}

macro_rules! nouns {
    ($($(#[$doc:meta])* $noun:ident $prefix:literal $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $noun {}
        impl Noun for $noun {
            const PREFIX: &'static str = {
                assert!($prefix.len() <= PREFIX_LEN);
                $prefix
            };
            const NAME: &'static str = $name;
        }
    )*};
}

nouns! {
    /// An organization of any kind.
    Organization "org" "organization";
    /// A person who signs in.
    Person "per" "person";
    /// An invitation to become a member of an organization.
    MemberInvitation "minv" "member invitation";
    /// A mail to a person.
    Mail "mail" "mail";
    /// A role in a service.
    ServiceRole "srol" "service role";
    /// An app, which signs in with client credentials.
    App "app" "app";
    /// An API token, the long-lived credential of a machine.
    ApiToken "tok" "API token";
    /// An OpenID provider that the hub trusts.
    IdentityProvider "idp" "identity provider";
    /// A commit contract.
    Contract "ctr" "contract";
    /// An invitation to a provider that has no organization yet.
    OnboardingInvitation "oin" "onboarding invitation";
    /// A service of the catalog.
    Service "svc" "service";
    /// A service provisioned to a customer organization.
    Subscription "sub" "subscription";
    /// A long-running piece of work that people can watch.
    Task "task" "task";
    /// A data center component: a vCenter, an NSX manager and the like.
    DataCenter "dtc" "data center component";
    /// Infrastructure that a provider lets customers at.
    CloudEndpoint "cep" "cloud endpoint";
    /// A password that is stored apart from what is reached with it.
    StoredPassword "pwd" "stored password";
    /// A certificate of a product of an environment.
    Certificate "crt" "certificate";
    /// An environment: products that were deployed together.
    Environment "env" "environment";
    /// What a change of an environment would come to.
    Plan "pln" "plan";
    /// A unit of work that outlives a request.
    Job "job" "job";
    /// One import of usage.
    UsageReport "usr" "usage report";
    /// One row of usage.
    Usage "use" "usage row";
    /// Usage that was voided together.
    UsageVoid "uvd" "usage void";
    /// A package repository.
    PackageRepository "rep" "package repository";
    /// A service broker.
    ServiceBroker "brk" "service broker";
    /// A way into a service that a subscription has, by credentials of its own.
    ServiceBinding "bnd" "service binding";
    /// A file of a package repository.
    PackageFile "pkf" "package file";
    /// An invoice.
    Invoice "inv" "invoice";
    /// A time in which a provider's principal may act in a customer.
    ActingSession "act" "acting session";
    /// How a customer that has lost its last administrator gets another.
    Recovery "rec" "recovery";
    /// A request that needs the customer's approval.
    Approval "apv" "approval";
    /// One HTTP request, for logs and support.
    Request "req" "request";
}

/// An identifier of a `N`.
pub struct Id<N>(Uuid, PhantomData<fn() -> N>);

/// Crockford's base32 alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// The value of each character, 255 for those that are none of ours.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
/// 130 bits carry the 128 of a UUID, so the first character is at most `7`.
const SUFFIX_LEN: usize = 26;
/// The longest prefix.
const PREFIX_LEN: usize = 4;
/// The most that an id takes in text.
const LEN: usize = PREFIX_LEN + 1 + SUFFIX_LEN;

impl<N: Noun> Id<N> {
    /// A new id from the present instant and ten random bytes. Ids of different milliseconds sort by time.
    pub fn new(now: Instant, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid(), PhantomData)
    }

    /// The id with this UUID, for ids that are derived from other facts.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The `n`-th of a series of ids that this one begins. They sort by `n`, so a batch of rows is written where the
    /// last one ended; 42 random bits keep series of the same millisecond apart.
    pub fn nth(&self, n: u32) -> Self {
        Self::from_uuid(Uuid::from_u128((self.0.as_u128() >> 32 << 32) | u128::from(n)))
    }

    /// The UUID inside.
    pub fn uuid(&self) -> Uuid {
        self.0
    }
}

impl<N: Noun> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(write(&mut [0; LEN], N::PREFIX, self.0.as_u128()))
    }
}

/// Apart from the type, so that it is compiled once and not for every noun. So are [`read`] and [`wrong`].
fn write<'b>(buffer: &'b mut [u8; LEN], prefix: &str, bits: u128) -> &'b str {
    let start = prefix.len();
    buffer[..start].copy_from_slice(prefix.as_bytes());
    buffer[start] = b'_';
    let (suffix, end) = (&mut buffer[start + 1..], start + 1 + SUFFIX_LEN);
    // In parts that fit 64 bits, as in `read`.
    for (from, to, shift) in [(0, 2, 120), (2, 14, 60), (14, 26, 0)] {
        let mut part = (bits >> shift) as u64;
        for place in suffix[from..to].iter_mut().rev() {
            *place = ALPHABET[(part & 31) as usize];
            part >>= 5;
        }
    }
    // The alphabet and the prefixes are ASCII, so this cannot fail.
    std::str::from_utf8(&buffer[..end]).unwrap_or_default()
}

/// Why a text is no id of the wanted kind; its text says what one looks like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotAnId(String);

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAnId {}

impl<N: Noun> FromStr for Id<N> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bits = read(text, N::PREFIX).ok_or_else(|| wrong(N::PREFIX, N::NAME))?;
        Ok(Self(Uuid::from_u128(bits), PhantomData))
    }
}

fn read(text: &str, prefix: &str) -> Option<u128> {
    let suffix = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if suffix.len() != SUFFIX_LEN || suffix.as_bytes()[0] > b'7' {
        return None;
    }
    // In parts that fit 64 bits: WebAssembly has no 128-bit shifts, and every id of every row passes here.
    let part = |characters: &[u8]| {
        characters.iter().try_fold(0u64, |bits, byte| {
            let digit = DIGITS[usize::from(*byte)];
            (digit < 32).then_some((bits << 5) | u64::from(digit))
        })
    };
    let (top, rest) = suffix.as_bytes().split_at(2);
    let (middle, bottom) = rest.split_at(12);
    Some((u128::from(part(top)?) << 120) | (u128::from(part(middle)?) << 60) | u128::from(part(bottom)?))
}

fn wrong(prefix: &str, name: &str) -> NotAnId {
    NotAnId(format!(
        "not the id of {article} {name}: expected {prefix}_ followed by {SUFFIX_LEN} characters of 0-9 and a-z without i, l, o and u",
        article = if name.starts_with(['a', 'e', 'i', 'o', 'A']) { "an" } else { "a" },
    ))
}

impl<N> Clone for Id<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Id<N> {}
impl<N> PartialEq for Id<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<N> Eq for Id<N> {}
impl<N> PartialOrd for Id<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<N> Ord for Id<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<N> hash::Hash for Id<N> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<N: Noun> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<N: Noun> json::Shown for Id<N> {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", N::PREFIX),
            "description": format!("The id of a {}; ids sort by the time of their making.", N::NAME),
        })
    }
}
json::as_text!(impl<N: Noun> for Id<N>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        // From the TypeID specification's valid.json.
        for (suffix, uuid) in [
            ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
            ("00000000000000000000000001", "00000000-0000-0000-0000-000000000001"),
            ("7zzzzzzzzzzzzzzzzzzzzzzzzz", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ("01h455vb4pex5vsknk084sn02q", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ] {
            let id = Id::<Organization>::from_uuid(uuid.parse().unwrap());
            assert_eq!(id.to_string(), format!("org_{suffix}"));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    proptest! {
        #[test]
        fn every_id_survives_its_text(bits: u128) {
            let id = Id::<Task>::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn text_sorts_as_ids_do(a: u128, b: u128) {
            let (a, b) = (Id::<Task>::from_uuid(Uuid::from_u128(a)), Id::<Task>::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn later_ids_sort_later(millis in 0i64..4_000_000_000_000, gap in 1i64..1_000_000, a: [u8; 10], b: [u8; 10]) {
            let at = |millis| Instant::from_timestamp_millis(millis).unwrap();
            prop_assert!(Id::<Job>::new(at(millis), a) < Id::<Job>::new(at(millis + gap), b));
        }

        #[test]
        fn a_series_sorts_by_its_numbers_and_by_time(millis in 0i64..4_000_000_000_000, random: [u8; 10], a: u32, b: u32) {
            let first = Id::<Usage>::new(Instant::from_timestamp_millis(millis).unwrap(), random);
            prop_assert_eq!(first.nth(a).cmp(&first.nth(b)), a.cmp(&b));
            prop_assert!(first.nth(u32::MAX) < Id::new(Instant::from_timestamp_millis(millis + 1).unwrap(), [0; 10]));
            prop_assert_eq!(first.nth(a).uuid().get_version_num(), 7);
        }

        #[test]
        fn nothing_else_is_read_as_an_id(text in "\\PC{0,40}") {
            if let Ok(id) = text.parse::<Id<Invoice>>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn another_nouns_id_is_refused_with_the_shape_wanted() {
        let id = Id::<Contract>::from_uuid(Uuid::from_u128(7)).to_string();
        let refusal = id.parse::<Id<Organization>>().unwrap_err().to_string();
        assert!(refusal.contains("an organization") && refusal.contains("org_"), "{refusal}");
    }
}
