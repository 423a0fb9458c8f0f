//! Values on their way into and out of the database. There is no floating point among them.

use domain::{Currency, Date, Decimal, Error, Id, Instant, OrganizationPath, Period, Result, Text, country::Country, id::Noun};
use std::{cell::RefCell, rc::Rc, str::FromStr};

/// A parameter of a statement, or a column of a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A whole number, a truth (0 or 1) or an instant (milliseconds since 1970 in UTC).
    Int(i64),
    /// Everything else.
    Text(String),
}

/// A type that has one form in the database.
pub trait Stored: Sized {
    /// The value to write.
    fn to_value(&self) -> Value;
    /// The value read; `None` when it is not one of this type, which means that the database was written by something else.
    fn from_value(value: Value) -> Option<Self>;
    /// The same from a column of a packed row, where everything is text.
    fn from_text(text: &str) -> Option<Self> {
        Self::from_value(Value::Text(text.to_owned()))
    }
}

impl Stored for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl Stored for i64 {
    fn to_value(&self) -> Value {
        Value::Int(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Stored for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Stored for Instant {
    fn to_value(&self) -> Value {
        Value::Int(self.timestamp_millis())
    }
    fn from_value(value: Value) -> Option<Self> {
        Self::from_timestamp_millis(i64::from_value(value)?)
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::from_timestamp_millis(i64::from_text(text)?)
    }
}

impl Stored for domain::access_level::AccessLevel {
    fn to_value(&self) -> Value {
        Value::Int(*self as i64)
    }
    fn from_value(value: Value) -> Option<Self> {
        Self::ALL.get(usize::try_from(i64::from_value(value)?).ok()?).copied()
    }
}

impl Stored for u32 {
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Stored for OrganizationPath {
    fn to_value(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).map(Self::stored)
    }
}

impl<T: Stored> Stored for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Stored::to_value)
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
    fn from_text(text: &str) -> Option<Self> {
        match text {
            NULL => Some(None),
            text => T::from_text(text).map(Some),
        }
    }
}

impl<T: Stored> Stored for &T
where
    T: Clone,
{
    fn to_value(&self) -> Value {
        (*self).to_value()
    }
    fn from_value(_: Value) -> Option<Self> {
        None
    }
}

impl Stored for &str {
    fn to_value(&self) -> Value {
        Value::Text((*self).to_owned())
    }
    fn from_value(_: Value) -> Option<Self> {
        None
    }
}

/// Types that are stored as the text they show.
macro_rules! stored_as_text {
    ($([$($g:tt)*] $t:ty;)*) => {$(
        impl<$($g)*> Stored for $t {
            fn to_value(&self) -> Value {
                Value::Text(self.to_string())
            }
            fn from_value(value: Value) -> Option<Self> {
                <Self as FromStr>::from_str(&String::from_value(value)?).ok()
            }
            fn from_text(text: &str) -> Option<Self> {
                <Self as FromStr>::from_str(text).ok()
            }
        }
    )*};
}
stored_as_text! {
    [N: Noun] Id<N>;
    [const MIN: usize, const MAX: usize] Text<MIN, MAX>;
    [] domain::PrincipalId; [] domain::audit::AuditPrincipal; [] domain::audit::AuditResult;
    [] domain::acting::ActingPolicy; [] domain::acting::ActingSessionStatus;
    [] domain::approval::ApprovalAction; [] domain::approval::ApprovalStatus;
    [] domain::person::Email; [] domain::person::PersonStatus; [] domain::member::InvitationStatus;
    [] Currency; [] Country; [] Period; [] Date; [] Decimal;
    [] domain::OrganizationKind; [] domain::Role; [] domain::organization::OrganizationStatus; [] domain::job::JobState;
    [] domain::organization::TenantType; [] domain::organization::ProviderStatus; [] domain::organization::ProviderType;
    [] domain::onboarding_invitation::OnboardingInvitationStatus; [] domain::branding::HttpsUrl; [] domain::branding::Color;
    [] domain::contract::ContractStatus; [] domain::contract::ContractType;
    [] domain::service::Driver; [] domain::service::ProductFamily; [] domain::service::ServiceKind; [] domain::service::ServiceStatus;
    [] domain::package::BaseUrl; [] domain::package::FilePath; [] domain::package::Sha256;
    [] domain::package::PackageWorkStatus; [] domain::package::PackageFileStatus;
    [] domain::subscription::SubscriptionStatus; [] domain::term::RenewalPreference; [] domain::task::TaskStatus; [] domain::task::StepStatus;
    [] domain::task::TaskType; [] domain::environment::EnvironmentStatus; [] domain::environment::PlanStatus;
    [] domain::cloud_endpoint::CloudEndpointKind;
    [] domain::data_center::DataCenterType; [] domain::data_center::DataCenterStatus; [] domain::data_center::Target;
    [] domain::service_broker::BrokerVerb; [] domain::service_broker::BrokerState;
    [] domain::service_broker::ServiceBindingStatus;
    [] domain::invoice::InvoiceStatus; [] domain::invoice::Rounding; [] domain::recovery::RecoveryStatus;
}

/// Parameters in the order of their numbers: `params![id, now]` are `?1` and `?2`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Stored::to_value(&$value)),*] };
}

