//! Tasks on one subject are done one after the other; those on others do not wait.

use crate::environments_data_centers_support::{contacted, registered};
use crate::provisioning_support::{again, run_out, task};
use serde_json::{Value, json};
use tests::{Actor, Answer, World, simulated};

async fn ask(world: &World, by: &Actor, id: &str, what: &str) -> Answer {
    // Ids of one millisecond sort by chance.
    world.hub.clock().advance(std::time::Duration::from_millis(1)).await;
    let by = again(world, by).await;
    world.post(&format!("/v1/data-centers/{id}/{what}"), json!({})).by(&by).send().await
}

#[test]
fn a_task_names_those_it_waits_for_and_begins_when_they_have_ended() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "MANUAL").await;
        let first = ask(&world, &operator, &id, "validate").await;
        let second = ask(&world, &operator, &id, "discover").await;
        let third = ask(&world, &operator, &id, "validate").await;
        assert_eq!(first.at("/precedingTasks"), json!([]));
        assert_eq!(second.at("/precedingTasks"), json!([first.text("/id")]));
        let both = json!([first.text("/id"), second.text("/id")]);
        assert_eq!(third.at("/precedingTasks"), both);
        run_out(&world).await;
        assert_eq!(task(&world, &operator, &first).await["status"], "MANUAL");
        let waiting = task(&world, &operator, &third).await;
        assert_eq!((&waiting["status"], &waiting["precedingTasks"]), (&json!("NOT_STARTED"), &both));
        assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 0, "nobody looks whether it may begin");

        contacted(&world, &operator, &first).await;
        assert_eq!(task(&world, &operator, &first).await["status"], "SUCCESS");
        assert_eq!(task(&world, &operator, &second).await["status"], "MANUAL");
        assert_eq!(task(&world, &operator, &third).await["precedingTasks"], json!([second.text("/id")]));
        contacted(&world, &operator, &second).await;
        contacted(&world, &operator, &third).await;
        assert_eq!(task(&world, &operator, &third).await["status"], "SUCCESS");
        assert_eq!(world.count("SELECT COUNT(*) FROM task_predecessors"), 0);
    });
}

#[test]
fn a_task_that_waits_can_be_cancelled_and_those_behind_it_go_on_in_order() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "MANUAL").await;
        let first = ask(&world, &operator, &id, "validate").await;
        let second = ask(&world, &operator, &id, "validate").await;
        let third = ask(&world, &operator, &id, "validate").await;
        world.settle().await;
        let path = format!("/v1/tasks/{}/cancel", second.text("/id"));
        let cancelled = world.post(&path, json!({})).by(&operator).send().await;
        assert_eq!((cancelled.expect(202).text("/status"), cancelled.at("/precedingTasks")), ("CANCELLED".into(), json!([])));
        world.settle().await;
        assert!(task(&world, &operator, &second).await["endedAt"].is_string());
        // The third still waits for the first.
        assert_eq!(task(&world, &operator, &third).await["precedingTasks"], json!([first.text("/id")]));
        contacted(&world, &operator, &first).await;
        contacted(&world, &operator, &third).await;
        // Begun again, it comes behind whatever is there by then.
        let fourth = ask(&world, &operator, &id, "validate").await;
        let path = format!("/v1/tasks/{}/restart", second.text("/id"));
        let restarted = world.post(&path, json!({})).by(&operator).send().await;
        assert_eq!(restarted.expect(202).at("/precedingTasks"), json!([fourth.text("/id")]));
        world.settle().await;
        contacted(&world, &operator, &fourth).await;
        contacted(&world, &operator, &second).await;
        assert_eq!(task(&world, &operator, &second).await["status"], "SUCCESS");
    });
}

