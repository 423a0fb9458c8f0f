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
        .get("/health", "health.show", health::show, "Whether the database takes writes and every component answers")
        .get("/openapi.json", "openapi.show", openapi::show, "This document")
        .get("/v1/jobs", "jobs.list", jobs::list, "List jobs, parked ones among them")
        .post("/v1/jobs/{jobId}/replay", "jobs.replay", jobs::replay, "Let a parked job run again")
        .get("/v1/tasks", "tasks.list", tasks::list, "List tasks")
        .get("/v1/tasks/{taskId}", "tasks.show", tasks::show, "Read a task")
        .get("/v1/tasks/{taskId}/request", "tasks.request", tasks::request, "Read what a task was asked for")
        .post("/v1/tasks/{taskId}/cancel", "tasks.cancel", tasks::cancel, "Cancel a task")
        .post("/v1/tasks/{taskId}/restart", "tasks.restart", tasks::restart, "Begin a task again that failed or was cancelled")
        .post("/v1/tasks/{taskId}/resume", "tasks.resume", tasks::resume, "Let a task go on at its checkpoint")
        .post(
            "/v1/tasks/{taskId}/steps/{step}/complete",
            "tasks.complete",
            tasks::complete,
            "Say that a manual step is done, or undone",
        )
        .post(
            "/v1/tasks/{taskId}/steps/{step}/fail",
            "tasks.fail",
            tasks::fail,
            "Say that a manual step cannot be done, or undone",
        )
}

web::serve!(routes);