/// The key after which a page of a list begins: `id > start` holds for every id at first, and is one range of the index
/// however far the page lies. (A filter that may be absent is `column = ?1 OR ?1 IS NULL`, in this order: PostgreSQL takes
/// the parameter's type from where it first stands, and has none for a bare `?1 IS NULL`.)
pub(crate) fn start<N: Noun>(after: Option<Id<N>>) -> Value {
    Value::Text(after.map(|id| id.to_string()).unwrap_or_default())
}

/// An item of a list, with the values that it is sorted by: where the next page begins. They say where the organization stands that it
/// belongs to, so callers get them sealed.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The item.
    pub item: T,
    /// The values, the first of them first.
    pub place: Vec<String>,
}

impl<T> Placed<T> {
    /// Reads an item, and after it what it is sorted by.
    pub(crate) fn read(row: &mut Row, item: impl FnOnce(&mut Row) -> Result<T>, places: usize) -> Result<Self> {
        let item = item(row)?;
        let place = (0..places).map(|_| row.take()).collect::<Result<_>>()?;
        Ok(Self { item, place })
    }
}

/// The id after a place in the order of the tree, as a parameter: what is read of one organization alone is sorted by it.
pub(crate) fn start_of(after: &[String]) -> Value {
    Value::Text(after.last().cloned().unwrap_or_default())
}

/// The numbers of `count` parameters from `first` on, for statements of as many rows or ids as there are: `?3, ?4`.
pub(crate) fn numbers(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(6 * count);
    push_numbers(&mut text, first, count);
    text
}

/// The same for `count` rows of `width` each: `(?3, ?4), (?5, ?6)`. What is made for nearly every request is made once.
pub(crate) fn rows_of_numbers(first: usize, width: usize, count: usize) -> Rc<str> {
    type Made = ([usize; 3], Rc<str>);
    thread_local! {
        static MADE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
    }
    const KEPT: usize = 4;
    let key = [first, width, count];
    if let Some(made) = MADE.with_borrow(|made| made.iter().find(|made| made.0 == key).map(|made| made.1.clone())) {
        return made;
    }
    let mut text = String::with_capacity((6 * width + 4) * count);
    for row in 0..count {
        text.push_str(if row == 0 { "(" } else { ", (" });
        push_numbers(&mut text, first + row * width, width);
        text.push(')');
    }
    let text: Rc<str> = text.into();
    if count <= KEPT {
        MADE.with_borrow_mut(|made| made.push((key, text.clone())));
    }
    text
}

/// Without the machinery of formats, for every statement that writes rows passes here.
fn push_numbers(text: &mut String, first: usize, count: usize) {
    let mut digits = itoa::Buffer::new();
    for number in first..first + count {
        text.push_str(if number == first { "?" } else { ", ?" });
        text.push_str(digits.format(number));
    }
}

/// Cuts a list into pieces, for statements that take several rows or ids at once. The pieces come in few sizes, because
/// each size is a statement of its own to prepare and to keep. The largest is far below the 32,766 parameters of SQLite.
pub(crate) fn batches<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (batch, rest) = items.split_at(batch_of(items.len()));
        items = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

/// How many of so many go into the next piece.
pub(crate) fn batch_of(count: usize) -> usize {
    [256, 64, 16, 4, 2, 1].into_iter().find(|&size| size <= count).unwrap_or_default()
}

