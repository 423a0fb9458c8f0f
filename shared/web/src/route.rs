//! Route tables.
//!
//! A component's table is its router, its part of the OpenAPI document and the list that the authorization test walks,
//! all three from the same lines. It is built once an instance. Axum is not here because it wants every future to be
//! `Send`, which a transaction that borrows its connection is not.

#[cfg(not(target_family = "wasm"))]
use crate::openapi::{Document, Operation};
use crate::{Answer, FromRequest, Hub, Incoming, Reply, jobs::Round};
use domain::{Error, Kind, Result};
use http::Method;
use std::pin::Pin;
use store::jobs::{Job, JobPayload};

/// A future of one request, which borrows what lives as long: boxed, so that it is compiled once.
pub type LocalIn<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
pub(crate) type Local<T> = LocalIn<'static, T>;
type Call = Box<dyn Fn(Hub, Incoming) -> Local<Result<Answer>> + Send + Sync>;
type RunJob = Box<dyn Fn(Hub, Job) -> Local<Result<()>> + Send + Sync>;
/// Runs what is due. It comes with the first kind of jobs, so that a component without jobs does not carry it.
type RunRound = for<'a> fn(&'a Hub) -> LocalIn<'a, Result<Round>>;

/// A component's routes.
pub struct Routes {
    component: &'static str,
    paths: Vec<Path>,
    jobs: Vec<JobRoute>,
    round: Option<RunRound>,
}

/// What runs the jobs of a kind.
struct JobRoute {
    kind: &'static str,
    run: RunJob,
}

/// A path and what can be done there.
struct Path {
    path: &'static str,
    /// What stands between its slashes.
    words: Vec<Word>,
    routes: Vec<Route>,
}

