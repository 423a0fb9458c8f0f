//! Every id that a route takes, in its path, its query or its body, wherever the API's document says that there is one: another
//! tenant's real one and one that there is not are answered word for word alike. So nobody learns what exists elsewhere.

use crate::web_cursors::{document, parameters};
use crate::web_roles::{Caller, Ground, Needs, ROUTES, Route, is_below, relation};
use host::{Fault, Target};
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::simulated;

/// What belongs to nobody, or to the operator alone, so that no tenant's is another's.
const EVERYBODYS: &[&str] = &["svc", "srol", "rep", "pkf", "brk", "job", "mail"];
/// What the grounds here have none of in another tenant's hands.
const NOT_HAD: &[&str] = &["uvd", "use"];

/// Where a route takes an id.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    Path(String),
    Query(String),
    /// A JSON Pointer, with 0 for the first of several.
    Body(String),
}

/// The prefixes of the ids that a schema takes: `^org_[0-7]…`, or several of them.
fn prefixes(schema: &Value) -> Vec<String> {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let Some((head, _)) = pattern.strip_prefix('^').and_then(|rest| rest.split_once("_[0-7]")) else { return Vec::new() };
    head.trim_matches(['(', ')', '?', ':']).split('|').map(str::to_owned).collect()
}

/// The ids in a schema, by their pointers.
fn ids_in(document: &Value, schema: &Value, at: &str, depth: usize, found: &mut Vec<(String, Vec<String>)>) {
    if depth > 8 {
        return;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        ids_in(document, document.pointer(reference.trim_start_matches('#')).unwrap(), at, depth + 1, found);
    }
    let these = prefixes(schema);
    if !these.is_empty() {
        found.push((at.to_owned(), these));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        ids_in(document, property, &format!("{at}/{name}"), depth + 1, found);
    }
    ids_in_items(document, schema, at, depth, found);
    for several in ["anyOf", "oneOf", "allOf"] {
        for one in schema[several].as_array().into_iter().flatten() {
            ids_in(document, one, at, depth + 1, found);
        }
    }
}

fn ids_in_items(document: &Value, schema: &Value, at: &str, depth: usize, found: &mut Vec<(String, Vec<String>)>) {
    if schema["items"].is_object() {
        ids_in(document, &schema["items"], &format!("{at}/0"), depth + 1, found);
    }
}

/// The ids that a route takes.
fn places(document: &Value, method: &str, path: &str) -> BTreeMap<Place, Vec<String>> {
    let operation = &document["paths"][path][method.to_ascii_lowercase()];
    let mut places = BTreeMap::new();
    for parameter in parameters(document, operation) {
        let name = parameter["name"].as_str().unwrap().to_owned();
        let mut found = Vec::new();
        ids_in(document, &parameter["schema"], "", 0, &mut found);
        let all: Vec<String> = found.into_iter().flat_map(|(_, prefixes)| prefixes).collect();
        match (parameter["in"].as_str().unwrap(), all.is_empty()) {
            ("path", false) => drop(places.insert(Place::Path(name), all)),
            ("query", false) => drop(places.insert(Place::Query(name), all)),
            _ => {}
        }
    }
    let content = operation["requestBody"]["content"].as_object();
    for (_, media) in content.into_iter().flatten().filter(|(name, _)| name.contains("json") && !name.contains("ndjson")) {
        let mut found = Vec::new();
        ids_in(document, &media["schema"], "", 0, &mut found);
        for (pointer, prefixes) in found {
            places.entry(Place::Body(pointer)).or_insert_with(Vec::new).extend(prefixes);
        }
    }
    places
}

/// Puts a value at a pointer, with what is missing on the way there.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let Some((name, rest)) = pointer.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        *body = value;
        return;
    };
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    match name {
        "0" => {
            if !body.is_array() {
                *body = json!([Value::Null]);
            }
            let items = body.as_array_mut().unwrap();
            if items.is_empty() {
                items.push(Value::Null);
            }
            put(&mut items[0], &rest, value);
        }
        name => {
            if !body.is_object() {
                *body = Value::Object(Map::new());
            }
            put(&mut body[name], &rest, value);
        }
    }
}

/// A request: its target and its body.
type Request = (String, Value);

