-- What services offer, what was asked of them, package repositories and the interop table.

ALTER TABLE services ADD COLUMN kind TEXT NOT NULL DEFAULT 'SERVICE';
ALTER TABLE services ADD COLUMN status TEXT NOT NULL DEFAULT 'PUBLISHED';
-- Plans, regions, versions, roles, meters and the schema of the properties, as JSON: it is read and written as one.
ALTER TABLE services ADD COLUMN offer TEXT NOT NULL DEFAULT '{"plans":[],"regions":[],"versions":[],"serviceRoles":[],"usageMeters":[],"propertiesSchema":null}';
-- 1 when the offer asks something of requests, which the catalogue then has to check.
ALTER TABLE services ADD COLUMN asks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE services ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE services ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE services SET updated_at = created_at;

-- Drivers are not enumerated any more: a later hub knows more of them than this one.
ALTER TABLE services ADD COLUMN any_driver TEXT NOT NULL DEFAULT 'MANUAL';
UPDATE services SET any_driver = driver;
ALTER TABLE services DROP COLUMN driver;
ALTER TABLE services RENAME COLUMN any_driver TO driver;

-- What was asked of the service; each is there when the service offered a choice.
ALTER TABLE subscriptions ADD COLUMN plan_code TEXT;
ALTER TABLE subscriptions ADD COLUMN region TEXT;
-- The service's, not a count of edits.
ALTER TABLE subscriptions ADD COLUMN service_version TEXT;
ALTER TABLE subscriptions ADD COLUMN term_months BIGINT;
ALTER TABLE subscriptions ADD COLUMN properties TEXT;
-- Whether a plan, or a service, is in use.
CREATE INDEX subscriptions_service ON subscriptions (service_id, status, plan_code);

CREATE TABLE package_repositories (
    id                   TEXT PRIMARY KEY,
    display_name         TEXT NOT NULL,
    base_url             TEXT NOT NULL UNIQUE,
    -- Reading the index.
    refresh_status       TEXT NOT NULL,
    refresh_message      TEXT,
    refreshed_at         BIGINT,
    -- Verifying the files.
    verification_status  TEXT NOT NULL,
    verification_message TEXT,
    verified_at          BIGINT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);

CREATE TABLE package_files (
    -- Made by the job that read the index; they sort as the index lists them.
    id            TEXT PRIMARY KEY,
    repository_id TEXT NOT NULL REFERENCES package_repositories (id),
    product_code  TEXT NOT NULL,
    version       TEXT NOT NULL,
    path          TEXT NOT NULL,
    size          BIGINT NOT NULL,
    sha256        TEXT NOT NULL,
    status        TEXT NOT NULL,
    message       TEXT,
    checked_at    BIGINT,
    -- How far verification is inside this file: bytes seen, and SHA-256's state after them.
    bytes_read    BIGINT NOT NULL DEFAULT 0,
    hash_state    TEXT,
    -- Failures in a row at reading it.
    failures      BIGINT NOT NULL DEFAULT 0,
    UNIQUE (repository_id, path)
);
CREATE INDEX package_files_status ON package_files (repository_id, status, id);
CREATE INDEX package_files_repository ON package_files (repository_id, id);

-- The one table of which versions work together and which upgrades are allowed, as JSON: it is read and written as one.
CREATE TABLE interop_tables (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    content    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
