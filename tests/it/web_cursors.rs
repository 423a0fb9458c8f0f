//! Cursors of every list: opaque, of that list alone, and good whatever becomes of the row that they were made at.

use crate::{
    openapi::tables,
    web_roles::{Ground, Needs, ROUTES},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{Actor, Answer, World, simulated};
use web::openapi::Document;

/// Positions in a chain, which say nothing and are whoever's who has the entries.
const NUMBERED: &[&str] = &["/v1/audit-entries/export", "/v1/audit-entries/verification"];
/// Of a list that only a customer or a person has: the operator's token, which lists here, has none in its own organization. Their pages
/// are tested with them.
fn is_of_others(answer: &Answer) -> bool {
    ["not_a_customer", "not_a_person"].iter().any(|code| answer.at("/code") == *code)
}

/// The parameters of an operation, by name.
pub fn parameters(document: &Value, operation: &Value) -> Vec<Value> {
    let all = operation["parameters"].as_array().cloned().unwrap_or_default();
    let resolved = |one: Value| match one["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap().clone(),
        None => one,
    };
    all.into_iter().map(resolved).collect()
}

pub fn document() -> Value {
    let mut document = Document::default();
    tables().iter().for_each(|table| table.document(&mut document));
    document.whole("test")
}

/// A target with the cursor that the hub gives somebody who acts there, after an item that is sorted by these values.
pub fn after(target: &str, acting: &str, place: &[&str]) -> String {
    let place: Vec<String> = place.iter().map(|value| (*value).to_owned()).collect();
    let cursor = web::Page::cursor_of(tests::DATA_KEY, target, acting, &place).unwrap();
    with(target, &format!("cursor={cursor}"))
}

/// The targets of all lists, with an organization's things in their paths.
fn lists(ground: &Ground, document: &Value) -> Vec<String> {
    let routes = ROUTES.iter().filter(|route| route.route.starts_with("GET ") && !matches!(route.needs, Needs::Nothing));
    let lists = routes.filter_map(|route| {
        let path = route.route.strip_prefix("GET ")?;
        let listed = parameters(document, &document["paths"][path]["get"]).iter().any(|one| one["name"] == "cursor");
        if !listed || NUMBERED.contains(&path) {
            return None;
        }
        let target = if route.query.is_empty() { path.to_owned() } else { format!("{path}?{}", route.query) };
        Some(ground.places().find_map(|place| ground.filled(&target, place)).expect(path))
    });
    lists.collect()
}

fn with(target: &str, query: &str) -> String {
    format!("{target}{}{query}", if target.contains('?') { '&' } else { '?' })
}

/// The cursor of the page after this one.
fn next(page: &Answer) -> Option<String> {
    let link = page.header("link");
    let cursor = link.split_once("cursor=")?.1.split(['&', '>']).next()?;
    Some(cursor.to_owned())
}

#[test]
fn a_cursor_that_was_not_given_out_for_the_list_is_refused_by_each() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, operator) = (&ground.world, ground.operator());
        let document = document();
        let lists = lists(&ground, &document);
        assert!(lists.len() > 30, "{lists:?}");
        let provider = &ground.things["provider"]["organizationId"];
        let mut followed = 0;
        let mut foreign: Option<(String, String)> = None;
        let ids: Vec<&String> = ground.things.values().flat_map(|things| things.values()).filter(|id| id.contains('_')).collect();
        for target in &lists {
            let first = world.get(&with(target, "limit=1")).by(operator).send().await;
            if is_of_others(&first) {
                continue;
            }
            first.expect(200);
            let refused = async |cursor: &str| {
                let answer = world.get(&with(target, &format!("cursor={cursor}"))).by(operator).send().await;
                answer.expect_problem(400, "cursor_unknown");
                answer.text("/detail")
            };
            let told = refused("x").await;
            let unknown = ids[0].split('_').next().unwrap().to_owned() + "_01h455vb4pex5vsknk084sn02q";
            // A real id, of whatever and whoever's, one that there is not, and a cursor of another list: all the same.
            for cursor in [ids[0], ids[ids.len() / 2], ids[ids.len() - 1], &unknown] {
                assert_eq!(refused(cursor).await, told, "{target}");
            }
            if let Some((_, cursor)) = foreign.as_ref().filter(|(of, _)| of != target) {
                assert_eq!(refused(cursor).await, told, "{target}");
            }
            let Some(cursor) = next(&first) else { continue };
            followed += 1;
            assert!(!ids.iter().any(|id| cursor.contains(id.as_str())), "{target}: {cursor}");
            if first.header("content-type").starts_with("application/json") {
                assert_eq!(first.text("/nextCursor"), cursor);
            }
            world.get(&with(target, &format!("limit=2&cursor={cursor}"))).by(operator).send().await.expect(200);
            // Not one that was changed, nor elsewhere.
            let changed = format!("{}{}", &cursor[..cursor.len() - 1], if cursor.ends_with('A') { 'B' } else { 'A' });
            assert_eq!(refused(&changed).await, told, "{target}");
            let elsewhere = world.get(&with(target, &format!("cursor={cursor}"))).by(operator).acting_in(provider).send().await;
            if elsewhere.status() != 404 {
                elsewhere.expect_problem(400, "cursor_unknown");
            }
            foreign = Some((target.clone(), cursor));
        }
        assert!(followed > 20, "only {followed} lists have a second page here");
        // With other filters it is another list.
        let tasks = world.get("/v1/tasks?status=SUCCESS&limit=1").by(operator).send().await;
        let cursor = next(&tasks).unwrap();
        let other = world.get(&format!("/v1/tasks?status=MANUAL&cursor={cursor}")).by(operator).send().await;
        other.expect_problem(400, "cursor_unknown");
    });
}