/// The route's request on an organization's own things, with this id at that place.
fn request(ground: &Ground, route: &Route, own: &str, place: &Place, id: &str) -> Option<Request> {
    let path = route.route.split_once(' ')?.1;
    let (mut path, mut query, mut body) = (path.to_owned(), route.query.to_owned(), route.body.to_owned());
    match place {
        Place::Path(name) => path = path.replace(&format!("{{{name}}}"), id),
        Place::Query(name) => {
            let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with(&format!("{name}=")));
            query = kept.map(str::to_owned).chain([format!("{name}={id}")]).collect::<Vec<_>>().join("&");
        }
        Place::Body(_) => {}
    }
    if let Place::Body(pointer) = place {
        // What would stand there in the route's own request need not be had.
        let template: Value = serde_json::from_str(&body).ok()?;
        if let Some(text) = template.pointer(pointer).and_then(Value::as_str) {
            body = body.replacen(text, id, 1);
        }
    }
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let (target, body) = (ground.filled(&target, own)?, ground.filled(&body, own)?);
    let mut body: Value = serde_json::from_str(&body).ok()?;
    if let Place::Body(pointer) = place {
        put(&mut body, pointer, id.into());
    }
    Some((target, body))
}

/// An answer without what differs from request to request.
fn told(answer: &tests::Answer, id: &str, unknown: &str) -> (u16, String) {
    let mut body = answer.json();
    if let Some(fields) = body.as_object_mut() {
        for name in ["requestId", "traceId", "instance"] {
            fields.remove(name);
        }
    }
    (answer.status(), body.to_string().replace(id, unknown))
}

