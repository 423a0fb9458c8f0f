//! Pages of lists. A cursor is the key of the last item seen, wrapped so that callers do not build on its form.

use crate::limits;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Error, Result};
use std::str::FromStr;

/// Which page a caller asked for.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many items it holds at most.
    pub limit: u32,
    cursor: Option<String>,
}

impl Page {
    /// The page for these two parameters of the query.
    pub fn new(limit: Option<u32>, cursor: Option<String>) -> Result<Self> {
        let limit = limit.unwrap_or(limits::PAGE_DEFAULT);
        if !(1..=limits::PAGE).contains(&limit) {
            return Err(Error::malformed("bad_query", format!("limit must be from 1 to {}; it was {limit}.", limits::PAGE)));
        }
        Ok(Self { limit, cursor })
    }

    /// The key after which the page begins.
    pub fn after<K: FromStr>(&self) -> Result<Option<K>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|key| key.parse().ok())
            .map(Some)
            .ok_or_else(|| {
                Error::malformed("bad_cursor", "This cursor is not one that this list gave. Begin without a cursor, then follow nextCursor or the Link header.")
            })
    }

    /// How many rows to read: one more than the page holds, to see whether there is a next one.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    pub(crate) fn cursor_after(&self, key: &str) -> String {
        URL_SAFE_NO_PAD.encode(key)
    }

    /// The `Link` header to the next page: the caller's own target with another cursor.
    pub(crate) fn link(&self, target: &str, cursor: &str) -> String {
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
        let page = Page::new(Some(2), None).unwrap();
        let link = page.link("/v1/things?kind=A&cursor=old&limit=2", "new");
        assert_eq!(link, "</v1/things?kind=A&limit=2&cursor=new>; rel=\"next\"");
        assert_eq!(page.link("/v1/things", "new"), "</v1/things?cursor=new>; rel=\"next\"");
    }

    #[test]
    fn a_cursor_comes_back_as_its_key_and_nothing_else_does() {
        let page = Page::new(None, None).unwrap();
        let next = Page::new(None, Some(page.cursor_after("42"))).unwrap();
        assert_eq!(next.after::<u32>().unwrap(), Some(42));
        for cursor in ["", "%", "not base64!", "ZZZZ"] {
            assert!(Page::new(None, Some(cursor.into())).unwrap().after::<u32>().is_err(), "{cursor}");
        }
        assert!(Page::new(Some(0), None).is_err() && Page::new(Some(201), None).is_err());
    }
}
