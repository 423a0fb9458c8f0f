-- Certificates of products: the chain and the key are among the secrets of their environment, and what is known of them in its
-- products.

-- The thumbprint of the certificate that the target BUILTIN has installed on a machine.
ALTER TABLE machines ADD COLUMN certificate TEXT;

-- The certificates that environments have, so that they are found by when they end. Written by a job after an environment has
-- changed.
CREATE TABLE certificates (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- No reference: an environment that goes is followed later.
    environment_id  TEXT NOT NULL,
    product_id      TEXT NOT NULL,
    thumbprint      TEXT NOT NULL,
    -- What is known of it, as JSON.
    facts           TEXT NOT NULL,
    valid_to        BIGINT NOT NULL,
    -- The last warning that was given: for so many days before it ends.
    warned_days     BIGINT,
    -- The job that gives the next one.
    job_id          TEXT NOT NULL,
    noted_at        BIGINT NOT NULL,
    UNIQUE (environment_id, product_id)
);
CREATE INDEX certificates_organization ON certificates (organization_id, valid_to, id);
CREATE INDEX certificates_valid_to ON certificates (valid_to, id);

-- Changes of environments are carried out by a component of their own.
UPDATE tasks SET queue = 'deployments' WHERE queue = 'environments';
UPDATE jobs SET queue = 'deployments' WHERE queue = 'environments';
