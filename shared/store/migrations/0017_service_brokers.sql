-- Service brokers, what they offer, what is at them, and the service bindings of subscriptions.

CREATE TABLE service_brokers (
    id               TEXT PRIMARY KEY,
    display_name     TEXT NOT NULL,
    base_url         TEXT NOT NULL UNIQUE,
    -- The hub's name there; none where a bearer token is sent.
    username         TEXT,
    -- The password or the token, sealed for this row's id.
    secret           TEXT NOT NULL,
    -- Until when it is not asked, for it did not answer.
    left_alone_until BIGINT NOT NULL DEFAULT 0,
    -- When its catalogue was last imported.
    imported_at      BIGINT,
    -- Counts the edits; it is the ETag.
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);

-- Which service of the catalogue is which of a broker's.
CREATE TABLE broker_offerings (
    service_id  TEXT PRIMARY KEY,
    broker_id   TEXT NOT NULL REFERENCES service_brokers (id),
    -- The broker's id of it.
    offering_id TEXT NOT NULL,
    UNIQUE (broker_id, offering_id)
);

CREATE TABLE broker_plans (
    service_id          TEXT NOT NULL REFERENCES broker_offerings (service_id),
    plan_code           TEXT NOT NULL,
    -- The broker's id of it.
    plan_id             TEXT NOT NULL,
    -- The plan as it was written into the catalogue, as JSON.
    plan                TEXT NOT NULL,
    bindable            BIGINT NOT NULL,
    plan_updateable     BIGINT NOT NULL,
    -- For how many seconds an operation may be under way, and the version of what it is made of, where the broker says so.
    max_polling         BIGINT,
    maintenance_version TEXT,
    PRIMARY KEY (service_id, plan_code),
    UNIQUE (service_id, plan_id)
);

-- Service instances and service bindings as they stand at their brokers, each with the operation that is under way or was last.
CREATE TABLE broker_resources (
    -- The subscription's id, or the service binding's.
    id            TEXT PRIMARY KEY,
    -- Of a binding, the subscription; of an instance, nothing.
    instance_id   TEXT,
    broker_id     TEXT NOT NULL,
    -- What it is called at the broker; of a binding, what the instance is called too.
    guid          TEXT NOT NULL,
    instance_guid TEXT,
    -- Counts how often it was made: each time it is called another thing.
    generation    BIGINT NOT NULL,
    offering_id   TEXT NOT NULL,
    plan_id       TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('MAKING', 'READY', 'UPDATING', 'DELETING', 'MITIGATING', 'GONE')),
    -- Which turn of which task the operation is for, and why it failed if it did.
    turn          TEXT NOT NULL,
    failure       TEXT,
    -- 1 when the broker has taken the operation on and is asked how far it is, and what it calls it.
    polling       BIGINT NOT NULL,
    operation     TEXT,
    -- 1 while a request is on its way; 1 when one was and nobody knows what came of it.
    in_flight     BIGINT NOT NULL,
    doubt         BIGINT NOT NULL,
    -- Requests or looks since the operation last made headway.
    tries         BIGINT NOT NULL,
    -- When it is given up; and since when "it is not there" is believed.
    deadline      BIGINT NOT NULL,
    settles_at    BIGINT NOT NULL,
    dashboard_url TEXT,
    -- What a binding gives, as JSON, sealed for this row's id.
    given         TEXT,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX broker_resources_instance ON broker_resources (instance_id, id);

CREATE TABLE service_bindings (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
    name            TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('BINDING', 'ACTIVE', 'UNBINDING', 'FAILED')),
    -- What the broker is to be told, as JSON, sealed for this row's id.
    parameters      TEXT,
    -- The task that works on it, or did so last.
    task_id         TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (subscription_id, name)
);
CREATE INDEX service_bindings_organization ON service_bindings (organization_id, id);
-- The service binding that a task works on.
CREATE INDEX service_bindings_task ON service_bindings (task_id);

-- Who asked for a task; nobody, where the hub itself did.
ALTER TABLE tasks ADD COLUMN asked_by TEXT;
