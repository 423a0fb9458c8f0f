-- What a customer wants to be asked about before it is begun, and what it was asked.

CREATE TABLE approval_policies (
    organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
    -- What needs an approval, as JSON.
    rules           TEXT NOT NULL,
    -- For how many days an approval waits for its answer.
    lapse_days      BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE TABLE approvals (
    id                TEXT PRIMARY KEY,
    -- The customer, and where it stands.
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    organization_path TEXT NOT NULL,
    action            TEXT NOT NULL,
    -- What it is to be done to; of what is to be provisioned, what came of it.
    subscription_id   TEXT REFERENCES subscriptions (id),
    service_id        TEXT NOT NULL REFERENCES services (id),
    quantity          TEXT,
    -- What was sent, as JSON, and how it was to be gone about.
    request           TEXT NOT NULL,
    if_version        BIGINT,
    disable_rollback  BIGINT NOT NULL,
    status            TEXT NOT NULL,
    -- Who asked, what they were called, in which organization they acted, and in which session.
    asked_by          TEXT NOT NULL,
    asked_by_name     TEXT NOT NULL,
    asked_in          TEXT NOT NULL REFERENCES organizations (id),
    acting_session_id TEXT REFERENCES acting_sessions (id),
    created_at        BIGINT NOT NULL,
    lapses_at         BIGINT NOT NULL,
    -- The job that writes down that it lapsed.
    lapse_job_id      TEXT NOT NULL,
    decided_by        TEXT,
    decided_at        BIGINT,
    reason            TEXT,
    task_id           TEXT REFERENCES tasks (id),
    -- Why it could not be begun.
    message           TEXT
);
CREATE INDEX approvals_path ON approvals (organization_path, id);
CREATE INDEX approvals_organization ON approvals (organization_id, id);
CREATE INDEX approvals_status ON approvals (status, organization_path, id);
-- A subscription waits for one answer at a time.
CREATE UNIQUE INDEX approvals_subscription ON approvals (subscription_id) WHERE status IN ('PENDING', 'APPROVED');

-- What is to become of it when its term ends, as was said when it was asked for.
ALTER TABLE subscriptions ADD COLUMN renewal_preference TEXT;
