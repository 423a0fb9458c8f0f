-- Tasks of every kind, the data center components that environments are deployed to, and the environments.

-- The component that runs it: each runs the tasks on what is its own.
ALTER TABLE tasks ADD COLUMN queue TEXT NOT NULL DEFAULT 'provisioning';
-- What it works on, by its id. No reference: what it worked on may be gone, and the task still tells of it.
ALTER TABLE tasks ADD COLUMN subject TEXT;
-- The version of the list of steps that it was written with.
ALTER TABLE tasks ADD COLUMN definition_version BIGINT NOT NULL DEFAULT 1;
-- Counts how often it was begun.
ALTER TABLE tasks ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;
-- Whether it stays where it is when a step fails, rather than being undone.
ALTER TABLE tasks ADD COLUMN disable_rollback BIGINT NOT NULL DEFAULT 0;
-- When somebody asked for it to be cancelled.
ALTER TABLE tasks ADD COLUMN cancel_requested_at BIGINT;
UPDATE tasks SET subject = subscription_id;
CREATE INDEX tasks_subject ON tasks (subject, id);
CREATE INDEX tasks_unended ON tasks (subject) WHERE ended_at IS NULL;
CREATE INDEX tasks_type ON tasks (task_type, id);

-- Which tasks a task still waits for: those on its subject that had not ended when it was asked for. A row goes when the
-- one waited for ends, and with the last row the task begins.
CREATE TABLE task_predecessors (
    task_id      TEXT NOT NULL REFERENCES tasks (id),
    preceding_id TEXT NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (task_id, preceding_id)
);
CREATE INDEX task_predecessors_preceding ON task_predecessors (preceding_id);

-- What was asked for when the task was made.
CREATE TABLE task_requests (
    task_id TEXT PRIMARY KEY REFERENCES tasks (id),
    -- JSON, with a mask where a secret stood.
    body    TEXT NOT NULL,
    -- The secrets by their JSON Pointers, as JSON that is sealed.
    secrets TEXT
);