enum Word {
    Known(&'static str),
    /// Any word but an empty one, and what it is called.
    Named(&'static str),
}

struct Route {
    method: Method,
    call: Call,
    name: OperationName,
    /// What the OpenAPI document says of it; the components that ship do not carry that.
    #[cfg(not(target_family = "wasm"))]
    documented: Documented,
}

#[cfg(not(target_family = "wasm"))]
struct Documented {
    summary: &'static str,
    describe: fn(&mut Operation<'_>),
}

/// An async function that takes the hub and up to five parts of a request.
pub trait Handler<Parts>: Send + Sync + 'static {
    /// Reads the parts and runs the function.
    fn call(&self, hub: Hub, incoming: Incoming) -> Local<Result<Answer>>;
    /// Says what it takes and answers.
    #[cfg(not(target_family = "wasm"))]
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! handler {
    ($($part:ident)*) => {
        impl<F, Fut, R, $($part,)*> Handler<($($part,)*)> for F
        where
            F: Fn(Hub, $($part,)*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<R>> + 'static,
            R: Reply,
            $($part: FromRequest + 'static,)*
        {
            #[allow(non_snake_case, unused_mut, unused_variables)]
            fn call(&self, hub: Hub, mut incoming: Incoming) -> Local<Result<Answer>> {
                let handler = self.clone();
                Box::pin(async move {
                    $(let $part = $part::from_request(&hub, &mut incoming).await?;)*
                    incoming.check_condition()?;
                    handler(hub, $($part,)*).await?.into_answer()
                })
            }

            #[cfg(not(target_family = "wasm"))]
            fn describe(operation: &mut Operation<'_>) {
                $($part::describe(operation);)*
                R::describe(operation);
            }
        }
    };
}
handler!();
handler!(A);
handler!(A B);
handler!(A B C);
handler!(A B C D);
handler!(A B C D E);
handler!(A B C D E G);

impl Routes {
    /// The table of a component, with the routes that every component has.
    pub fn new(component: &'static str) -> Self {
        Self { component, paths: Vec::new(), jobs: Vec::new(), round: None }
            .get(
                leaked(format!("/health/{component}")),
                leaked(format!("health.{component}")),
                crate::internal::health,
                "Show the health of this component and its database",
            )
            .post("/internal/jobs/run", "jobs.run", crate::internal::run_jobs, "Run the due jobs of this component")
    }

    /// A route that reads.
    pub fn get<P, H: Handler<P>>(self, path: &'static str, name: &'static str, handler: H, summary: &'static str) -> Self {
        self.route(Method::GET, path, name, handler, summary)
    }

    /// A route that makes something.
    pub fn post<P, H: Handler<P>>(self, path: &'static str, name: &'static str, handler: H, summary: &'static str) -> Self {
        self.route(Method::POST, path, name, handler, summary)
    }

    /// A route that puts something in the place of what is there.
    pub fn put<P, H: Handler<P>>(self, path: &'static str, name: &'static str, handler: H, summary: &'static str) -> Self {
        self.route(Method::PUT, path, name, handler, summary)
    }

    /// A route that edits something.
    pub fn patch<P, H: Handler<P>>(self, path: &'static str, name: &'static str, handler: H, summary: &'static str) -> Self {
        self.route(Method::PATCH, path, name, handler, summary)
    }

    /// A route that removes something.
    pub fn delete<P, H: Handler<P>>(self, path: &'static str, name: &'static str, handler: H, summary: &'static str) -> Self {
        self.route(Method::DELETE, path, name, handler, summary)
    }

    /// What runs the jobs of one kind. It finishes the job, in the transaction of its last effect.
    pub fn job<J, F, Fut>(mut self, run: F) -> Self
    where
        J: JobPayload,
        F: Fn(Hub, Job, J) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + 'static,
    {
        let run = move |hub: Hub, job: Job| -> Local<Result<()>> {
            Box::pin(async move {
                let payload = job.read()?;
                run(hub, job, payload).await
            })
        };
        self.jobs.push(JobRoute { kind: J::KIND, run: Box::new(run) });
        self.round = Some(crate::jobs::round);
        self
    }

    fn route<P, H: Handler<P>>(
        mut self,
        method: Method,
        path: &'static str,
        name: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self {
        #[cfg(target_family = "wasm")]
        let _ = summary;
        let route = Route {
            method,
            call: Box::new(move |hub, incoming| handler.call(hub, incoming)),
            name: OperationName(name),
            #[cfg(not(target_family = "wasm"))]
            documented: Documented { summary, describe: H::describe },
        };
        match self.paths.iter_mut().find(|known| known.path == path) {
            Some(known) => known.routes.push(route),
            None => self.paths.push(Path { path, words: pattern(path), routes: vec![route] }),
        }
        self
    }

    /// The component's name.
    pub fn component(&self) -> &'static str {
        self.component
    }

    /// What runs rounds of jobs; `None` when there are no kinds of jobs.
    pub(crate) fn round(&self) -> Option<RunRound> {
        self.round
    }

    /// Runs a job by its kind.
    pub(crate) async fn run_job(&self, hub: Hub, job: Job) -> Result<()> {
        match self.jobs.iter().find(|route| route.kind == job.kind) {
            Some(route) => (route.run)(hub, job).await,
            None => {
                let text = format!("The component {} has no jobs of the kind {}.", self.component, job.kind);
                Err(Error::conflict("job_kind_unknown", text))
            }
        }
    }

    /// The kinds of jobs that this component runs.
    #[cfg(not(target_family = "wasm"))]
    pub fn job_kinds(&self) -> impl Iterator<Item = &'static str> {
        self.jobs.iter().map(|route| route.kind)
    }

    pub(crate) async fn dispatch(&self, hub: Hub, mut incoming: Incoming) -> Result<Answer> {
        let (routes, values) = self.at(hub.path()).ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                "route_not_found",
                format!("There is nothing at {}. /openapi.json lists what there is.", hub.path()),
            )
        })?;
        incoming.path = values.into_iter().map(|(name, value)| (name, decoded(value))).collect();
        // HEAD is GET without the body (RFC 9110, 9.3.2); `serve` drops it.
        let method = if incoming.method == Method::HEAD { &Method::GET } else { &incoming.method };
        match routes.iter().find(|route| route.method == *method) {
            Some(route) => {
                if method != Method::GET {
                    hub.set_deed(route.name, &incoming.path);
                }
                (route.call)(hub, incoming).await
            }
            None => Err(Error::new(
                Kind::Malformed,
                "method_not_allowed",
                format!("{} cannot be done at {}; what can be done is in the Allow header.", incoming.method, hub.path()),
            )),
        }
    }

    /// The routes at a path and the values of its `{names}`. A table has a dozen paths, so each is looked at; one that has
    /// the words of the path goes before one that has a name for any word there.
    fn at<'p>(&self, path: &'p str) -> Option<(&[Route], Values<'p>)> {
        let asked = words(path);
        let matching = self.paths.iter().filter_map(|known| Some((known.routes.as_slice(), values(&known.words, &asked)?)));
        matching.min_by_key(|(_, values)| values.len())
    }