#[test]
fn every_list_comes_page_by_page_to_the_same_as_at_once() {
    simulated(|| async {
        let ground = Ground::new().await;
        let (world, operator) = (&ground.world, ground.operator());
        let document = document();
        for target in lists(&ground, &document) {
            let whole = world.get(&with(&target, "limit=200")).by(operator).send().await;
            if is_of_others(&whole) {
                continue;
            }
            let items = |page: &Answer| match page.at("/items").as_array() {
                Some(items) => items.clone(),
                None => page.at("/organizations").as_array().cloned().unwrap_or_default(),
            };
            let mut paged = Vec::new();
            let mut query = "limit=2".to_owned();
            loop {
                let page = world.get(&with(&target, &query)).by(operator).send().await;
                page.expect(200);
                paged.extend(items(&page));
                let Some(cursor) = next(&page).or_else(|| page.at("/nextCursor").as_str().map(str::to_owned)) else { break };
                query = format!("limit=2&cursor={cursor}");
            }
            assert_eq!(paged, items(&whole), "{target}");
        }
    });
}

/// The ids of a list page by page, where something is done after each.
async fn walked(world: &World, by: &Actor, target: &str, after_each: impl AsyncFn(&Value)) -> Vec<String> {
    let (mut query, mut seen) = ("limit=3".to_owned(), Vec::new());
    loop {
        let page = world.get(&with(target, &query)).by(by).send().await;
        let items = page.expect(200).at("/items").as_array().unwrap().clone();
        seen.extend(items.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = next(&page) else { return seen };
        after_each(items.last().unwrap()).await;
        query = format!("limit=3&cursor={cursor}");
    }
}

#[test]
fn a_row_that_is_renamed_or_removed_takes_no_others_with_it() {
    for removed in [false, true] {
        simulated(|| async {
            let world = World::new().await;
            let shop = world.shop().await;
            let mut made = BTreeSet::new();
            for name in ["Ada", "Ben", "Cid", "Dot", "Eve", "Fay", "Gus", "Hal"] {
                made.insert(world.organization(&shop.admin, "CUSTOMER", &format!("Team {name}"), None).await);
                world.hub.clock().advance(std::time::Duration::from_millis(5)).await;
            }
            for target in [
                "/v1/organizations?name=team",
                "/v1/organizations?kind=CUSTOMER",
                &format!("/v1/organizations?parentId={}", shop.provider),
            ] {
                let gone = std::cell::RefCell::new(Vec::new());
                let seen = walked(&world, &shop.admin, target, async |last| {
                    let path = format!("/v1/organizations/{}", last["id"].as_str().unwrap());
                    gone.borrow_mut().push(last["id"].as_str().unwrap().to_owned());
                    match removed {
                        // As if it had never been: not even a row of it is left.
                        true => {
                            world
                                .database()
                                .execute(
                                    "UPDATE organizations SET removed_at = 1, path = path || 'x' WHERE id = ?1",
                                    [last["id"].as_str().unwrap()],
                                )
                                .unwrap();
                        }
                        false => {
                            let edit =
                                world.patch(&path, json!({ "displayName": "Team Zoe" })).by(&shop.admin).header("if-match", "*");
                            edit.send().await.expect(200);
                        }
                    }
                })
                .await;
                let seen: BTreeSet<String> = seen.into_iter().collect();
                assert!(made.is_subset(&seen), "{target}: {seen:?}");
                if removed {
                    made.retain(|id| !gone.borrow().contains(id));
                }
            }
        });
    }
}

#[test]
fn a_cloud_endpoint_that_is_removed_takes_no_others_with_it() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let mut made = BTreeSet::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let body = json!({ "displayName": name, "kind": "VCD", "url": "https://x.example.com", "region": "x" });
            made.insert(world.post("/v1/cloud-endpoints", body).by(&shop.admin).send().await.expect(201).text("/id"));
            world.hub.clock().advance(std::time::Duration::from_millis(5)).await;
        }
        let seen = walked(&world, &shop.admin, "/v1/cloud-endpoints", async |last| {
            let path = format!("/v1/cloud-endpoints/{}", last["id"].as_str().unwrap());
            world.delete(&path).by(&shop.admin).send().await.expect(204);
        })
        .await;
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
    });
}
