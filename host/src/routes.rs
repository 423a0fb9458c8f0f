//! Which trigger answers a path: Spin's rules, by the matcher that Spin itself uses.
//!
//! Exact segments beat `:named` ones, which beat a trailing `/...`; longer beats shorter; of two equal routes the later
//! one wins.

use anyhow::{Result, anyhow};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The prefix that the host answers by itself.
pub(crate) const WELL_KNOWN: &str = "/.well-known/spin/";

/// Public routes, each with what it leads to.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    finder: routefinder::Router<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    route: Route,
    target: T,
}

/// A route as components are told of it.
#[derive(Clone, Debug)]
struct Route {
    /// As written in the manifest.
    written: HeaderValue,
    /// Without the trailing wildcard.
    prefix: HeaderValue,
}

impl Route {
    fn new(written: &str) -> Result<Self> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| anyhow!("route {written:?}: {error}"));
        let prefix = written.strip_suffix("/...").unwrap_or(written);
        Ok(Self { written: value(written)?, prefix: value(prefix)? })
    }
}

/// How a path matched.
#[derive(Debug)]
pub(crate) struct Matched {
    route: Route,
    /// What the trailing wildcard took.
    rest: String,
    named: Vec<(String, String)>,
}

impl<T> Routes<T> {
    pub(crate) fn new(routes: impl IntoIterator<Item = (String, T)>) -> Result<Self> {
        let mut finder = routefinder::Router::new();
        for (raw, target) in routes {
            let based = if raw.starts_with('/') { raw.clone() } else { format!("/{raw}") };
            let based = based.strip_suffix('/').unwrap_or(&based);
            let spec = match based.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => based.to_owned(),
            };
            let entry = Entry { route: Route::new(&raw)?, target };
            finder.add(spec, entry).map_err(|error| anyhow!("route {raw:?}: {error}"))?;
        }
        Ok(Self { finder })
    }

    pub(crate) fn find(&self, path: &str) -> Option<(&T, Matched)> {
        let best = self.finder.best_match(path)?;
        let entry: &Entry<T> = best.handler();
        let captures = best.captures();
        // Spin hands on a trailing slash that the matcher drops.
        let rest = captures.wildcard().map_or(String::new(), |rest| match (rest.is_empty(), path.ends_with('/')) {
            (true, false) => String::new(),
            (true, true) => "/".to_owned(),
            (false, false) => format!("/{rest}"),
            (false, true) => format!("/{rest}/"),
        });
        let named = captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let matched = Matched { route: entry.route.clone(), rest, named };
        Some((&entry.target, matched))
    }
}

impl Matched {
    /// The match of a chained request: the component sees every path.
    pub(crate) fn chained(path: &str) -> Self {
        Self {
            route: Route { written: HeaderValue::from_static("/..."), prefix: HeaderValue::from_static("") },
            rest: path.to_owned(),
            named: Vec::new(),
        }
    }

    /// Sets the headers by which Spin tells a component how it was reached. Whatever a client sent under these names goes.
    pub(crate) fn set_headers(&self, headers: &mut HeaderMap, full_url: &str, client: &str) {
        static PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
        static FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
        static MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
        static BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
        static RAW_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
        static COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
        static CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");
        headers.insert(&MATCHED_ROUTE, self.route.written.clone());
        headers.insert(&RAW_ROUTE, self.route.written.clone());
        headers.insert(&COMPONENT_ROUTE, self.route.prefix.clone());
        headers.insert(&BASE_PATH, HeaderValue::from_static("/"));
        let mut set = |name: &HeaderName, value: &str| match HeaderValue::from_str(value) {
            Ok(value) => _ = headers.insert(name, value),
            Err(_) => _ = headers.remove(name),
        };
        set(&PATH_INFO, &self.rest);
        set(&FULL_URL, full_url);
        set(&CLIENT_ADDR, client);
        for (name, value) in &self.named {
            if let Ok(name) = format!("spin-path-match-{}", name.to_ascii_lowercase()).parse() {
                set(&name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[&'static str]) -> Routes<&'static str> {
        Routes::new(list.iter().map(|r| (r.to_string(), *r))).unwrap()
    }

    #[test]
    fn the_most_particular_route_wins_whatever_the_order() {
        let found = |list: &[&'static str], path: &str| routes(list).find(path).map(|(r, _)| *r);
        for list in [["/...", "/a/...", "/a/b/...", "/a/b", "/a/:x"], ["/a/:x", "/a/b", "/a/b/...", "/a/...", "/..."]] {
            assert_eq!(found(&list, "/a/b"), Some("/a/b"));
            assert_eq!(found(&list, "/a/b/c"), Some("/a/b/..."));
            assert_eq!(found(&list, "/a/z"), Some("/a/:x"));
            assert_eq!(found(&list, "/a/z/z"), Some("/a/..."));
            assert_eq!(found(&list, "/"), Some("/..."));
            assert_eq!(found(&list, "/ab"), Some("/..."));
        }
        assert_eq!(found(&["/a"], "/a/b"), None);
        assert_eq!(found(&["/a"], "/b"), None);
    }

    #[test]
    fn tells_the_component_how_it_was_reached() {
        let routes = routes(&["/foo/:userid/..."]);
        let (_, matched) = routes.find("/foo/42/bar/").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("spin-full-url", HeaderValue::from_static("http://lies/"));
        matched.set_headers(&mut headers, "http://h/foo/42/bar/?q", "1.2.3.4:5");
        assert_eq!(headers["spin-path-info"], "/bar/");
        assert_eq!(headers["spin-full-url"], "http://h/foo/42/bar/?q");
        assert_eq!(headers["spin-component-route"], "/foo/:userid");
        assert_eq!(headers["spin-path-match-userid"], "42");
        assert_eq!(headers["spin-client-addr"], "1.2.3.4:5");
    }
}
