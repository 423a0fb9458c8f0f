//! Tasks, whichever component runs them: what people ask and say of them.

mod again;
mod tasks;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("tasks")
        .get("/v1/tasks", tasks::list, "List tasks")
        .get("/v1/tasks/{taskId}", tasks::show, "Read a task")
        .get("/v1/tasks/{taskId}/request", tasks::request, "Read what a task was asked for")
        .post("/v1/tasks/{taskId}/cancel", tasks::cancel, "Cancel a task")
        .post("/v1/tasks/{taskId}/restart", tasks::restart, "Begin a task again that failed or was cancelled")
        .post("/v1/tasks/{taskId}/resume", tasks::resume, "Let a task go on at its checkpoint")
        .post("/v1/tasks/{taskId}/steps/{step}/complete", tasks::complete, "Say that a manual step is done, or undone")
        .post("/v1/tasks/{taskId}/steps/{step}/fail", tasks::fail, "Say that a manual step cannot be done, or undone")
}

web::serve!(routes);
