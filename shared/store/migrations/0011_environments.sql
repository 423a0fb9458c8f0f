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
    body    TEXT NOT NULL
);

-- What is known of the vCenters, NSX managers and the like that environments are deployed to.
CREATE TABLE data_centers (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    component_name  TEXT NOT NULL,
    component_type  TEXT NOT NULL,
    product_version TEXT,
    fqdn            TEXT NOT NULL,
    username        TEXT NOT NULL,
    -- Where the password is kept, or the password itself, sealed for this row's id.
    password_ref    TEXT,
    password_sealed TEXT,
    target          TEXT NOT NULL,
    purpose         TEXT,
    managed_by      TEXT,
    -- JSON: lists that are read and written as a whole.
    tags            TEXT NOT NULL,
    networks        TEXT NOT NULL,
    -- What was found there, as JSON, and when.
    inventory       TEXT,
    discovered_at   BIGINT,
    -- When somebody last saw that it is as described; never, where nobody looks.
    confirmed_at    BIGINT,
    registered_at   BIGINT,
    status          TEXT NOT NULL CHECK (status IN ('REGISTERING', 'REGISTERED', 'FAILED', 'REMOVING')),
    -- The task that works on it, or did so last.
    task_id         TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (organization_id, component_name),
    CHECK ((password_ref IS NULL) <> (password_sealed IS NULL))
);
CREATE INDEX data_centers_organization ON data_centers (organization_id, id);
CREATE INDEX data_centers_type ON data_centers (component_type, id);

-- What a task is to make of a data center component: columns that are to be as they are here, where they are anything.
-- For a component that is only asked about, all that is known of it.
CREATE TABLE data_center_edits (
    task_id         TEXT PRIMARY KEY REFERENCES tasks (id),
    -- The version that whoever asked had seen.
    seen_version    BIGINT,
    component_name  TEXT,
    component_type  TEXT,
    product_version TEXT,
    fqdn            TEXT,
    username        TEXT,
    password_ref    TEXT,
    password_sealed TEXT,
    target          TEXT,
    purpose         TEXT,
    managed_by      TEXT,
    tags            TEXT,
    networks        TEXT
);

-- Products that were deployed together.
CREATE TABLE environments (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Its short name, which the reference calls the environment's id.
    code            TEXT NOT NULL,
    name            TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('DEPLOYING', 'ACTIVE', 'FAILED', 'REMOVING')),
    -- Its products as JSON, with a mask where a secret stands; and the secrets by their JSON Pointers, sealed for its id.
    products        TEXT NOT NULL,
    secrets         TEXT,
    -- The task that works on it, or did so last.
    task_id         TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (organization_id, code)
);
CREATE INDEX environments_organization ON environments (organization_id, id);

-- What a change of an environment comes to. Every change has one; those that were asked for as a dry run wait to be applied.
CREATE TABLE plans (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- No reference: a plan tells of an environment that is not yet, or no more.
    environment_id  TEXT NOT NULL,
    task_type       TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('PLANNED', 'APPROVED', 'APPLIED')),
    -- The version of the environment that it was made for; 0 where there was none.
    seen_version    BIGINT NOT NULL,
    code            TEXT NOT NULL,
    name            TEXT NOT NULL,
    -- The products as they are to be, and their secrets, as in environments. Empty where the environment is to go.
    products        TEXT NOT NULL,
    secrets         TEXT,
    -- The differences, as JSON.
    changes         TEXT NOT NULL,
    task_id         TEXT,
    created_at      BIGINT NOT NULL,
    approved_at     BIGINT
);
CREATE INDEX plans_organization ON plans (organization_id, id);
CREATE INDEX plans_environment ON plans (environment_id, id);
CREATE INDEX plans_task ON plans (task_id);

-- What the target BUILTIN has deployed.
CREATE TABLE machines (
    environment_id TEXT NOT NULL REFERENCES environments (id),
    host_name      TEXT NOT NULL,
    product_id     TEXT NOT NULL,
    -- The node, as JSON.
    node           TEXT NOT NULL,
    PRIMARY KEY (environment_id, host_name)
);

-- Which data center components an environment uses; they cannot be removed meanwhile.
CREATE TABLE environment_data_centers (
    environment_id TEXT NOT NULL REFERENCES environments (id),
    data_center_id TEXT NOT NULL REFERENCES data_centers (id),
    PRIMARY KEY (environment_id, data_center_id)
);
CREATE INDEX environment_data_centers_data_center ON environment_data_centers (data_center_id, environment_id);
