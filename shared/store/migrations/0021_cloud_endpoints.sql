-- Cloud endpoints: infrastructure of providers, and which customers are let at it. And up to what customers and their people may
-- use what they have.

CREATE TABLE cloud_endpoints (
    id                TEXT PRIMARY KEY,
    -- The provider's, and where it stands in the tree: it stays there.
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    organization_path TEXT NOT NULL,
    display_name      TEXT NOT NULL,
    -- Without a list of kinds: one more is no migration.
    kind              TEXT NOT NULL,
    url               TEXT NOT NULL,
    region            TEXT NOT NULL,
    description       TEXT,
    -- What it stands on, as long as that is there.
    data_center_id    TEXT REFERENCES data_centers (id) ON DELETE SET NULL,
    environment_id    TEXT REFERENCES environments (id) ON DELETE SET NULL,
    -- Counts the edits; it is the ETag.
    version           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    UNIQUE (organization_id, display_name)
);
CREATE INDEX cloud_endpoints_path ON cloud_endpoints (organization_path, id);
-- So that what something stands on is removed without reading all that stands somewhere.
CREATE INDEX cloud_endpoints_data_center ON cloud_endpoints (data_center_id);
CREATE INDEX cloud_endpoints_environment ON cloud_endpoints (environment_id);

CREATE TABLE cloud_endpoint_assignments (
    cloud_endpoint_id TEXT NOT NULL REFERENCES cloud_endpoints (id),
    -- The customer.
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    -- Where the customer enters, if not where the endpoint is.
    access_url        TEXT,
    created_at        BIGINT NOT NULL,
    PRIMARY KEY (cloud_endpoint_id, organization_id)
);
CREATE INDEX cloud_endpoint_assignments_organization ON cloud_endpoint_assignments (organization_id, cloud_endpoint_id);

-- What was said of access levels: of a customer, with an empty person_id, and of people in it; for all services, with an empty
-- service_id, and for one.
CREATE TABLE access_levels (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id       TEXT NOT NULL,
    service_id      TEXT NOT NULL,
    -- 0 NONE, 1 VIEW, 2 USE, 3 MANAGE; nothing, where that is said of single services only.
    level           BIGINT CHECK (level BETWEEN 0 AND 3),
    -- Of the row for all services, which is there whenever another is: counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, person_id, service_id)
);
