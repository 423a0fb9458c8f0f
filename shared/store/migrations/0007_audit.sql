-- The audit, and acting for a customer.

-- Where each organization's chain of entries ends. Whoever adds entries updates this row first, so that one adds at a time.
CREATE TABLE audit_chains (
    -- No reference: what was done in an organization stays known when it is gone.
    organization_id TEXT PRIMARY KEY,
    -- The number of the last entry, its hash and its instant.
    sequence        BIGINT NOT NULL,
    hash            TEXT NOT NULL,
    at              BIGINT NOT NULL
);

-- What was done. Rows are added in the transaction of what they tell, and never changed.
CREATE TABLE audit_entries (
    organization_id           TEXT NOT NULL,
    -- From 1 without gaps.
    sequence                  BIGINT NOT NULL,
    -- Never earlier than that of the entry before.
    at                        BIGINT NOT NULL,
    -- The action is the two with a dot between them.
    resource                  TEXT NOT NULL,
    operation                 TEXT NOT NULL,
    subject_id                TEXT,
    -- A person, an API token, an app, a job, or 'system'.
    principal                 TEXT NOT NULL,
    principal_organization_id TEXT,
    acting_organization_id    TEXT,
    acting_session_id         TEXT,
    request_id                TEXT NOT NULL,
    trace_id                  TEXT NOT NULL,
    result                    TEXT NOT NULL CHECK (result IN ('SUCCESS', 'FAILURE')),
    -- JSON, in the form in which it is hashed.
    details                   TEXT NOT NULL,
    previous_hash             TEXT NOT NULL,
    -- SHA-256 over all columns above; domain::audit says how.
    hash                      TEXT NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);
-- The operation comes after the number, so that one index keeps the order for a resource and finds a single operation of it.
CREATE INDEX audit_entries_resource ON audit_entries (organization_id, resource, sequence, operation);
CREATE INDEX audit_entries_principal ON audit_entries (organization_id, principal, sequence);
CREATE INDEX audit_entries_subject ON audit_entries (organization_id, subject_id, sequence);
CREATE INDEX audit_entries_acting_session ON audit_entries (organization_id, acting_session_id, sequence) WHERE acting_session_id IS NOT NULL;

-- Whether a customer lets others act in it. Without a row the default holds.
CREATE TABLE acting_policies (
    organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
    policy          TEXT NOT NULL CHECK (policy IN ('ALLOW', 'ASK', 'REFUSE')),
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

-- Times in which a principal may act in a customer that it is no member of.
CREATE TABLE acting_sessions (
    id                        TEXT PRIMARY KEY,
    -- The customer.
    organization_id           TEXT NOT NULL REFERENCES organizations (id),
    principal_id              TEXT NOT NULL,
    -- What it was called when it asked: the customer cannot look it up.
    principal_name            TEXT NOT NULL,
    principal_organization_id TEXT NOT NULL REFERENCES organizations (id),
    reason                    TEXT NOT NULL,
    duration_minutes          BIGINT NOT NULL CHECK (duration_minutes BETWEEN 1 AND 480),
    status                    TEXT NOT NULL CHECK (status IN ('PENDING', 'OPEN', 'REFUSED', 'LAPSED', 'ENDED', 'EXPIRED')),
    -- While PENDING, when the request lapses; once OPEN, when the session ends by itself.
    expires_at                BIGINT NOT NULL,
    created_at                BIGINT NOT NULL,
    started_at                BIGINT,
    ended_at                  BIGINT,
    -- Who approved or refused it in the customer; none where the policy did.
    answered_by               TEXT,
    -- Who ended it before its time.
    ended_by                  TEXT
);
-- One at a time; and where a request that acts in a customer looks.
CREATE UNIQUE INDEX acting_sessions_current ON acting_sessions (principal_id, organization_id) WHERE status IN ('PENDING', 'OPEN');
CREATE INDEX acting_sessions_organization ON acting_sessions (organization_id, id);