#[test]
fn another_tenants_id_is_answered_like_one_that_there_is_not() {
    simulated(|| async {
        let ground = Ground::new().await;
        let world = &ground.world;
        let document = document();
        // Nothing that is let in is kept, so that all find the same.
        world.hub.faults().push(Fault::on(Target::SqlMatching("COMMIT".into())).fail("disk I/O error"));
        let (mut tried, mut seen, mut differing) = (0, BTreeSet::new(), Vec::new());
        for route in ROUTES.iter().filter(|route| !matches!(route.needs, Needs::Nothing)) {
            let (method, path) = route.route.split_once(' ').unwrap();
            for (place, prefixes) in places(&document, method, path) {
                for caller in ground.callers.iter().filter(|caller| may(caller, route)) {
                    tried += compare(&ground, route, method, &place, &prefixes, caller, (&mut seen, &mut differing)).await;
                }
            }
        }
        assert!(differing.is_empty(), "{} of {tried} tries:\n{}", differing.len(), differing.join("\n"));
        assert!(tried > 2000, "{tried}");
        for what in ["path", "query", "body"] {
            assert!(seen.contains(what), "no id in a {what} was tried");
        }
        // A kind of thing that a route takes and that no tenant has here would not be tried: let Ground::new make one.
        let routes = ROUTES.iter().filter(|route| !matches!(route.needs, Needs::Nothing));
        let all = routes.flat_map(|route| {
            let (method, path) = route.route.split_once(' ').unwrap();
            places(&document, method, path).into_values().flatten()
        });
        let known = |prefix: &String| EVERYBODYS.contains(&prefix.as_str()) || NOT_HAD.contains(&prefix.as_str());
        let left: BTreeSet<String> = all.filter(|prefix| !known(prefix) && !seen.contains(prefix.as_str())).collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

fn may(caller: &Caller, route: &Route) -> bool {
    match route.needs {
        Needs::One(permission) => caller.held.has(permission),
        _ => true,
    }
}

/// Tries every id of that kind that the caller does not reach, of each relation one.
async fn compare(
    ground: &Ground,
    route: &Route,
    method: &str,
    place: &Place,
    prefixes: &[String],
    caller: &Caller,
    (seen, differing): (&mut BTreeSet<String>, &mut Vec<String>),
) -> usize {
    let method: Method = method.parse().unwrap();
    let acting = &ground.things[caller.acting]["organizationId"];
    let send = async |(target, body): Request| {
        let call = ground.world.call(method.clone(), &target).header("if-match", "*").by(&caller.actor).acting_in(acting);
        if method == Method::GET { call.send().await } else { call.json(&body).send().await }
    };
    let mut tried = 0;
    for prefix in prefixes.iter().filter(|prefix| !EVERYBODYS.contains(&prefix.as_str())) {
        let unknown = format!("{prefix}_01h455vb4pex5vsknk084sn02q");
        let mut relations = BTreeSet::new();
        // Wherever a role of the same one reaches is no stranger's: who is bound to customers is at home in them too.
        let same = |one: &&Caller| one.role == caller.role;
        let is_reached = |other: &str| ground.callers.iter().filter(same).any(|one| one.reaches(other));
        for other in ground.places().filter(|other| !is_reached(other)) {
            let Some(id) = ground.things[other].values().find(|id| id.starts_with(&format!("{prefix}_"))) else { continue };
            // Whom an organization stands below it reads in its own `parentId`, and whose contract opens its services in its
            // subscriptions' `contractId`: to name these tells it nothing.
            let known = |name: &String| name.ends_with("parentId") || name == "/contractId";
            if matches!(place, Place::Query(name) | Place::Body(name) if known(name)) && is_below(caller.acting, other) {
                continue;
            }
            if !relations.insert(relation(caller.acting, other)) {
                continue;
            }
            let own = ground.places().find(|own| caller.reaches(own) && request(ground, route, own, place, id).is_some());
            let Some(own) = own else { continue };
            let (theirs, none) =
                (request(ground, route, own, place, id).unwrap(), request(ground, route, own, place, &unknown).unwrap());
            let what = format!("{} with {place:?} of {other} ({id}) by {} in {}", route.route, caller.role, caller.acting);
            let (theirs, none) = (send(theirs).await, send(none).await);
            if told(&theirs, id, &unknown) != told(&none, &unknown, &unknown) {
                differing.push(format!(
                    "{what}: {:.300?} and {:.300?}",
                    told(&theirs, id, &unknown),
                    told(&none, &unknown, &unknown)
                ));
            }
            let is_list = method == Method::GET && theirs.status() == 200;
            // Of many at once each is answered for itself, in an answer that is to be committed.
            let is_bulk = route.route.starts_with("PATCH /v1/members") && theirs.at("/code") == "outcome_unknown";
            if !is_list && !is_bulk && !(400..500).contains(&theirs.status()) {
                differing.push(format!("{what}: {} {:.300}", theirs.status(), theirs.json().to_string()));
            }
            let where_to = match place {
                Place::Path(_) => "path",
                Place::Query(_) => "query",
                Place::Body(_) => "body",
            };
            seen.extend([where_to.to_owned(), prefix.clone()]);
            tried += 1;
        }
    }
    tried
}

/// Who was removed is a stranger from the next request on, at every route.
#[test]
fn who_was_removed_finds_nothing_any_more() {
    simulated(|| async {
        let ground = Ground::new().await;
        let world = &ground.world;
        for (place, role) in [("provider", "PROVIDER_ADMINISTRATOR"), ("customer", "CUSTOMER_ADMINISTRATOR")] {
            let id = &ground.things[place]["organizationId"];
            // One who stays, for an organization keeps an administrator.
            let stayer = world.member(ground.operator(), id, &format!("stayer-{place}@example.com"), &[role]).await;
            let person = world.member(&stayer.actor, id, &format!("leaver-{place}@example.com"), &[role]).await;
            world.get("/v1/me").by(&person.actor).send().await.expect(200);
            let remove = format!("/v1/members/{}?organizationId={id}", person.id);
            world.delete(&remove).by(&stayer.actor).send().await.expect(204);
            for route in ROUTES.iter().filter(|route| !matches!(route.needs, Needs::Nothing)) {
                let (method, path) = route.route.split_once(' ').unwrap();
                let method: Method = method.parse().unwrap();
                let Some((target, body)) = ground.places().find_map(|own| {
                    Some((ground.filled(&format!("{path}?{}", route.query), own)?, ground.filled(route.body, own)?))
                }) else {
                    continue;
                };
                let call = world.call(method.clone(), &target).by(&person.actor).header("if-match", "*");
                let body: Value = serde_json::from_str(&body).unwrap();
                let answer = if method == Method::GET { call.send().await } else { call.json(&body).send().await };
                let code = answer.at("/code");
                let gone = answer.status() == 401 || (answer.status() == 404 && code == "organization_not_found");
                assert!(gone, "{method} {target}: {} {}", answer.status(), answer.json());
            }
        }
    });
}
