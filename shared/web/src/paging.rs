//! Pages of lists, by keyset: a cursor holds the values by which the last item seen is sorted, and not the item itself. So an item that
//! is renamed or removed meanwhile loses no others, and no row is looked up that the caller may not see.
//!
//! Callers get the cursor sealed, for the list that it is of: with another path, other filters or in another organization it opens
//! nothing, and neither does what the hub never gave out.

use crate::{Hub, Identity, limits, secret, variable};
use domain::{Error, Id, JsonSchema, Result, id};
use serde::Deserialize;
use std::str::FromStr;

/// Where a page begins, as callers have it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Cursor(#[schemars(length(min = 1, max = 2000))] String);

/// Which page of a list that has no filters.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    pub cursor: Option<Cursor>,
}

/// Which page of a list that can be narrowed to one organization and has no other filter.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPageQuery {
    /// Only those of this organization.
    pub organization_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    pub cursor: Option<Cursor>,
}

/// A page that a caller asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many items it holds at most.
    pub limit: u32,
    /// The values by which the last item of the page before is sorted; none on the first page.
    after: Vec<String>,
    /// What was asked for.
    target: String,
    /// Which list it is of: its path and filters, and where the caller acts.
    list: String,
}

impl Page {
    /// The page of this size after a cursor. Refused when the cursor is of another list, or was never given out.
    pub async fn new(hub: &Hub, caller: &Identity, limit: Option<u32>, cursor: Option<&Cursor>) -> Result<Self> {
        Self::of(hub, caller, limit.unwrap_or(limits::PAGE_DEFAULT), limits::PAGE, cursor).await
    }

    /// The page of rows of an export: as large as an import may be, when nothing is said.
    pub async fn of_rows(hub: &Hub, caller: &Identity, limit: Option<u32>, cursor: Option<&Cursor>) -> Result<Self> {
        Self::of(hub, caller, limit.unwrap_or(limits::ROWS), limits::ROWS, cursor).await
    }

    async fn of(hub: &Hub, caller: &Identity, limit: u32, most: u32, cursor: Option<&Cursor>) -> Result<Self> {
        check_limit(limit, most)?;
        let target = hub.target().to_owned();
        let list = list_of(&target, &caller.acting().id.to_string());
        let after = match cursor {
            None => Vec::new(),
            Some(Cursor(sealed)) => {
                let opened = secret::open(&key(&variable("data_key").await?, &list), sealed).map_err(|_| cursor_unknown())?;
                serde_json::from_slice(&opened).map_err(|_| cursor_unknown())?
            }
        };
        Ok(Self { limit, after, target, list })
    }

    /// How many rows to read: one more than the page holds, to see whether there is a next one.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// The value after which the page begins, of a list that is sorted by one; none on the first page.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>> {
        let value = self.place(1)?.first();
        value.map(|value| value.parse().map_err(|_| cursor_unknown())).transpose()
    }

    /// The values after which the page begins, of a list that is sorted by so many; none on the first page.
    pub fn place(&self, values: usize) -> Result<&[String]> {
        if self.after.is_empty() || self.after.len() == values { Ok(&self.after) } else { Err(cursor_unknown()) }
    }

    /// The cursor of the page after the item that is sorted by these values.
    pub async fn cursor(&self, place: &[String]) -> Result<String> {
        sealed(&key(&variable("data_key").await?, &self.list), place)
    }

    /// The cursor that the hub with this `data_key` would give of a list, for tests that begin where no page ends.
    #[cfg(not(target_family = "wasm"))]
    pub fn cursor_of(data_key: &str, target: &str, acting: &str, place: &[String]) -> Result<String> {
        sealed(&key(data_key, &list_of(target, acting)), place)
    }

    /// The `Link` header to the next page: the caller's own target with another cursor.
    pub fn link(&self, cursor: &str) -> String {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target.as_str(), ""));
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let query: Vec<_> = kept.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
        format!("<{path}?{}>; rel=\"next\"", query.join("&"))
    }
}

fn check_limit(limit: u32, most: u32) -> Result<()> {
    if (1..=most).contains(&limit) {
        return Ok(());
    }
    Err(Error::malformed("bad_query", format!("limit must be from 1 to {most}; it was {limit}.")))
}

/// Which list a target is of: without what differs from page to page, with its filters in order, and where the caller acts.
fn list_of(target: &str, acting: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let differs = |pair: &&str| !pair.is_empty() && !pair.starts_with("cursor=") && !pair.starts_with("limit=");
    let mut filters: Vec<&str> = query.split('&').filter(differs).collect();
    filters.sort_unstable();
    format!("{path}?{} {acting}", filters.join("&"))
}

fn key(data_key: &str, list: &str) -> [u8; 32] {
    secret::key(data_key, "cursor", &[list])
}

fn sealed(key: &[u8; 32], place: &[String]) -> Result<String> {
    let place = serde_json::to_vec(place).map_err(|error| Error::fault(error.to_string()))?;
    secret::seal(key, &place)
}

fn cursor_unknown() -> Error {
    Error::malformed(
        "cursor_unknown",
        "The cursor is not the nextCursor of a page of this list with these filters. Leave it out to begin at the first page.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_filters() {
        let page = |target: &str| Page { limit: 2, after: Vec::new(), target: target.into(), list: String::new() };
        let link = page("/v1/things?kind=A&cursor=old&limit=2").link("new");
        assert_eq!(link, "</v1/things?kind=A&limit=2&cursor=new>; rel=\"next\"");
        assert_eq!(page("/v1/things").link("new"), "</v1/things?cursor=new>; rel=\"next\"");
    }

    #[test]
    fn a_page_has_bounds() {
        assert!(check_limit(0, 200).is_err() && check_limit(201, 200).is_err());
        assert!(check_limit(1, 200).is_ok() && check_limit(200, 200).is_ok());
    }

    #[test]
    fn a_list_is_known_by_its_path_and_filters() {
        assert_eq!(list_of("/v1/things?limit=2&kind=A&cursor=x&a=1", "o"), list_of("/v1/things?a=1&kind=A", "o"));
        assert_ne!(list_of("/v1/things?kind=A", "o"), list_of("/v1/things?kind=B", "o"));
        assert_ne!(list_of("/v1/things", "o"), list_of("/v1/others", "o"));
        assert_ne!(list_of("/v1/things", "o"), list_of("/v1/things", "p"));
    }

    #[test]
    fn a_place_has_as_many_values_as_the_list_is_sorted_by() {
        let page = |after: &[&str]| Page {
            limit: 2,
            after: after.iter().map(|value| (*value).to_owned()).collect(),
            target: String::new(),
            list: String::new(),
        };
        assert!(page(&[]).place(2).unwrap().is_empty() && page(&[]).after::<u32>().unwrap().is_none());
        assert_eq!((page(&["7"]).after::<u32>().unwrap(), page(&["a", "b"]).place(2).unwrap().len()), (Some(7), 2));
        for wrong in [page(&["a", "b"]).after::<u32>().unwrap_err(), page(&["x"]).after::<u32>().unwrap_err()] {
            assert_eq!(wrong.code, "cursor_unknown");
        }
    }
}
