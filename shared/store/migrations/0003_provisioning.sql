-- What customers have, and the tasks that get it for them.

CREATE TABLE subscriptions (
    id              TEXT PRIMARY KEY,
    -- The customer, and the provider right above it that answers for it.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    provider_id     TEXT NOT NULL REFERENCES organizations (id),
    service_id      TEXT NOT NULL REFERENCES services (id),
    contract_id     TEXT NOT NULL REFERENCES contracts (id),
    quantity        TEXT NOT NULL,
    status          TEXT NOT NULL,
    -- The task that works on it, or did so last. No reference, since the task refers to the subscription.
    task_id         TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    activated_at    BIGINT
);
CREATE INDEX subscriptions_organization ON subscriptions (organization_id, id);

CREATE TABLE tasks (
    id              TEXT PRIMARY KEY,
    -- Types, and names of steps, are not enumerated here: a later hub knows more of them than this one.
    task_type       TEXT NOT NULL,
    -- Follows from the steps; kept for finding tasks by it.
    status          TEXT NOT NULL,
    -- Whose task it is.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- What it works on, when that is a subscription.
    subscription_id TEXT REFERENCES subscriptions (id),
    -- The job that takes its next turn; none while it waits for a person and when it has ended.
    job_id          TEXT,
    -- What went wrong.
    message         TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    ended_at        BIGINT
);
CREATE INDEX tasks_organization ON tasks (organization_id, id);
CREATE INDEX tasks_status ON tasks (status, id);

CREATE TABLE task_steps (
    task_id    TEXT NOT NULL REFERENCES tasks (id),
    position   BIGINT NOT NULL,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL,
    -- Turns taken at it, those that failed and those at undoing it included.
    attempts   BIGINT NOT NULL,
    message    TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (task_id, position),
    UNIQUE (task_id, name)
);

-- What the driver `builtin` has provisioned: a customer is entitled to what it has a row for.
CREATE TABLE entitlements (
    subscription_id TEXT PRIMARY KEY REFERENCES subscriptions (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    service_id      TEXT NOT NULL REFERENCES services (id),
    quantity        TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX entitlements_organization ON entitlements (organization_id, service_id);