    /// The methods of the path that a request asked for.
    pub(crate) fn allow(&self, path: &str) -> String {
        let Some((routes, _)) = self.at(path) else { return String::new() };
        let mut methods: Vec<_> = routes.iter().map(|route| route.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    /// Adds this component's part to the OpenAPI document. Internal routes are left out: they are not for callers.
    #[cfg(not(target_family = "wasm"))]
    pub fn document(&self, document: &mut Document) {
        let public = self.paths.iter().filter(|known| !known.path.starts_with("/internal/"));
        for Path { path, routes, .. } in public {
            for route in routes {
                let Documented { summary, describe } = route.documented;
                let mut operation = document.operation(route.name.resource(), path, route.name.id(), summary);
                describe(&mut operation);
                let operation = operation.finish();
                document.add(path, &route.method, operation);
            }
        }
    }

    /// Every route, as (method, path): what the tests walk.
    #[cfg(not(target_family = "wasm"))]
    pub fn all(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.paths.iter().flat_map(|known| known.routes.iter().map(|route| (&route.method, known.path)))
    }
}

/// What an operation is called: a resource and a verb with a dot between them, as `contracts.approve`. It is a part of the API and is
/// said in the route table, so that renaming code renames nothing there: the audit's action, and with an underscore the OpenAPI
/// document's operation id, whose tag is the resource.
#[derive(Clone, Copy, Default)]
pub(crate) struct OperationName(pub(crate) &'static str);

#[cfg(not(target_family = "wasm"))]
impl OperationName {
    fn id(self) -> String {
        self.0.replace('.', "_")
    }

    fn resource(self) -> &'static str {
        self.0.split_once('.').map_or(self.0, |(resource, _)| resource)
    }
}

/// A text that lives as long as the table, which lives as long as the instance.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// The `{names}` of a path and what stands in their places.
type Values<'p> = Vec<(&'static str, &'p str)>;

/// What stands between the slashes of a path.
fn words(path: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(8);
    let mut from = 0;
    // By hand: `split` searches for a character with machinery made for long texts.
    for (at, byte) in path.bytes().enumerate() {
        if byte == b'/' {
            words.push(&path[from..at]);
            from = at + 1;
        }
    }
    words.push(&path[from..]);
    words
}

fn pattern(path: &'static str) -> Vec<Word> {
    let named = |word: &'static str| word.strip_prefix('{').and_then(|word| word.strip_suffix('}'));
    words(path).into_iter().map(|word| named(word).map_or(Word::Known(word), Word::Named)).collect()
}

/// The values of a path's `{names}` in a path that was asked for; `None` when it is another path.
fn values<'p>(known: &[Word], asked: &[&'p str]) -> Option<Values<'p>> {
    if known.len() != asked.len() {
        return None;
    }
    let mut values = Vec::new();
    for (known, asked) in known.iter().zip(asked) {
        match known {
            Word::Named(name) if !asked.is_empty() => values.push((*name, *asked)),
            Word::Known(word) if word == asked => {}
            _ => return None,
        }
    }
    Some(values)
}

/// The value of a path segment, percent-decoded. What is no UTF-8 stays as it was sent and matches nothing.
fn decoded(value: &str) -> String {
    if !value.contains('%') {
        return value.to_owned();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |byte: u8| (byte as char).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push((hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0)) as u8);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_word_by_word() {
        fn values<'p>(known: &'static str, asked: &'p str) -> Option<Values<'p>> {
            super::values(&pattern(known), &words(asked))
        }
        let known = "/v1/tasks/{taskId}/steps/{step}";
        assert_eq!(values(known, "/v1/tasks/a/steps/b"), Some(vec![("taskId", "a"), ("step", "b")]));
        for other in [
            "",
            "/",
            "/v1/tasks/a/steps",
            "/v1/tasks/a/steps/",
            "/v1/tasks//steps/b",
            "/v1/tasks/a/steps/b/",
            "/v1/tasks/a/step/b",
        ] {
            assert_eq!(values(known, other), None, "{other}");
        }
        assert_eq!(values("/health", "/health"), Some(vec![]));
        assert_eq!(values("/health", "/health/"), None);
    }

    #[test]
    fn the_words_of_a_path_go_before_a_name_for_any() {
        async fn one(_: Hub) -> Result<crate::NoContent> {
            Ok(crate::NoContent)
        }
        let table = Routes::new("test").get("/v1/{thing}", "things.show", one, "").post("/v1/all", "things.create", one, "").get(
            "/v1/{thing}/parts",
            "parts.list",
            one,
            "",
        );
        assert_eq!((table.allow("/v1/all"), table.allow("/v1/one")), ("POST".into(), "GET, HEAD".into()));
        assert_eq!(
            (table.allow("/v1/all/parts"), table.allow("/v1"), table.allow("/v1/")),
            ("GET, HEAD".into(), String::new(), String::new())
        );
    }
}
