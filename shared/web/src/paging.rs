//! Pages of lists. A list is sorted by id, and its cursor is the id of the last item seen.

use crate::limits;
use domain::{
    Error, Id, JsonSchema, Result,
    id::{self, Noun},
};
use serde::Deserialize;

/// Which page of a list that has no filters.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "")]
#[schemars(bound = "")]
pub struct PageQuery<N: Noun> {
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    pub cursor: Option<Id<N>>,
}

/// Which page of a list that can be narrowed to one organization and has no other filter.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound = "")]
#[schemars(bound = "")]
pub struct OrganizationPageQuery<N: Noun> {
    /// Only those of this organization.
    pub organization_id: Option<Id<id::Organization>>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    pub cursor: Option<Id<N>>,
}

/// A page that a caller asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// How many items it holds at most.
    pub limit: u32,
}

impl Page {
    /// The page of this size.
    pub fn new(limit: Option<u32>) -> Result<Self> {
        Self::of(limit.unwrap_or(limits::PAGE_DEFAULT), limits::PAGE)
    }

    /// The page of rows of an export: as large as an import may be, when nothing is said.
    pub fn of_rows(limit: Option<u32>) -> Result<Self> {
        Self::of(limit.unwrap_or(limits::ROWS), limits::ROWS)
    }

    fn of(limit: u32, most: u32) -> Result<Self> {
        if !(1..=most).contains(&limit) {
            return Err(Error::malformed("bad_query", format!("limit must be from 1 to {most}; it was {limit}.")));
        }
        Ok(Self { limit })
    }

    /// How many rows to read: one more than the page holds, to see whether there is a next one.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// The `Link` header to the next page: the caller's own target with another cursor.
    pub fn link(&self, target: &str, cursor: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let query: Vec<_> = kept.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
        format!("<{path}?{}>; rel=\"next\"", query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_filters() {
        let page = Page::new(Some(2)).unwrap();
        let link = page.link("/v1/things?kind=A&cursor=old&limit=2", "new");
        assert_eq!(link, "</v1/things?kind=A&limit=2&cursor=new>; rel=\"next\"");
        assert_eq!(page.link("/v1/things", "new"), "</v1/things?cursor=new>; rel=\"next\"");
    }

    #[test]
    fn a_page_has_bounds() {
        assert!(Page::new(Some(0)).is_err() && Page::new(Some(201)).is_err());
        assert_eq!((Page::new(Some(200)).unwrap().limit, Page::new(None).unwrap().limit), (200, 50));
    }
}
