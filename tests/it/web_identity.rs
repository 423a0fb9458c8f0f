//! What it costs to know who asks, and to look among many members: reads of an index, however many there are.

use serde_json::json;
use tests::{Call, World, simulated};

/// What a request says to the database.
async fn statements(world: &World, call: Call<'_>) -> Vec<String> {
    let before = world.hub.host_calls().len();
    call.send().await.expect(200);
    let calls = world.hub.host_calls().into_iter().skip(before);
    calls.filter(|call| call.kind == host::Kind::Sql).map(|call| call.detail).collect()
}

/// How the database will go about a statement.
fn plan(world: &World, sql: &str) -> Vec<String> {
    let database = world.database();
    let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).expect(sql);
    rows.map(|row| row.expect("a step")).collect()
}

#[test]
fn who_asks_is_one_read_and_every_step_of_it_uses_an_index() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let person = world.member(&shop.operator, &shop.provider, "a@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        for actor in [&shop.admin, &person.actor] {
            // The first request of a component looks at the schema too.
            world.get("/v1/roles").by(actor).send().await.expect(200);
            let said = statements(&world, world.get("/v1/roles").by(actor)).await;
            assert_eq!(said.len(), 1, "{said:#?}");
            let steps = plan(&world, &said[0]);
            assert_eq!(steps.len(), 4, "{steps:#?}");
            assert!(steps.iter().all(|step| step.starts_with("SEARCH") && step.contains(" INDEX ")), "{steps:#?}");
        }
        world.let_act(&shop.admin, &shop.customer).await;
        // Acting elsewhere is one more, by the organization's id.
        let said = statements(&world, world.get("/v1/roles").by(&shop.admin).acting_in(&shop.customer)).await;
        assert_eq!(said.len(), 2, "{said:#?}");
        assert!(plan(&world, &said[1]).iter().all(|step| step.starts_with("SEARCH") && step.contains(" INDEX ")));
    });
}

#[test]
fn lists_of_members_and_invitations_read_a_page_and_not_the_table() {
    simulated(|| async {
        let world = World::new().await;
        let shop = world.shop().await;
        let person = world.member(&shop.operator, &shop.provider, "a@contoso.example", &["PROVIDER_ADMINISTRATOR"]).await;
        let invite = json!({ "roles": ["PROVIDER_DEVELOPER"], "people": [{ "email": "b@contoso.example" }] });
        world.post("/v1/members", invite).by(&person.actor).send().await.expect(207);
        for path in
            ["/v1/members", "/v1/member-invitations?status=PENDING", "/v1/service-roles", &format!("/v1/members/{}", person.id)]
        {
            for sql in statements(&world, world.get(path).by(&person.actor)).await {
                for step in plan(&world, &sql) {
                    // Sorting would mean that the whole of it was read first.
                    let reads_all = step.starts_with("SCAN") || step.contains("ORDER BY");
                    assert!(!reads_all || step.contains("CONSTANT ROW"), "{path}: {step} in {sql}");
                }
            }
        }
    });
}
