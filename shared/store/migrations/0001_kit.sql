-- What every component stands on: who there is, who is asking, what was asked already, what is still to do.
--
-- One dialect for SQLite and PostgreSQL: TEXT, BIGINT, CHECK, ON CONFLICT and RETURNING, nothing else. Instants are
-- BIGINT milliseconds since 1970 in UTC, dates and months are their ISO 8601 text, decimals are TEXT (they are exact),
-- truth is BIGINT 0 or 1, enumerations are the API's own words. A statement ends with a semicolon at the end of a line.

CREATE TABLE organizations (
    id            TEXT PRIMARY KEY,
    parent_id     TEXT REFERENCES organizations (id),
    -- The ids from the root down to this one, each followed by a dot: a subtree is one range of this column.
    path          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('OPERATOR', 'DISTRIBUTOR', 'RESELLER', 'PROVIDER', 'CUSTOMER')),
    status        TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
    display_name  TEXT NOT NULL,
    company_name  TEXT NOT NULL,
    country       TEXT NOT NULL,
    state         TEXT,
    city          TEXT,
    zip           TEXT,
    address_line1 TEXT,
    domain        TEXT,
    tag           TEXT,
    currency      TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CHECK ((parent_id IS NULL) = (kind = 'OPERATOR'))
);

-- There is one operator, whoever races to create it.
CREATE UNIQUE INDEX organizations_one_operator ON organizations (kind) WHERE kind = 'OPERATOR';
CREATE INDEX organizations_parent ON organizations (parent_id, id);

CREATE TABLE api_tokens (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    -- SHA-256 of the secret, in hexadecimal. The secret itself is shown once and kept nowhere.
    hash            TEXT NOT NULL UNIQUE,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    last_used_at    BIGINT,
    created_at      BIGINT NOT NULL
);
CREATE INDEX api_tokens_organization ON api_tokens (organization_id, id);

-- Who has which role where. A principal is an API token; people follow with onboarding.
CREATE TABLE bindings (
    principal_id    TEXT NOT NULL,
    role            TEXT NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (principal_id, role, organization_id)
);

CREATE TABLE access_tokens (
    hash         TEXT PRIMARY KEY,
    api_token_id TEXT NOT NULL REFERENCES api_tokens (id),
    expires_at   BIGINT NOT NULL
);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

-- The first answer to each Idempotency-Key, written in the transaction of the change that it answers.
CREATE TABLE idempotency_keys (
    principal_id TEXT NOT NULL,
    -- SHA-256 of the key: the key itself helps to unseal the answer and is kept nowhere.
    key_hash     TEXT NOT NULL,
    -- SHA-256 over method, target, acting organization and body of the first request.
    fingerprint  TEXT NOT NULL,
    status       BIGINT NOT NULL,
    -- Headers and body, sealed: an answer may hold a secret that is shown once.
    answer       TEXT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (principal_id, key_hash)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Everything that outlives a request. A job is written in the transaction that decides it.
CREATE TABLE jobs (
    id              TEXT PRIMARY KEY,
    -- The component that runs it.
    queue           TEXT NOT NULL,
    kind            TEXT NOT NULL,
    -- Whose work it is.
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    payload         TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('READY', 'RUNNING', 'PARKED')),
    -- When it may be claimed: its time, or the end of the present runner's lease.
    due_at          BIGINT NOT NULL,
    -- Failures in a row.
    attempts        BIGINT NOT NULL,
    -- Counts the claims; a runner whose fence is not the row's own writes nothing.
    fence           BIGINT NOT NULL,
    last_error      TEXT,
    -- The traceparent of the request that decided it.
    trace           TEXT,
    created_at      BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE state <> 'PARKED';
CREATE INDEX jobs_next ON jobs (due_at, queue) WHERE state <> 'PARKED';
CREATE INDEX jobs_state ON jobs (state, id);
