//! The scheduler: one tick in, one call to every component with due work. It answers for the hub as a whole: its health, its
//! OpenAPI document, its jobs and tasks, and that there is nothing at a path.

mod again;
mod health;
mod jobs;
mod life;
mod openapi;
mod tasks;
mod tick;

use web::Routes;

/// The components besides this one, as `spin.toml` has them.
const OTHERS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The route table.
pub fn routes() -> Routes {
    Routes::new("scheduler")
        .post("/internal/tick", "tick.run", tick::run, "Run what is due")
        .post("/internal/start", "life.start", life::start, "Look whether the hub can work")
        .post("/internal/stop", "life.stop", life::stop, "Give back what is claimed")
        .get("/health", "health.show", health::show, "Show the health of the hub")
        .get("/openapi.json", "openapi.show", openapi::show, "Show this document")
        .get("/v1/jobs", "jobs.list", jobs::list, "List open and parked jobs")
        .post("/v1/jobs/{jobId}/replay", "jobs.replay", jobs::replay, "Replay a parked job")
        .get("/v1/tasks", "tasks.list", tasks::list, "List tasks")
        .get("/v1/tasks/{taskId}", "tasks.show", tasks::show, "Show a task")
        .get("/v1/tasks/{taskId}/request", "tasks.request", tasks::request, "Show the request behind a task")
        .post("/v1/tasks/{taskId}/cancel", "tasks.cancel", tasks::cancel, "Cancel a task")
        .post("/v1/tasks/{taskId}/restart", "tasks.restart", tasks::restart, "Restart a failed or canceled task")
        .post("/v1/tasks/{taskId}/resume", "tasks.resume", tasks::resume, "Resume a task at its checkpoint")
        .post("/v1/tasks/{taskId}/steps/{step}/complete", "tasks.complete", tasks::complete, "Complete a manual step")
        .post("/v1/tasks/{taskId}/steps/{step}/fail", "tasks.fail", tasks::fail, "Fail a manual step")
}

web::serve!(routes);