#[test]
fn a_task_that_fails_keeps_nobody_waiting_and_other_subjects_do_not_wait() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let (one, other) =
            (registered(&world, &operator, "vc1", "MANUAL").await, registered(&world, &operator, "vc2", "MANUAL").await);
        let first = ask(&world, &operator, &one, "validate").await;
        let second = ask(&world, &operator, &one, "validate").await;
        let elsewhere = ask(&world, &operator, &other, "validate").await;
        assert_eq!(elsewhere.at("/precedingTasks"), json!([]));
        world.settle().await;
        assert_eq!(task(&world, &operator, &elsewhere).await["status"], "MANUAL");
        let path = format!("/v1/tasks/{}/steps/CONTACT/fail", first.text("/id"));
        world.post(&path, json!({ "message": "no" })).by(&operator).send().await.expect(200);
        world.settle().await;
        assert_eq!(task(&world, &operator, &first).await["status"], "ERROR");
        assert_eq!(task(&world, &operator, &second).await["status"], "MANUAL");
    });
}

#[test]
fn a_queue_has_an_end() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "MANUAL").await;
        for _ in 0..21 {
            ask(&world, &operator, &id, "validate").await.expect(202);
        }
        ask(&world, &operator, &id, "validate").await.expect_problem(409, "too_many_tasks");
        assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE ended_at IS NULL"), 21);
        let listed = world.get("/v1/tasks?status=NOT_STARTED&limit=200").by(&operator).send().await;
        let longest = listed
            .at("/items")
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["precedingTasks"].as_array().map_or(0, Vec::len))
            .max();
        assert_eq!(longest, Some(20));
    });
}

#[test]
fn a_caller_who_waits_waits_for_those_before_too() {
    simulated(|| async {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let id = registered(&world, &operator, "vc1", "BUILTIN").await;
        let first = ask(&world, &operator, &id, "validate").await;
        let path = format!("/v1/data-centers/{id}/validate");
        let call = world.post(&path, json!({})).by(&operator).header("prefer", "wait=5").send();
        let (second, ()) = futures::join!(call, world.settle());
        assert_eq!((second.expect(200).text("/status"), second.at("/precedingTasks")), ("SUCCESS".into(), json!([])));
        assert_eq!(task(&world, &operator, &first).await["status"], "SUCCESS");
    });
}

#[test]
fn two_hundred_tasks_are_each_done_once_by_one_runner_and_by_four() {
    for runners in [1, 4] {
        simulated(|| async {
            let world = World::new().await;
            let operator = world.bootstrap().await;
            let mut ids = Vec::new();
            for n in 0..20 {
                ids.push(registered(&world, &operator, &format!("vc{n}"), "BUILTIN").await);
            }
            let by = again(&world, &operator).await;
            for _ in 0..10 {
                let calls = ids.iter().map(|id| world.post(&format!("/v1/data-centers/{id}/validate"), json!({})).by(&by).send());
                for answer in futures::future::join_all(calls).await {
                    answer.expect(202);
                }
            }
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs"), 20, "one of each subject can go on");
            let runs = (0..runners).map(|_| async {
                for _ in 0..400 / runners {
                    crate::tasks_walk::runner(&world, "environments").await;
                }
            });
            futures::future::join_all(runs).await;
            run_out(&world).await;
            assert_eq!(world.count("SELECT COUNT(*) FROM tasks WHERE status = 'SUCCESS'"), 220);
            assert_eq!(world.count("SELECT SUM(attempts) FROM task_steps"), 660, "no step was done twice");
            assert_eq!(world.count("SELECT COUNT(*) FROM jobs") + world.count("SELECT COUNT(*) FROM task_predecessors"), 0);
            // In the order in which they were asked for.
            let sql = "SELECT COUNT(*) FROM tasks a JOIN tasks b ON a.subject = b.subject AND a.created_at < b.created_at AND a.ended_at > b.ended_at";
            assert_eq!(world.count(sql), 0);
            let found: Value =
                world.get("/v1/tasks?type=DATACENTER_VALIDATE&limit=200").by(&again(&world, &operator).await).send().await.json();
            assert_eq!(found["items"].as_array().unwrap().len(), 200);
        });
    }
}