/// A list of columns as one: their texts, each after a unit separator, which no text of ours contains, and a
/// record separator for NULL.
///
/// To the guest a column costs two allocations, its value's and its name's, each a call from the host; so what is read on
/// every request's path, or a page at a time, comes as one. [`Row`] takes it apart again.
macro_rules! packed {
    ($first:literal $(, $column:literal)* $(,)?) => {
        // One function of all, where `||` would make a text of all before it for each of them.
        concat!(
            "format('",
            $crate::value::packed!(@ $first)
            $(, $crate::value::packed!(@ $column))*,
            "'",
            $crate::value::packed!(: $first)
            $(, $crate::value::packed!(: $column))*,
            ") AS packed"
        )
    };
    (@ $column:literal) => { "\u{1f}%s" };
    (: $column:literal) => { concat!(", COALESCE(CAST(", $column, " AS TEXT), '\u{1e}')") };
}
pub(crate) use packed;

/// Stands before each column in a packed row.
const SEPARATOR: u8 = 0x1f;
/// Stands for NULL in a packed row.
const NULL: &str = "\u{1e}";

/// A row, read column by column from the left.
pub struct Row {
    columns: Columns,
    /// How many have been read.
    taken: u32,
}

enum Columns {
    Plain(std::vec::IntoIter<Value>),
    /// The rest of a packed row begins here: at a separator, or at the end.
    Packed(String, usize),
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        let columns = match values.first() {
            Some(Value::Text(text)) if text.as_bytes().first() == Some(&SEPARATOR) => Columns::Packed(packed_whole(values), 0),
            _ => Columns::Plain(values.into_iter()),
        };
        Self { columns, taken: 0 }
    }

    /// The next column. A failure is a fault of ours, not of the caller's.
    pub fn take<T: Stored>(&mut self) -> Result<T> {
        self.taken += 1;
        let value = match &mut self.columns {
            Columns::Plain(values) => values.next().and_then(T::from_value),
            Columns::Packed(text, at) => next(text, at).and_then(T::from_text),
        };
        value.ok_or_else(|| unreadable(self.taken))
    }
}

/// A packed row with the columns that follow the packed ones, such as those it is sorted by.
fn packed_whole(values: Vec<Value>) -> String {
    let mut values = values.into_iter();
    let Some(Value::Text(mut whole)) = values.next() else { return String::new() };
    for value in values {
        whole.push(char::from(SEPARATOR));
        match value {
            Value::Null => whole.push_str(NULL),
            Value::Int(int) => whole.push_str(&int.to_string()),
            Value::Text(text) => whole.push_str(&text),
        }
    }
    whole
}

/// The next column of a packed row. Called, because it would otherwise be in the code of every kind of column.
#[inline(never)]
fn next<'t>(text: &'t str, at: &mut usize) -> Option<&'t str> {
    let rest = text.get(*at + 1..)?;
    let end = rest.bytes().position(|byte| byte == SEPARATOR).unwrap_or(rest.len());
    *at += 1 + end;
    rest.get(..end)
}

/// By its number and not by the type that was wanted: a name of each type would be in every component.
#[cold]
fn unreadable(number: u32) -> Error {
    Error::fault(format!("column {number} of a row is missing, or is not what is read from it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_the_whole_list_in_order_and_of_few_sizes() {
        for count in [0, 1, 3, 5, 255, 256, 1000, 10_000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(batches(&items).collect::<Vec<_>>().concat(), items);
            assert!(batches(&items).count() <= count / 256 + 12, "{count}");
            assert!(batches(&items).all(|batch| [1, 2, 4, 16, 64, 256].contains(&batch.len())));
        }
    }

    #[test]
    fn parameters_are_numbered_from_the_first() {
        assert_eq!(numbers(3, 2), "?3, ?4");
        assert_eq!(numbers(1, 0), "");
        assert_eq!(&*rows_of_numbers(3, 2, 2), "(?3, ?4), (?5, ?6)");
        assert_eq!(&*rows_of_numbers(1, 2, 0), "");
    }

    #[test]
    fn a_packed_row_may_be_followed_by_plain_columns() {
        let packed = Value::Text("\u{1f}a\u{1f}\u{1e}".into());
        let mut row = Row::new(vec![packed, Value::Text("b".into()), Value::Int(7), Value::Null]);
        assert_eq!((row.take::<String>().unwrap(), row.take::<Option<String>>().unwrap()), ("a".into(), None));
        assert_eq!((row.take::<String>().unwrap(), row.take::<i64>().unwrap()), ("b".into(), 7));
        assert_eq!(row.take::<Option<String>>().unwrap(), None);
        assert!(row.take::<String>().is_err());
    }
}
