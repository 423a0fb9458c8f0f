//! Every route against every role: permitted exactly when the role table says so.

use crate::openapi::tables;
use domain::{Permission, Role, role::Permissions};
use http::Method;
use serde_json::{Value, json};
use tests::{Actor, World, simulated};
use web::openapi::Document;

/// A caller of each role, in an organization of the kind that the role is for.
async fn callers(world: &World) -> Vec<(Role, Actor)> {
    let operator = world.bootstrap().await;
    let mut place = operator.organization.clone();
    let mut callers = Vec::new();
    for kind in ["OPERATOR", "DISTRIBUTOR", "RESELLER", "PROVIDER", "CUSTOMER"] {
        if kind != "OPERATOR" {
            place = world.organization(&operator, kind, kind, Some(&place)).await;
        }
        for &role in Role::ALL.iter().filter(|role| role.row().kind.as_str() == kind) {
            callers.push((role, world.actor(&operator, &place, role.as_str()).await));
        }
    }
    assert_eq!(callers.len(), Role::ALL.len());
    callers
}

#[test]
fn a_route_lets_in_exactly_the_roles_that_the_table_says() {
    let mut document = Document::default();
    tables().iter().for_each(|table| table.document(&mut document));
    let document = document.whole("test");
    simulated(|| async {
        let world = World::new().await;
        let callers = callers(&world).await;
        let (mut asked, mut refused) = (0, 0);
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let method: Method = method.to_uppercase().parse().unwrap();
                let needed = operation.get("x-permission").map(|name| name.as_str().unwrap().parse::<Permission>().unwrap());
                let call = || world.call(method.clone(), &somewhere(path)).json(&json!({}));
                if operation["security"] == json!([]) {
                    assert!(needed.is_none(), "{method} {path}");
                    continue;
                }
                call().send().await.expect_problem(401, "access_token_missing");
                for (role, caller) in &callers {
                    let answer = call().by(caller).send().await;
                    let may = needed.is_none_or(|needed| Permissions::of([*role]).has(needed));
                    let said_no = answer.at("/code") == "permission_missing";
                    assert_eq!(said_no, !may, "{role} {method} {path}: {} {}", answer.status(), answer.json());
                    assert!(answer.status() < 500, "{role} {method} {path}: {}", answer.json());
                    asked += 1;
                    refused += u32::from(said_no);
                }
            }
        }
        assert!(asked > 100 && refused > 50, "{asked} asked, {refused} refused");
    });
}

/// The path with an id of the right kind, of something that is not there, in each of its places.
fn somewhere(path: &str) -> String {
    let id = |prefix: &str| format!("{prefix}_01h455vb4pex5vsknk084sn02q");
    path.split('/')
        .map(|segment| match segment {
            "{organizationId}" => id("org"),
            "{apiTokenId}" => id("tok"),
            "{contractId}" => id("ctr"),
            "{serviceId}" => id("svc"),
            "{subscriptionId}" => id("sub"),
            "{dataCenterId}" => id("dtc"),
            "{environmentId}" => id("env"),
            "{planId}" => id("pln"),
            "{taskId}" => id("task"),
            "{jobId}" => id("job"),
            "{usageReportId}" => id("usr"),
            "{invoiceId}" => id("inv"),
            "{line}" => "1".to_owned(),
            "{step}" => "PROVISION".to_owned(),
            other => {
                assert!(!other.starts_with('{'), "the test does not know what {other} is: add it here");
                other.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// The table itself is served as it is.
#[test]
fn the_roles_are_served_with_their_permissions() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let roles = world.get("/v1/roles").by(&operator).send().await;
        let rows = roles.at("/items");
        let rows: Vec<&Value> = rows.as_array().unwrap().iter().collect();
        assert_eq!(rows.len(), Role::ALL.len());
        for row in rows {
            let role: Role = row["role"].as_str().unwrap().parse().unwrap();
            assert_eq!(row["permissions"], json!(role.row().permissions));
        }
    });
}
