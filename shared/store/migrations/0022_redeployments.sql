-- Nodes whose machines are replaced, how environments are changed, and the passwords that components are reached with.

-- The task for which the target BUILTIN has deployed a machine in the place of another, and the one that had deployed that:
-- while it is known there is a way back. Empty where the other was there from the beginning.
ALTER TABLE machines ADD COLUMN deployed_by TEXT;
ALTER TABLE machines ADD COLUMN replaces TEXT;

-- Whether the task that carries a plan out goes on where its validation finds faults, and whether nothing is kept to go back to.
ALTER TABLE plans ADD COLUMN ignore_validation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE plans ADD COLUMN disable_backup BIGINT NOT NULL DEFAULT 0;

-- Passwords that are kept apart from what is reached with them, so that one that is replaced reaches all that use it.
CREATE TABLE stored_passwords (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- The name it is known by.
    alias           TEXT NOT NULL,
    -- By what others refer to it: ref:password: and 20 letters and digits.
    reference       TEXT NOT NULL UNIQUE,
    -- Whose password it is, and what for.
    username        TEXT,
    description     TEXT,
    -- The password, sealed for this row's id.
    sealed          TEXT NOT NULL,
    -- Counts the edits; it is the ETag.
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (organization_id, alias)
);
CREATE INDEX stored_passwords_organization ON stored_passwords (organization_id, id);
CREATE INDEX data_centers_password ON data_centers (password_ref) WHERE password_ref IS NOT NULL;
CREATE INDEX data_center_edits_password ON data_center_edits (password_ref) WHERE password_ref IS NOT NULL;
