-- The catalogue and the commit contracts: what a provider may provision.

CREATE TABLE services (
    id             TEXT PRIMARY KEY,
    code           TEXT NOT NULL UNIQUE,
    display_name   TEXT NOT NULL,
    description    TEXT,
    product_family TEXT NOT NULL,
    driver         TEXT NOT NULL CHECK (driver IN ('MANUAL', 'BUILTIN')),
    created_at     BIGINT NOT NULL
);

CREATE TABLE contracts (
    id             TEXT PRIMARY KEY,
    -- Who offers it: a distributor or the operator.
    issuer_id      TEXT NOT NULL REFERENCES organizations (id),
    provider_id    TEXT NOT NULL REFERENCES organizations (id),
    service_id     TEXT NOT NULL REFERENCES services (id),
    contract_type  TEXT NOT NULL,
    status         TEXT NOT NULL,
    effective_date TEXT NOT NULL,
    currency       TEXT NOT NULL,
    reference      TEXT,
    version        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX contracts_provider ON contracts (provider_id, service_id, status);
CREATE INDEX contracts_issuer ON contracts (issuer_id, id);
